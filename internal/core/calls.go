package core

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// MaxCalls bounds the look-ups and the peers with channels of one node, each: at 40 and 112
// bytes an entry, 76 KiB together. An application that asks for more gets LookupUnavailable.
const MaxCalls = 512

// Calls is what the application has asked for: look-ups that are not answered yet, and
// channels to peers. It hangs apart from Node because most nodes of a large simulation
// never call anybody.
type Calls struct {
	lookups []lookup
	dials   []dialling
	next    uint32 // the last number that was drawn, of a call or a look-up of its own
}

// lookup is a question that a supernode answers within its own bound; this side only
// covers for lost messages and dead supernodes.
type lookup struct {
	name  ident.NameID
	floor uint64
	until vtime.Time // the answer is due
	ends  vtime.Time // the application is told that nobody knows
	query uint32
	tries uint8
	done  bool // answered: callsDue clears it away
}

// lookupTries is how many questions are sent before a look-up is given up: with 15 % loss
// one in 500 is.
const lookupTries = 5

func (c *Calls) deadline() vtime.Time {
	t := vtime.Never
	for i := range c.lookups {
		t = vtime.Earlier(t, vtime.Earlier(c.lookups[i].until, c.lookups[i].ends))
	}
	for i := range c.dials {
		t = vtime.Earlier(t, c.dials[i].deadline())
	}
	return t
}

// hurry lets everything that waits for an attachment go on.
func (c *Calls) hurry(now vtime.Time) {
	for i := range c.lookups {
		if c.lookups[i].tries == 0 {
			c.lookups[i].until = now
		}
	}
}

func (s *step) calls() *Calls {
	if s.env.Calls == nil {
		s.env.Calls = &Calls{}
	}
	return s.env.Calls
}

// lookup takes the application's question.
func (s *step) lookup() {
	c := s.calls()
	if len(c.lookups) == MaxCalls {
		s.found(s.in.Query, wire.LookupUnavailable, wire.Record{})
		return
	}
	bound := lookupTries * s.lookupWait()
	c.lookups = append(c.lookups, lookup{
		name: s.in.Name, floor: s.in.Floor, query: s.in.Query, until: s.now, ends: s.now.Add(bound),
	})
}

func (s *step) found(query uint32, status wire.LookupStatus, r wire.Record) {
	if query&seekQuery != 0 {
		s.sought(query, status, r)
		return
	}
	s.out.add(Effect{Kind: EffectFound, Query: query, Status: uint8(status), Record: r})
}

func (s *step) callsDue() {
	c := s.env.Calls
	for i := 0; i < len(c.lookups); {
		if s.lookupDue(&c.lookups[i]) {
			c.lookups = append(c.lookups[:i], c.lookups[i+1:]...)
		} else {
			i++
		}
	}
	for i := 0; i < len(c.dials); {
		if s.dialDue(&c.dials[i]) {
			c.dials = append(c.dials[:i], c.dials[i+1:]...)
		} else {
			i++
		}
	}
	if len(c.lookups)+len(c.dials) == 0 {
		s.env.Calls = nil
	}
}

// lookupWait is how long an answer is waited for before the other supernode is asked. A
// supernode answers within LookupTimeout; nearly always in a fraction of it.
func (s *step) lookupWait() vtime.Duration { return s.p.LookupTimeout * 9 / 10 }

// lookupDue asks the next supernode and reports whether the look-up is over.
func (s *step) lookupDue(l *lookup) bool {
	if l.done {
		return true
	}
	if s.now >= l.ends {
		s.found(l.query, wire.LookupUnavailable, wire.Record{})
		return true
	}
	if s.now < l.until {
		return false
	}
	if s.env.Super != nil {
		l.until = l.ends
		l.tries++
		s.superLookup(ident.None, l.query, l.name, l.floor) // may answer, and end it, at once
		return l.done
	}
	to := s.n.at[int(l.tries)%2].peer
	if to == ident.None {
		to = s.n.at[(int(l.tries)+1)%2].peer
	}
	if to == ident.None { // hurry wakes it when there is an attachment
		l.until, l.tries = l.ends, 0
		return false
	}
	m := wire.Lookup{Query: l.query, Name: l.name, Floor: l.floor}
	s.out.send(to, m.Append(s.out.begin(), s.env.Book), false)
	l.until = s.now.Add(s.lookupWait())
	l.tries++
	return false
}

func (s *step) onFound() {
	var m wire.Found
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) || s.n.holds(s.in.From) < 0 {
		return
	}
	s.answered(m.Query, m.Status, m.Record)
}

// answered ends a look-up, unless the answer can't be true: the record is of another
// name, or older than one the asker has seen (rule R8).
func (s *step) answered(query uint32, status wire.LookupStatus, r wire.Record) {
	if s.env.Calls == nil {
		return
	}
	c := s.env.Calls
	for i := range c.lookups {
		l := &c.lookups[i]
		if l.query != query || l.done {
			continue
		}
		if status == wire.LookupFound && (r.Name != l.name || r.Seq < l.floor) {
			s.n.bad++
			return
		}
		if status == wire.LookupUnavailable && l.tries < lookupTries {
			l.until = s.now.Add(s.p.PutRetry)
			return
		}
		s.found(query, status, r)
		l.done = true
		return
	}
}
