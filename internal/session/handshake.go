package session

import (
	"encoding/binary"
	"math"
	"net/netip"

	"github.com/flynn/noise"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
	"github.com/ada420b6/overlay/internal/vtime"
)

var suite = noise.NewCipherSuite(noise.DH25519, noise.CipherChaChaPoly, noise.HashBLAKE2s)

// handshake returns the state before message 1. responder is nil for ourselves.
func (t *Table) handshake(responder []byte) *noise.HandshakeState {
	h, err := noise.NewHandshakeState(noise.Config{
		CipherSuite:   suite,
		Random:        t.random,
		Pattern:       noise.HandshakeIK,
		Initiator:     responder != nil,
		Prologue:      t.prologue,
		StaticKeypair: t.static,
		PeerStatic:    responder,
	})
	invariant.Check(err == nil, "session: the handshake's parameters are constant")
	return h
}

// call sends an Init to the peer. A payload that does not fit waits for the Response.
func (t *Table) call(to ident.Key, addr netip.AddrPort, payload []byte, now vtime.Time) error {
	if !addr.IsValid() {
		return ErrAddress
	}
	if p := t.peers[to]; (p == nil || p.current == nil) && !t.room(now) {
		t.n.SessionsFull++
		return ErrFull
	}
	if !t.roomPending(now) {
		t.n.PendingFull++
		return ErrFull
	}
	s := &session{
		index:     t.newIndex(),
		initiator: true,
		addr:      addr,
		created:   now,
		rekeyAt:   now.Add(RekeyAfter + t.jitter()),
		pending:   &pending{handshake: t.handshake(to[:])},
	}
	late := len(payload) > MaxInitPayload
	inside := payload
	if late {
		inside = nil
	}
	init, err := t.writeInit(s, to, inside, now)
	if err != nil {
		return err
	}
	s.peer = t.peerOf(to)
	t.begin(s, &s.peer.calling)
	if late {
		t.enqueue(s.peer, payload, now)
	}
	t.emit(addr, init)
	return nil
}

// writeInit builds the Init of s in scratch. The only thing that can go wrong is the
// peer's key: a point of small order, which no honest node has.
func (t *Table) writeInit(s *session, to ident.Key, payload []byte, now vtime.Time) ([]byte, error) {
	plain := t.plain[:max(lengthSize+len(payload), MinInit-initOverhead+lengthSize)]
	binary.BigEndian.PutUint16(plain, uint16(len(payload)))
	clear(plain[lengthSize+copy(plain[lengthSize:], payload):])

	b := append(t.out[:0], head(typeInit))
	b = binary.BigEndian.AppendUint32(b, s.index)
	b, _, _, err := s.pending.handshake.WriteMessage(b, plain)
	if err != nil {
		return nil, ErrPeer
	}
	k := publicKeyed(labelMac1, t.network, to)
	b = appendMac(b, newMac(k[:]), b)
	copy(s.pending.mac1[:], b[len(b)-macSize:])
	if c, ok := t.jar.get(to, now); ok {
		s.pending.proved = true
		return appendMac(b, newMac(c[:]), b), nil
	}
	return append(b, make([]byte, macSize)...), nil
}

// jitter draws up to a tenth of RekeyAfter, in steps of a millisecond: nanoseconds times
// 32 random bits would not fit in 64.
func (t *Table) jitter() vtime.Duration {
	draw(t.random, t.nonce[:4])
	steps := uint64(RekeyAfter / 10 / vtime.Millisecond)
	return vtime.Duration(steps*uint64(binary.BigEndian.Uint32(t.nonce[:4]))>>32) * vtime.Millisecond
}

// receiveInit does the cheap checks in the order of their price, then the handshake.
func (t *Table) receiveInit(from netip.AddrPort, packet []byte, now vtime.Time) Result {
	if !checkMac(t.mac1, before1(packet), mac1(packet)) {
		t.n.WrongMac1++
		return Result{}
	}
	e := packet[initHead : initHead+keySize]
	if t.seen.has(e) {
		t.n.ReplayedInit++
		return Result{}
	}
	proved := t.baker.proves(packet, from, now)
	if !proved && t.load.rate(now) >= t.handshakeLoad {
		t.refuse(from, packet, now)
		return Result{}
	}
	t.load.add(now)
	h := t.handshake(nil)
	plain, _, _, err := h.ReadMessage(t.in[:0], packet[initHead:len(packet)-2*macSize])
	if err != nil {
		t.n.BadInit++
		return Result{}
	}
	t.seen.add(e)
	n := int(binary.BigEndian.Uint16(plain))
	if n > len(plain)-lengthSize {
		t.n.BadInit++
		return Result{}
	}
	s := &session{
		remote:  index(packet, 0),
		addr:    from,
		created: now,
		rekeyAt: vtime.Never,
		pending: &pending{handshake: h, budget: len(packet), open: true},
	}
	if proved {
		s.pending.budget = math.MaxInt
	}
	return t.admit(s, ident.Key(h.PeerStatic()), plain[lengthSize:lengthSize+n], now)
}

// admit takes a received handshake into the table if there is room, and delivers its
// payload. An Init without one needs no step of the core: it is answered at once.
func (t *Table) admit(s *session, from ident.Key, payload []byte, now vtime.Time) Result {
	if p := t.peers[from]; (p == nil || p.current == nil) && !t.room(now) {
		t.n.SessionsFull++
		return Result{}
	}
	if !t.roomPending(now) {
		t.n.PendingFull++
		return Result{}
	}
	s.index = t.newIndex()
	s.peer = t.peerOf(from)
	t.begin(s, &s.peer.unconfirmed)
	if len(payload) == 0 {
		t.Flush(from)
		return Result{}
	}
	return Result{Kind: KindMessage, Peer: from, Payload: payload, Addr: s.addr, Fresh: true}
}

// respond sends message 2 with the payload and takes the transport keys.
func (t *Table) respond(s *session, payload []byte) {
	b := append(t.out[:0], head(typeResponse))
	b = binary.BigEndian.AppendUint32(b, s.remote)
	plain := append(binary.BigEndian.AppendUint32(t.plain[:0], s.index), payload...)
	b, first, second, err := s.pending.handshake.WriteMessage(b, plain)
	invariant.Check(err == nil, "session: a peer whose Init is authentic has usable keys")
	s.keys(first, second)
	s.pending.handshake = nil
	invariant.Check(len(b) <= s.pending.budget, "session: a Response is larger than its Init")
	t.emitOn(s, b)
}

// receiveResponse ends a handshake of ours.
func (t *Table) receiveResponse(from netip.AddrPort, packet []byte, now vtime.Time) Result {
	s := t.sessions[index(packet, 0)]
	if s == nil || s.pending == nil || !s.initiator {
		t.n.UnknownHandshake++
		return Result{}
	}
	plain, first, second, err := s.pending.handshake.ReadMessage(t.in[:0], packet[responseHead:])
	if err != nil || len(plain) < indexSize {
		t.n.BadResponse++
		return Result{}
	}
	s.keys(first, second)
	s.remote = binary.BigEndian.Uint32(plain)
	payload := plain[indexSize:]
	if !t.establish(s, now) {
		return Result{}
	}
	// The peer has received the Init where it was called. Its answer's source is only
	// where somebody says that it is.
	t.follow(s, from, len(packet), now)
	if len(payload) == 0 {
		return Result{}
	}
	return Result{Kind: KindMessage, Peer: s.peer.key, Payload: payload, Addr: s.addr}
}
