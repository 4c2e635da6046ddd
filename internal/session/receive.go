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
)

// Result is the outcome of Receive.
type Result struct {
	Kind    Kind
	Peer    ident.Key      // unless KindNone
	Payload []byte         // of KindMessage, never empty; valid until the next Receive
	Addr    netip.AddrPort // where it came from, or where the session was; unless KindNone

	// Fresh marks a message that came in an Init: call Flush after its step. Its
	// author is certain; its address is not, and it may be a repetition of an old
	// one. See the package comment.
	Fresh bool
}

// Receive takes a datagram in. It may hand packets to Config.Out before it returns:
// cookie replies, Resets, confirmations and payloads that waited. The packet is not
// changed and not kept.
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
	payload, newest, ok := t.open(s, packet)
	if !ok {
		return Result{}
	}
	if newest {
		// Roaming: the peer is where its newest packet came from. An older one that
		// was overtaken must not send us back.
		s.addr = from
	}
	p := s.peer
	if newest && s == p.previous && s.initiator != p.current.initiator {
		// Calls that crossed: the peer sends on the session that we only receive on,
		// so nothing else would tell us that it moved.
		p.current.addr = from
	}
	if s.pending != nil && !t.establish(s, now) {
		return Result{}
	}
	t.touch(p, now)
	if len(payload) == 0 {
		return Result{} // a confirmation
	}
	return Result{Kind: KindMessage, Peer: p.key, Payload: payload, Addr: from}
}

// open authenticates a packet of s and decrypts it into scratch.
func (t *Table) open(s *session, packet []byte) (payload []byte, newest, ok bool) {
	counter := binary.BigEndian.Uint64(packet[headSize+2*indexSize:])
	if counter >= rejectMessages || !s.window.fresh(counter) {
		t.n.ReplayedPacket++
		return nil, false, false
	}
	payload, err := s.receive.Open(t.in[:0], t.counterNonce(counter), packet[transportHead:], packet[:transportHead])
	if err != nil {
		t.n.BadTransport++
		return nil, false, false
	}
	return payload, s.window.mark(counter), true
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
