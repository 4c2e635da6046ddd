package directory

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
	"github.com/ada420b6/overlay/internal/vtime"
)

// MaxPending is the default bound of a Pending. Held hands out 64 users a second, 5 puts
// each, and one that is never answered is open for 2.5 s: 800. 1 024 x 40 B = 40 kB.
const MaxPending = 1 << 10

// Retries is how often an unanswered put is sent again.
const Retries = 2

// Pending is the puts that wait for their acknowledgement. It keeps no record: what is
// sent again is whatever is newest by then.
type Pending struct {
	open  slab[put]
	max   int
	retry vtime.Duration // how long the first sending is waited for
	next  vtime.Time     // not later than the first deadline
}

type put struct {
	name     ident.NameID
	deadline vtime.Time
	to       ident.Handle
	sent     uint8
}

// Retry is a put whose acknowledgement did not come in time.
type Retry struct {
	ID     uint32       // as Start returned it
	To     ident.Handle // the replica
	Name   ident.NameID // whose record
	GaveUp bool         // not to be sent again: it is no longer pending
}

// NewPending returns an empty table for at most bound puts, at most 65 536; 0 stands for
// MaxPending. The first sending of each is waited for for retry, the others twice as
// long. After the last one the replica is left to the failure detector, and the record to
// the next refresh.
func NewPending(bound int, retry vtime.Duration) Pending {
	if bound == 0 {
		bound = MaxPending
	}
	invariant.Check(0 < bound && bound <= slabMax, "directory: pending puts out of range")
	invariant.Check(retry > 0, "directory: puts are sent again without a pause")
	return Pending{max: bound, retry: retry, next: vtime.Never}
}

// Len returns how many puts are open.
func (p *Pending) Len() int { return p.open.live }

// Start enters a put that is sent now and returns the number it carries. It reports
// false when the table is full: the put may be sent all the same, unwatched, as 0.
func (p *Pending) Start(name ident.NameID, to ident.Handle, now vtime.Time) (id uint32, ok bool) {
	if p.open.live == 0 {
		p.next = vtime.Never // what it was of was answered before its time
	}
	id, q := p.open.open(p.max)
	if q == nil {
		return 0, false
	}
	*q = put{name: name, to: to, deadline: now.Add(p.retry)}
	p.next = vtime.Earlier(p.next, q.deadline)
	return id, true
}

// Ack ends a put that its replica has answered, whatever the answer. It reports false
// when there is no such put or from is not the one who was asked.
func (p *Pending) Ack(id uint32, from ident.Handle) (name ident.NameID, ok bool) {
	q := p.open.get(id)
	if q == nil || q.to != from {
		return 0, false
	}
	name = q.name
	p.open.close(id)
	return name, true
}

// Due appends the puts that are to be sent again or given up.
func (p *Pending) Due(dst []Retry, now vtime.Time) []Retry {
	if now < p.next {
		return dst
	}
	p.next = vtime.Never
	for i := range p.open.cells {
		id, q := p.open.at(i)
		if q == nil {
			continue
		}
		if now >= q.deadline {
			gaveUp := q.sent == Retries
			dst = append(dst, Retry{ID: id, To: q.to, Name: q.name, GaveUp: gaveUp})
			if gaveUp {
				p.open.close(id)
				continue
			}
			q.sent++
			q.deadline = now.Add(2 * p.retry)
		}
		p.next = vtime.Earlier(p.next, q.deadline)
	}
	return dst
}

// Next returns when Due has something to do; it may be early, never late.
func (p *Pending) Next() vtime.Time {
	if p.open.live == 0 {
		return vtime.Never
	}
	return p.next
}
