package core

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/slots"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// The admission of 2007, for the policy that must fail (PROTOCOL.md section 11): whoever
// asks waits in one queue, and is served in his turn whether he still waits or not. The
// default policy never comes here.

// queue is the attach requests, and in 2007 the keepalives too, that wait.
type queue struct {
	line  slots.Queue
	work  []work     // what the line's entries mean: a ring, since they leave in their order
	count uint32     // entries ever
	opens vtime.Time // a rebooted supernode serves only from here
	next  vtime.Time // when the next entry's turn comes
	long  vtime.Time // since when the queue has been too long, Never while it is not
	made  bool
}

// work is a request that waits.
type work struct {
	attach  bool
	able    bool
	thirsty bool
	class   wire.Class
	token   uint32
	nonce   uint64
	record  wire.Record
}

// keepaliveCost is what answering a keepalive costs in hundredths of an attach: a
// symmetric packet against a handshake and five puts.
const keepaliveCost = 5

func (s *step) enqueue(m *wire.Attach) {
	s.push(s.in.From, 100, work{attach: true, able: m.Able, class: m.Class, nonce: m.Nonce, record: m.Record})
}

func (s *step) enqueueKeepalive(m *wire.Keepalive) {
	s.push(s.in.From, keepaliveCost, work{able: m.Able, thirsty: m.Thirsty, token: m.Token})
}

// push appends work to the line; beyond its bound it is dropped without a word.
func (s *step) push(from ident.Handle, cost uint16, w work) {
	q := &s.env.Super.queue
	if !q.made {
		q.line = slots.NewQueue(s.p.Queue, s.attachRate(), s.p.QueueLife)
		q.made, q.long = true, vtime.Never
	}
	i := q.count % uint32(s.p.Queue)
	if !q.line.Push(slots.Entry{Peer: from, What: i, Cost: cost, Arrived: s.now}) {
		return
	}
	q.count++
	if int(i) == len(q.work) {
		q.work = append(q.work, w)
	} else {
		q.work[i] = w
	}
}

// queueDue serves whose turn has come.
func (s *step) queueDue() {
	q := &s.env.Super.queue
	q.next = vtime.Never
	if !q.made {
		return
	}
	for {
		e, ok := q.line.Pop(s.now)
		if !ok {
			break
		}
		w := q.work[e.What]
		if w.attach {
			s.admit(e.Peer, w.nonce, w.class, w.able, w.record)
		} else {
			s.keepalive(e.Peer, &wire.Keepalive{Token: w.token, Able: w.able, Thirsty: w.thirsty})
		}
	}
	q.next = q.line.Next()
	s.overload()
}

// overload notes how long the queue has been too long, for the policy that quits.
func (s *step) overload() {
	q := &s.env.Super.queue
	if q.line.Backlog(s.now) < s.p.QuitBacklog {
		q.long = vtime.Never
	} else if q.long == vtime.Never {
		q.long = s.now
	}
}

// quits reports whether the policy of 2010 gives up now.
func (s *step) quits() bool {
	q := &s.env.Super.queue
	return s.p.QuitOverload > 0 && q.made && q.long != vtime.Never && s.now.Sub(q.long) >= s.p.QuitOverload
}
