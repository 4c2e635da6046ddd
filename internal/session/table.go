package session

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"hash"
	"io"
	"net/netip"

	"github.com/flynn/noise"
	"golang.org/x/crypto/curve25519"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
	"github.com/ada420b6/overlay/internal/vtime"
)

const (
	// RekeyAfter is the age at which the initiator's next payload goes out as a fresh
	// Init: one hour, plus up to a tenth drawn per session so that sessions that were
	// made together in a patch day are not renewed together.
	RekeyAfter = vtime.Hour

	// RejectAfter is the age at which a session carries nothing more.
	RejectAfter = 3 * vtime.Hour

	// rekeyMessages and rejectMessages bound the use of one key: 2^40 packets are 350
	// years at 100 packets a second, and far from the 2^64 that the counter holds.
	rekeyMessages  = 1 << 40
	rejectMessages = 1 << 41

	// DefaultMaxSessions is for a user's machine: 5000 thin attachments, 1600 normal
	// ones and 1592 for supernodes, second attachments and strangers; 16 MiB at
	// 2 KiB each.
	DefaultMaxSessions = 8192

	// DefaultHandshakeLoad is 2.5 times the attach burst of a user's machine: 100
	// handshakes a second at 0.2 ms are 2 % of a core.
	DefaultHandshakeLoad = 100

	// minPending and pendingShare bound handshakes without end: a quarter of a
	// thousand, or an eighth of MaxSessions. 1024 for the default: at most 2 KiB each,
	// and 5 KiB of queued payloads for our own, 7 MiB in all.
	minPending   = 256
	pendingShare = 8

	// pendingLife is how long a handshake may stay without its end: longer than the
	// 66 s between a thin attachment's keepalives, the next packet that confirms a
	// session whose confirmation was lost.
	pendingLife = 90 * vtime.Second

	// pendingGrace is how long a handshake is safe from being displaced when there
	// are too many: longer than nearly every round trip.
	pendingGrace = vtime.Second

	// evictIdle is how long a session must have been unused before it may make room:
	// three keepalives.
	evictIdle = vtime.Minute

	// resetRate and resetBurst bound Resets per second: after a reboot each of 1600
	// peers needs one within its 20 s keepalive, 80 a second.
	resetRate  = 100
	resetBurst = 200
)

// Errors of Send. ErrFull passes; the others come again for the same arguments.
var (
	ErrPayload = errors.New("session: payload too large")
	ErrFull    = errors.New("session: table full")
	ErrAddress = errors.New("session: no address to call")
	ErrPeer    = errors.New("session: peer's key is not a key")
)

// Config is what a Table is made from. All fields without a default are required.
type Config struct {
	// Network keeps networks apart: tables of two networks never exchange a message.
	Network [8]byte

	// Private is the node's static X25519 key.
	Private [32]byte

	// Random yields unpredictable bytes. It must not fail.
	Random io.Reader

	// Out sends a packet of at most MaxPacket bytes. The slice is valid only during
	// the call, and Out must not call the table.
	Out func(to netip.AddrPort, packet []byte)

	// MaxSessions is the largest number of established sessions; default
	// DefaultMaxSessions. Each costs at most 2 KiB.
	MaxSessions int

	// HandshakeLoad is the number of received handshakes per second above which a
	// sender must prove its address first; default DefaultHandshakeLoad. Raised, a
	// flood from forged addresses costs more: 0.2 ms of CPU each. Lowered, honest
	// peers need a round trip more, sooner.
	HandshakeLoad int
}

