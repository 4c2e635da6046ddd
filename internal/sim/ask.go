package sim

import (
	"errors"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// question names what an application waits for: a look-up by its number, a channel by
// the other end.
type question struct {
	asker uint32
	about uint32
}

// Answer is the outcome of a look-up.
type Answer struct {
	Status wire.LookupStatus
	Owner  int    // number of the node that has the name, when found
	Seq    uint64 // of its record
	At     [2]ident.Handle
	Took   vtime.Duration

	asked vtime.Time
	tell  func(Answer)
}

// Channel is a relayed channel between two nodes.
type Channel struct {
	ID    uint64 // 0 when there is none
	Relay int    // number of the supernode that forwards
	Took  vtime.Duration

	asked vtime.Time
	over  bool
}

// Errors of the questions.
var (
	ErrDown      = errors.New("overlay/sim: the node does not run")
	ErrNoAnswer  = errors.New("overlay/sim: nothing came back within the time that was given")
	ErrNotFound  = errors.New("overlay/sim: the name was not found")
	ErrNoChannel = errors.New("overlay/sim: no relay opens a channel")
)

// answerBound is how long Lookup and Dial run before they give up: far beyond what the
// protocol promises, so that it is the protocol's answer that is seen.
const answerBound = 60 * vtime.Second

// Ask lets node asker look up name; tell is called, during Run, with the answer. A
// node that does not run never answers.
func (s *Sim) Ask(asker int, name string, tell func(Answer)) {
	i := s.node(asker)
	if !s.hosts[i].is(hostUp) {
		return
	}
	s.query++
	s.asked[question{i, s.query}] = &Answer{asked: s.now, tell: tell}
	id := ident.HashName(name)
	s.in = core.Input{Kind: core.InputLookup, Query: s.query, Name: id, Floor: s.floors[[2]uint64{uint64(i), uint64(id)}]}
	s.step(i)
}

// Lookup lets node asker look up name and runs until it is answered. The answer may be
// that nobody knows; the error is ErrDown, ErrNoAnswer or a Violation.
func (s *Sim) Lookup(asker int, name string) (Answer, error) {
	if !s.Running(asker) {
		return Answer{}, ErrDown
	}
	var got *Answer
	s.Ask(asker, name, func(a Answer) { got = &a })
	if _, err := s.RunUntil(func() bool { return got != nil }, answerBound); err != nil {
		return Answer{}, err
	}
	if got == nil {
		return Answer{}, ErrNoAnswer
	}
	return *got, nil
}

// found ends a look-up. A machine answers each query once.
func (s *Sim) found(i uint32, f *core.Effect) {
	q := question{i, f.Query}
	a := s.asked[q]
	if a == nil {
		return // asked before a reboot
	}
	delete(s.asked, q)
	a.Status, a.Took = wire.LookupStatus(f.Status), s.now.Sub(a.asked)
	if a.Status == wire.LookupFound {
		a.Owner, a.Seq, a.At = s.number(index(f.Record.Owner)), f.Record.Seq, f.Record.At
		s.floors[[2]uint64{uint64(i), uint64(f.Record.Name)}] = f.Record.Seq
	}
	a.tell(*a)
}

// Dial lets node from look up node to and open a channel to it by way of a supernode,
// and runs until it stands. The error is ErrDown, ErrNotFound, ErrNoChannel,
// ErrNoAnswer or a Violation.
func (s *Sim) Dial(from, to int) (Channel, error) {
	a, err := s.Lookup(from, s.Name(to))
	switch {
	case err != nil:
		return Channel{}, err
	case a.Status != wire.LookupFound:
		return Channel{}, ErrNotFound
	case !s.Running(from):
		return Channel{}, ErrDown
	}
	i, peer := s.node(from), handle(s.node(a.Owner))
	q := question{i, uint32(peer)}
	c := &Channel{asked: s.now}
	s.dialed[q] = c
	defer delete(s.dialed, q)
	s.in = core.Input{Kind: core.InputDial, From: peer, At: a.At, Name: ident.HashName(s.Name(to)), Floor: a.Seq}
	s.step(i)
	if _, err := s.RunUntil(func() bool { return c.over }, answerBound); err != nil {
		return Channel{}, err
	}
	switch {
	case !c.over:
		return Channel{}, ErrNoAnswer
	case c.ID == 0:
		return Channel{}, ErrNoChannel
	}
	return *c, nil
}

// Hangup lets node from give up its channel to node to.
func (s *Sim) Hangup(from, to int) {
	if i := s.node(from); s.hosts[i].is(hostUp) {
		s.in = core.Input{Kind: core.InputHangup, From: handle(s.node(to))}
		s.step(i)
	}
}

// unanswered forgets what the applications of host i waited for when it went down.
func (s *Sim) unanswered(i uint32) {
	for q := range s.asked {
		if q.asker == i {
			delete(s.asked, q)
		}
	}
}

func (s *Sim) channel(i uint32, f *core.Effect) {
	c := s.dialed[question{i, uint32(f.Peer)}]
	if c == nil {
		return // the other end, or a channel that moves to another relay
	}
	c.over, c.Took = true, s.now.Sub(c.asked)
	if f.Kind == core.EffectChannel {
		c.ID, c.Relay = f.Channel, s.number(index(f.Relay))
	}
}
