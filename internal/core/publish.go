package core

import (
	"github.com/ada420b6/overlay/internal/attach"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/wire"
)

// A node's record lists its attachments. Each supernode that holds it gets the newest
// one and keeps it fresh in the directory, so that the node itself never has to.

// publishTries is how often a record is sent to a supernode that does not confirm it;
// after that the keepalive decides whether the supernode lives.
const publishTries = 5

// recordWith is the node's record once it is attached to target as well.
func (s *step) recordWith(target ident.Handle) wire.Record {
	n := s.n
	r := wire.Record{Name: n.name, Owner: n.self, Seq: n.seq}
	if s.env.Super != nil {
		r.At[0] = n.self
		return r
	}
	k := 0
	add := func(h ident.Handle) {
		if h != ident.None && k < len(r.At) && (k == 0 || r.At[0] != h) {
			r.At[k] = h
			k++
		}
	}
	for i := range n.at {
		if !n.at[i].parting {
			add(n.at[i].peer)
		}
	}
	add(target)
	// In an order that does not depend on which came first: two supernodes that are handed
	// the record in two ways must agree which of them is the first (see tend).
	if k == 2 && s.env.Book.ID(r.At[1]) < s.env.Book.ID(r.At[0]) {
		r.At[0], r.At[1] = r.At[1], r.At[0]
	}
	return r
}

// publish gives the newest record to every attachment but the one that has it.
func (s *step) publish(has ident.Handle) {
	n := s.n
	n.pub = publication{until: s.now, overtaken: n.seek.Phase == attach.Joining}
	for i := range n.at {
		if h := n.at[i].peer; h != ident.None && h != has {
			n.pub.owed |= 1 << i
		}
	}
}

// renumber raises the sequence number of the node's records to seq: a certificate of a
// later generation makes them later than all before.
func (s *step) renumber(seq uint64) {
	if seq > s.n.seq {
		s.n.seq = seq
		s.publish(ident.None)
		if s.env.Super != nil {
			s.hold(ident.None, s.recordWith(ident.None))
		}
	}
}

func (s *step) publishDue() {
	p := &s.n.pub
	if p.owed == 0 || s.now < p.until {
		return
	}
	if p.tries == publishTries {
		p.owed = 0
		return
	}
	m := wire.Publish{Record: s.recordWith(ident.None)}
	for i := range s.n.at {
		h := s.n.at[i].peer
		if h == ident.None {
			p.owed &^= 1 << i
		} else if p.owed&(1<<i) != 0 {
			s.out.send(h, m.Append(s.out.begin(), s.env.Book), false)
		}
	}
	p.until = s.now.Add(s.p.PutRetry << p.tries)
	p.tries++
}

func (s *step) onPublishAck() {
	var m wire.PublishAck
	i := s.n.holds(s.in.From)
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) || i < 0 {
		return
	}
	if m.Seq == s.n.seq {
		s.n.pub.owed &^= 1 << i
	}
	s.heard(i)
}