// Table holds the sessions of one node. It is not safe for concurrent use.
type Table struct {
	network       [8]byte
	key           ident.Key
	static        noise.DHKey
	prologue      []byte
	random        io.Reader
	emit          func(to netip.AddrPort, packet []byte)
	maxSessions   int
	maxPending    int
	handshakeLoad int

	sessions map[uint32]*session // by our index, in every state
	peers    map[ident.Key]*peer
	idle     order[*peer]    // those with a current session, by last use
	pending  order[*session] // handshakes without end, by age

	seen    ephemerals
	load    meter
	resets  bucket
	mac1    hash.Hash   // of Inits to us
	cookies cipher.AEAD // of cookie replies from us
	baker   baker
	jar     jar
	n       Counters

	// Scratch: a packet costs no allocation. out and in are apart because a payload
	// just received may be sent on. nonce also holds what is drawn.
	out, in, plain [MaxPacket]byte
	nonce          [12]byte
}

// New returns an empty table. It panics if Random, Out or a limit is missing or
// negative.
func New(c Config) *Table {
	invariant.Check(c.Random != nil && c.Out != nil, "session: Config needs Random and Out")
	invariant.Check(c.MaxSessions >= 0 && c.HandshakeLoad >= 0, "session: a limit is negative")
	if c.MaxSessions == 0 {
		c.MaxSessions = DefaultMaxSessions
	}
	if c.HandshakeLoad == 0 {
		c.HandshakeLoad = DefaultHandshakeLoad
	}
	public, err := curve25519.X25519(c.Private[:], curve25519.Basepoint)
	invariant.Check(err == nil, "session: the base point is a point")
	key := ident.Key(public)
	mac1Key := publicKeyed(labelMac1, c.Network, key)
	return &Table{
		network:       c.Network,
		key:           key,
		static:        noise.DHKey{Private: c.Private[:], Public: public},
		prologue:      append([]byte("overlay 1 "), c.Network[:]...),
		random:        c.Random,
		emit:          c.Out,
		maxSessions:   c.MaxSessions,
		maxPending:    max(minPending, c.MaxSessions/pendingShare),
		handshakeLoad: c.HandshakeLoad,
		sessions:      make(map[uint32]*session),
		peers:         make(map[ident.Key]*peer),
		resets:        newBucket(resetRate, resetBurst),
		mac1:          newMac(mac1Key[:]),
		cookies:       cookieCipher(c.Network, key),
		baker:         baker{random: c.Random},
	}
}

// Key returns the node's own public key.
func (t *Table) Key() ident.Key { return t.key }

// Len returns the number of peers with an established session.
func (t *Table) Len() int { return t.idle.n }

// Counters returns what was counted so far.
func (t *Table) Counters() Counters { return t.n }

// Established reports whether a payload for the peer would leave at once, without a
// handshake. A session that waits for its confirmation does not count.
func (t *Table) Established(k ident.Key, now vtime.Time) bool {
	p := t.peers[k]
	return p != nil && p.current != nil && !p.current.dead(now)
}

// Addr returns the address that payloads for the peer go to: one at which it has shown
// that it receives. Of a session that waits for its confirmation it is unproven.
func (t *Table) Addr(k ident.Key) (netip.AddrPort, bool) {
	p := t.peers[k]
	switch {
	case p == nil:
		return netip.AddrPort{}, false
	case p.current != nil:
		return p.current.addr, true
	case p.unconfirmed[0] != nil:
		return p.unconfirmed[0].addr, true
	}
	return netip.AddrPort{}, false
}

// Forget drops all that is held about the peer, without a word to it.
func (t *Table) Forget(k ident.Key) {
	p := t.peers[k]
	if p == nil {
		return
	}
	for _, s := range [...]*session{p.calling[0], p.calling[1], p.unconfirmed[0], p.unconfirmed[1], p.previous, p.current} {
		if s != nil {
			t.drop(s)
		}
	}
}

// draw fills b from the random source.
func draw(random io.Reader, b []byte) {
	_, err := io.ReadFull(random, b)
	invariant.Check(err == nil, "session: the random source failed")
}

// newIndex draws an index that no session has. Random, so that who did not see a
// packet can't name a session.
func (t *Table) newIndex() uint32 {
	for {
		draw(t.random, t.nonce[:4])
		i := binary.BigEndian.Uint32(t.nonce[:4])
		if t.sessions[i] == nil {
			return i
		}
	}
}
