package session

import (
	"encoding/binary"
	"net/netip"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

// Kind is what a received packet means to the core.
type Kind uint8

const (
	// KindNone is nothing: the packet was dropped and counted, or served the table.
	KindNone Kind = iota

	// KindMessage is a payload from a peer whose key was verified.
	KindMessage

	// KindReset says that the peer lost its session and ours is gone too: what was
	// sent since is lost, and the next Send begins anew.
	KindReset

	// KindCookie says that the peer is under load and wants the Init once more, now
	// with the cookie that the next Send will add: retry at once.
	KindCookie

	// KindMoved says that the peer has proven a new address: packets for it go there
	// from now on.
	KindMoved
)

// Result is the outcome of Receive.
type Result struct {
	Kind    Kind
	Peer    ident.Key      // unless KindNone
	Payload []byte         // of KindMessage, never empty; valid until the next Receive
	Addr    netip.AddrPort // where the session is or was, not where the packet came from; unless KindNone

	// Fresh marks a message that came in an Init: call Flush after its step. Its
	// author is certain; Addr, the packet's source, is not, and it may be a repetition
	// of an old one. See the package comment.
	Fresh bool
}

// Receive takes a datagram in. It may hand packets to Config.Out before it returns:
// cookie replies, Resets, confirmations, Challenges, Echoes and payloads that waited.
// The packet is not changed and not kept.
func (t *Table) Receive(from netip.AddrPort, packet []byte, now vtime.Time) Result {
	t.expire(now)
	switch classify(packet, &t.n) {
	case typeInit:
		return t.receiveInit(from, packet, now)
	case typeResponse:
		return t.receiveResponse(from, packet, now)
	case typeTransport:
		return t.receiveTransport(from, packet, now)
	case typeCookie:
		return t.receiveCookie(packet, now)
	case typeReset:
		return t.receiveReset(packet)
	case typeChallenge:
		return t.receiveChallenge(from, packet, now)
	}
	return Result{}
}

func (t *Table) receiveTransport(from netip.AddrPort, packet []byte, now vtime.Time) Result {
	s := t.sessions[index(packet, 0)]
	if s != nil && s.pending == nil && s.dead(now) {
		t.n.Expired++
		t.drop(s)
		s = nil
	}
	if s == nil {
		t.n.UnknownSession++
		t.reset(from, packet, now)
		return Result{}
	}
	if s.receive == nil {
		t.n.EarlyTransport++
		return Result{}
	}
	counter := binary.BigEndian.Uint64(packet[headSize+2*indexSize:])
	payload, newest, ok := t.open(s, packet, counter, transportHead)
	if !ok {
		return Result{}
	}
	if s.pending != nil && !t.establish(s, now) {
		return Result{}
	}
	p := s.peer
	t.touch(p, now)
	// An older packet that was overtaken says nothing about where the peer is; nor does a
	// replaced session, unless calls crossed: then the peer sends on the one that we only
	// receive on, and nothing else would tell us that it moved.
	if newest && (s == p.current || s.initiator != p.current.initiator) {
		t.follow(p.current, from, len(packet), now)
	}
	if len(payload) == 0 {
		return Result{} // a confirmation
	}
	return Result{Kind: KindMessage, Peer: p.key, Payload: payload, Addr: p.current.addr}
}

// open authenticates a packet of s that has a header of so many bytes and decrypts the
// rest into scratch.
func (t *Table) open(s *session, packet []byte, counter uint64, header int) (plain []byte, newest, ok bool) {
	if counter >= rejectMessages || !s.window.fresh(counter) {
		t.n.ReplayedPacket++
		return nil, false, false
	}
	plain, err := s.receive.Open(t.in[:0], t.counterNonce(counter), packet[header:], packet[:header])
	if err != nil {
		t.n.BadTransport++
		return nil, false, false
	}
	return plain, s.window.mark(counter), true
}

// reset answers a packet of a session that we don't have: an echo of what only the
// sender of the packet can check.
func (t *Table) reset(from netip.AddrPort, packet []byte, now vtime.Time) {
	if !t.resets.take(now) {
		t.n.ResetsSuppressed++
		return
	}
	t.n.ResetsSent++
	b := append(t.out[:0], head(typeReset))
	b = binary.BigEndian.AppendUint32(b, index(packet, 1))
	b = binary.BigEndian.AppendUint32(b, index(packet, 0))
	t.emit(from, append(b, tag(packet)...))
}

// receiveReset forgets a session that the peer has lost. The core hears of it only if
// nothing newer has taken its place.
func (t *Table) receiveReset(packet []byte) Result {
	s := t.sessions[index(packet, 0)]
	if s == nil || s.send == nil || s.remote != index(packet, 1) || !s.sent(tag(packet)) {
		t.n.ForgedReset++
		return Result{}
	}
	t.n.Resets++
	p := s.peer
	if s != p.current {
		t.drop(s)
		return Result{}
	}
	result := Result{Kind: KindReset, Peer: p.key, Addr: s.addr}
	if p.unconfirmed[0] != nil {
		result = Result{}
	}
	t.drop(s)
	return result
}
