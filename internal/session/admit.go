package session

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

// peerOf returns the peer with key k, and makes it if there is none. A peer that gets
// no session must be released.
func (t *Table) peerOf(k ident.Key) *peer {
	p := t.peers[k]
	if p == nil {
		p = &peer{key: k}
		t.peers[k] = p
	}
	return p
}

// release forgets a peer that nothing is held for.
func (t *Table) release(p *peer) {
	if p.current == nil && p.previous == nil && p.calling[0] == nil && p.unconfirmed[0] == nil {
		delete(t.peers, p.key)
	}
}

// room reports whether one more peer may get a session: there is a free place, or one
// whose session is idle.
func (t *Table) room(now vtime.Time) bool {
	if t.idle.n < t.maxSessions {
		return true
	}
	p, ok := t.idle.oldest()
	return ok && now.Sub(p.used) >= evictIdle
}

// roomPending reports whether one more handshake may begin, and makes room by dropping
// the oldest if it has had its round trip.
func (t *Table) roomPending(now vtime.Time) bool {
	if t.pending.n < t.maxPending {
		return true
	}
	s, _ := t.pending.oldest()
	if now.Sub(s.created) < pendingGrace {
		return false
	}
	t.drop(s)
	return true
}

// expire drops the handshakes that will not end any more. Called first by everything
// that is handed the time, so a handshake past its life is never seen.
func (t *Table) expire(now vtime.Time) {
	for {
		s, ok := t.pending.oldest()
		if !ok || now.Sub(s.created) < pendingLife {
			return
		}
		t.drop(s)
	}
}

// begin puts a new handshake into the table.
func (t *Table) begin(s *session, among *pair) {
	t.sessions[s.index] = s
	t.pending.newest(&s.pending.order, s)
	if gone := among.push(s); gone != nil {
		t.drop(gone)
	}
}

// establish makes s the session that payloads go out on, and reports whether there was
// room. The peer's older handshakes are over with that; newer ones go on.
func (t *Table) establish(s *session, now vtime.Time) bool {
	p := s.peer
	if p.current == nil && !t.room(now) {
		t.n.SessionsFull++
		t.drop(s)
		return false
	}
	for _, pending := range [...]*pair{&p.calling, &p.unconfirmed} {
		if pending[0] == s && pending[1] != nil {
			t.drop(pending[1])
		}
		pending.remove(s)
	}
	t.pending.remove(&s.pending.order)
	s.pending = nil
	if p.current == nil && t.idle.n >= t.maxSessions {
		oldest, _ := t.idle.oldest()
		t.n.Evicted++
		t.Forget(oldest.key)
	}
	if p.previous != nil {
		t.drop(p.previous)
	}
	p.previous, p.current = p.current, s
	t.n.Handshakes++
	t.touch(p, now)
	t.flushQueue(p, now)
	return true
}

// touch notes that the peer's session is in use.
func (t *Table) touch(p *peer, now vtime.Time) {
	p.used = now
	t.idle.newest(&p.idle, p)
}

// drop ends a session in whatever state it is.
func (t *Table) drop(s *session) {
	p := s.peer
	delete(t.sessions, s.index)
	if s.pending != nil {
		t.pending.remove(&s.pending.order)
		p.calling.remove(s)
		p.unconfirmed.remove(s)
	}
	switch s {
	case p.current:
		p.current = nil
		t.idle.remove(&p.idle)
		if p.previous != nil {
			t.drop(p.previous) // older: what ended the one ended the other
		}
	case p.previous:
		p.previous = nil
	}
	if p.calling[0] == nil && p.unconfirmed[0] == nil && len(p.queue) > 0 {
		t.n.QueueDropped += uint64(len(p.queue))
		p.queue = nil
	}
	t.release(p)
}
