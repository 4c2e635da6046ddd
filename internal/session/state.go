package session

import (
	"crypto/cipher"
	"net/netip"

	"github.com/flynn/noise"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
	"github.com/ada420b6/overlay/internal/vtime"
)

// keptTags is how many tags of sent packets a session remembers. A Reset answers each
// packet, and the newest packets' Resets come last, so a few are enough: 4 x 16 B.
const keptTags = 4

// peer is everything the table holds about one key.
type peer struct {
	key ident.Key

	// current is the established session that payloads go out on. previous is the one
	// it replaced: it only receives, because packets are under way, and because two
	// nodes that called each other at once may each send on the other's session.
	current, previous *session

	// calling are our own handshakes without a Response, unconfirmed the peer's
	// without a confirmation: newest first. Two of each, so that a round trip longer
	// than the core's retransmission interval still ends in a session.
	calling, unconfirmed pair

	queue []waiting // for a session, oldest first
	idle  link[*peer]
	used  vtime.Time // when current last carried an authentic packet
}

// waiting is a payload in a queue.
type waiting struct {
	payload []byte
	since   vtime.Time
}

// pair is up to two sessions, newest first.
type pair [2]*session

// push puts s first and returns the one that has to go.
func (p *pair) push(s *session) (displaced *session) {
	displaced = p[1]
	p[0], p[1] = s, p[0]
	return displaced
}

// remove takes s out if it is in.
func (p *pair) remove(s *session) {
	if p[0] == s {
		p[0], p[1] = p[1], nil
	} else if p[1] == s {
		p[1] = nil
	}
}

// session is one handshake and, once it has ended, the keys that it left.
type session struct {
	peer          *peer
	index, remote uint32 // our name for it and the peer's
	initiator     bool

	// addr is where the peer was called, where its Init came from, or where it has moved
	// since. Once the session is established the peer has shown that it receives there.
	addr    netip.AddrPort
	roam    roam
	created vtime.Time // Init sent or received
	rekeyAt vtime.Time // when an initiator starts the next one

	send, receive cipher.AEAD
	counter       uint64 // of the next packet
	window        window
	tags          [keptTags][tagSize]byte // of the last packets sent, by counter

	pending *pending // nil once established
}

// pending is what a session needs only until it is established.
type pending struct {
	order     link[*session]
	handshake *noise.HandshakeState // the responder's is nil once it has answered

	// An initiator's.
	mac1    [macSize]byte // of the Init: a cookie reply is bound to it
	proved  bool          // the Init carried mac2
	refused bool          // a cookie reply came: the next Send starts again

	// A responder's.
	budget int  // bytes that may still go to the unproven address
	open   bool // Flush has not ended the answer yet
}

// keys takes the two transport keys out of a finished Noise handshake. Packets carry
// their counter, so the ciphers are used without Noise's own nonce.
func (s *session) keys(first, second *noise.CipherState) {
	if s.initiator {
		s.send, s.receive = aead(first), aead(second)
	} else {
		s.send, s.receive = aead(second), aead(first)
	}
}

func aead(c *noise.CipherState) cipher.AEAD {
	k := c.UnsafeKey()
	a, err := chacha20poly1305.New(k[:])
	invariant.Check(err == nil, "session: a transport key has 32 bytes")
	return a
}

// dead reports whether s is too old or too used to carry another packet.
func (s *session) dead(now vtime.Time) bool {
	return now.Sub(s.created) >= RejectAfter || s.counter >= rejectMessages
}

// worn reports whether s should be replaced by its initiator.
func (s *session) worn(now vtime.Time) bool {
	return s.initiator && (now >= s.rekeyAt || s.counter >= rekeyMessages)
}

// sent reports whether tag is that of one of the last packets sent.
func (s *session) sent(tag []byte) bool {
	for i := range min(s.counter, keptTags) {
		if [tagSize]byte(tag) == s.tags[i] {
			return true
		}
	}
	return false
}
