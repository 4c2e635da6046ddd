package session

import (
	"encoding/binary"
	"net/netip"

	"github.com/ada420b6/overlay/internal/vtime"
)

const (
	// challengeEvery is how often a session may challenge an address: the least that a
	// victim of a forged source must bear, 37 B a second, and the longest that a moved
	// peer waits when a challenge was lost and it goes on sending.
	challengeEvery = vtime.Second

	// echoMark in the counter field tells an Echo from a Challenge: counters stay far
	// below it (rejectMessages).
	echoMark = 1 << 63
)

// roam is where a peer seems to have moved. The session stays where it is until the
// peer has shown that it receives there.
type roam struct {
	candidate netip.AddrPort // challenged; invalid if none is
	token     [tokenSize]byte
	next      vtime.Time // when the next challenge may leave
}

// follow looks at where the peer's newest packet came from, and challenges an address
// that is not the session's. Called after a packet of size bytes that has proven its
// author.
func (t *Table) follow(s *session, from netip.AddrPort, size int, now vtime.Time) {
	if from == s.addr {
		if s.roam.candidate.IsValid() {
			s.roam.candidate = netip.AddrPort{} // it is back, or was never away
		}
		return
	}
	if size < challengeSize || now < s.roam.next {
		return
	}
	if s.roam.candidate != from {
		// Else the token stays, so that an echo slower than challengeEvery counts.
		s.roam.candidate = from
		draw(t.random, s.roam.token[:])
	}
	s.roam.next = now.Add(challengeEvery)
	t.n.ChallengesSent++
	t.sendToken(s, from, 0, s.roam.token)
}

// sendToken sends a Challenge, or an Echo if mark is echoMark, to an address that need
// not be the session's.
func (t *Table) sendToken(s *session, to netip.AddrPort, mark uint64, token [tokenSize]byte) {
	b := append(t.out[:0], head(typeChallenge))
	b = binary.BigEndian.AppendUint32(b, s.remote)
	b = binary.BigEndian.AppendUint64(b, s.counter|mark)
	plain := append(t.plain[:0], token[:]...)
	t.emit(to, t.seal(s, b, plain))
}

// receiveChallenge answers a Challenge, and moves the session if an Echo proves the
// candidate.
func (t *Table) receiveChallenge(from netip.AddrPort, packet []byte, now vtime.Time) Result {
	s := t.sessions[index(packet, 0)]
	switch {
	case s == nil || s.pending == nil && s.dead(now):
		t.n.UnknownSession++ // no Reset: the packet does not carry its sender's index
		return Result{}
	case s.pending != nil:
		t.n.EarlyTransport++ // overtook the Response or the confirmation
		return Result{}
	}
	field := binary.BigEndian.Uint64(packet[headSize+indexSize:])
	plain, _, ok := t.open(s, packet, field&^echoMark, challengeHead)
	if !ok {
		return Result{}
	}
	token := [tokenSize]byte(plain)
	if field&echoMark == 0 {
		t.sendToken(s, from, echoMark, token)
		return Result{}
	}
	if !s.roam.candidate.IsValid() || s.roam.candidate != from || s.roam.token != token {
		t.n.BadEcho++
		return Result{}
	}
	s.addr, s.roam.candidate = from, netip.AddrPort{}
	if s != s.peer.current {
		return Result{} // replaced meanwhile: payloads do not go out on it any more
	}
	return Result{Kind: KindMoved, Peer: s.peer.key, Addr: from}
}
