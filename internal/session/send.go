package session

import (
	"encoding/binary"
	"net/netip"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

const (
	// callPatience is how long payloads wait for an outstanding handshake instead of
	// starting another: the core's shortest retransmission interval.
	callPatience = vtime.Second

	// maxQueue is how many payloads wait for one peer's session: at most 4 x 1219 B.
	// The core retransmits what is displaced.
	maxQueue = 4

	// queueLife is how long a payload may wait: then the core has sent it again.
	queueLife = 2 * vtime.Second
)

// Send sends a payload of at most MaxPayload bytes to the peer, in the first of these
// ways that applies:
//
//   - fresh: in a new Init to addr;
//   - the peer's Init was received and not answered yet: in the Response, at most
//     MaxAnswer bytes;
//   - a session is established, or the peer's Init was answered: in a Transport packet
//     to the address of the session; addr is not used;
//   - the peer's Init was answered, but its address is unproven and the size of the
//     Init used up, or an Init was sent to it less than a second ago: the payload waits
//     for the session, at most 2 s, and displaces the oldest when four wait;
//   - in a new Init to addr. A payload of more than MaxInitPayload bytes waits for the
//     Response instead.
//
// Without an error the packet was handed to Config.Out or the payload waits; that says
// nothing about its arrival. Errors: ErrPayload, ErrAddress (an Init is due and addr is
// invalid), ErrFull, ErrPeer. None changes the state of the table.
func (t *Table) Send(to ident.Key, addr netip.AddrPort, payload []byte, fresh bool, now vtime.Time) error {
	t.expire(now)
	if len(payload) > MaxPayload {
		return ErrPayload
	}
	p := t.peers[to]
	if p == nil || fresh {
		return t.call(to, addr, payload, now)
	}
	if s := p.unanswered(); s != nil {
		return t.answer(s, payload)
	}
	if s := t.route(p, len(payload), now); s != nil {
		if s == p.current && t.renew(s, payload, now) {
			return nil
		}
		t.transport(s, payload)
		if s == p.current {
			t.touch(p, now)
		}
		return nil
	}
	if p.unconfirmed[0] != nil || p.waits(now) {
		t.enqueue(p, payload, now)
		return nil
	}
	return t.call(to, addr, payload, now)
}

// Flush ends the answer to the peer's Init: if nothing was sent since, the Response
// goes out without a payload. Call it after the step that a Fresh message caused.
func (t *Table) Flush(to ident.Key) {
	p := t.peers[to]
	if p == nil {
		return
	}
	for _, s := range p.unconfirmed {
		if s == nil {
			continue
		}
		if s.pending.handshake != nil {
			t.respond(s, nil)
		}
		s.pending.open = false
	}
}

// unanswered returns the newest session whose Init has no Response yet.
func (p *peer) unanswered() *session {
	if s := p.unconfirmed[0]; s != nil && s.pending.handshake != nil {
		return s
	}
	return nil
}

// answer sends the Response to an Init that is still open.
func (t *Table) answer(s *session, payload []byte) error {
	if len(payload) > MaxAnswer {
		return ErrPayload
	}
	t.respond(s, payload)
	return nil
}

// route returns the session for a payload of n bytes. What belongs to an answer goes
// out on the session that the answer opens. Later an established session comes first: a
// replayed Init opens a session that nobody listens to.
func (t *Table) route(p *peer, n int, now vtime.Time) *session {
	if s := p.current; s != nil && s.dead(now) {
		t.n.Expired++
		t.drop(s)
	}
	s := p.unconfirmed[0]
	if s == nil || s.pending.budget < transportOverhead+n || p.current != nil && !s.pending.open {
		return p.current
	}
	return s
}

// waits reports whether a handshake of ours is young enough to wait for.
func (p *peer) waits(now vtime.Time) bool {
	s := p.calling[0]
	return s != nil && !s.pending.refused && now.Sub(s.created) < callPatience
}

// renew sends the payload as an Init if the session is worn, and reports whether it
// did. If it could not, the old session still serves.
func (t *Table) renew(s *session, payload []byte, now vtime.Time) bool {
	p := s.peer
	if !s.worn(now) || p.waits(now) || len(payload) > MaxInitPayload {
		return false
	}
	if t.call(p.key, s.addr, payload, now) != nil {
		return false
	}
	t.n.Rekeys++
	return true
}

// enqueue keeps a copy of the payload until a session is established.
func (t *Table) enqueue(p *peer, payload []byte, now vtime.Time) {
	if len(p.queue) == maxQueue {
		t.n.QueueDropped++
		copy(p.queue, p.queue[1:])
		p.queue = p.queue[:maxQueue-1]
	}
	p.queue = append(p.queue, waiting{append([]byte(nil), payload...), now})
}

// flushQueue sends what waited for a session. Of a session that we began the peer waits
// for a packet, so it gets an empty one if nothing waited.
func (t *Table) flushQueue(p *peer, now vtime.Time) {
	s := p.current
	for _, w := range p.queue {
		if now.Sub(w.since) > queueLife {
			t.n.QueueDropped++
			continue
		}
		t.transport(s, w.payload)
	}
	p.queue = nil
	if s.counter == 0 && s.initiator {
		t.transport(s, nil)
	}
}

// transport seals a payload and sends it on s.
func (t *Table) transport(s *session, payload []byte) {
	b := t.out[:transportHead]
	b[0] = head(typeTransport)
	binary.BigEndian.PutUint32(b[headSize:], s.remote)
	binary.BigEndian.PutUint32(b[headSize+indexSize:], s.index)
	binary.BigEndian.PutUint64(b[headSize+2*indexSize:], s.counter)
	t.emitOn(s, t.seal(s, b, payload))
}

// seal appends plain, encrypted, to a header that holds the counter of s, and counts.
func (t *Table) seal(s *session, header, plain []byte) []byte {
	b := s.send.Seal(header, t.counterNonce(s.counter), plain, header)
	copy(s.tags[s.counter%keptTags][:], tag(b))
	s.counter++
	return b
}

// emitOn sends a packet of the session s and charges it to an unproven address.
func (t *Table) emitOn(s *session, packet []byte) {
	if s.pending != nil {
		s.pending.budget -= len(packet)
	}
	t.emit(s.addr, packet)
}

// counterNonce returns Noise's nonce for a counter: 4 zeros, then little-endian.
func (t *Table) counterNonce(counter uint64) []byte {
	clear(t.nonce[:4])
	binary.LittleEndian.PutUint64(t.nonce[4:], counter)
	return t.nonce[:]
}
