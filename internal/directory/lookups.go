package directory

import (
	"math/bits"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
	"github.com/ada420b6/overlay/internal/vtime"
)

// MaxLookups is the default bound of a Lookups: 1 024 in flight for at most 1 s each.
// That is 400 users with 2.5 look-ups a second each, all of them unanswered; 1 024 x
// 120 B = 123 kB, of which only what was ever used is allocated.
const MaxLookups = 1 << 10

// maxPerAsker bounds the look-ups of one asker once half of the table is taken, so that
// one node can't take it all.
const maxPerAsker = 32

// askedFirst is how many replicas are asked at once, the others when neither has settled
// it: two, so that one that has just died costs nothing.
const askedFirst = 2

// Outcome is how a look-up ended.
type Outcome uint8

// The outcomes.
const (
	Found       Outcome = iota // the record is there and not older than the floor
	None                       // more than half of the replicas hold no record, and nobody holds one
	Unavailable                // no replica answered, or only with records older than the floor
)

// Query is a question on behalf of a node, or of this supernode itself.
type Query struct {
	Asker  ident.Handle // who is told
	Tag    uint32       // the asker's own number for it, handed back
	Name   ident.NameID // the name
	Floor  uint64       // sequence number below which an answer is stale; 0 for none
	Ranked Ranking      // whom to ask
}

// Action is what a look-up wants done: To set means ask To for Name under number ID;
// None means tell Asker the outcome.
type Action struct {
	ID      uint32
	To      ident.Handle // may be this supernode itself: answer from the Store
	Name    ident.NameID
	Asker   ident.Handle
	Tag     uint32
	Outcome Outcome
	Record  Record // when Outcome is Found
}

// Lookups is the look-ups in flight. Each ends exactly once, with an Action that tells
// the asker, at the latest when the timeout has passed.
type Lookups struct {
	open    slab[lookup]
	max     int
	hedge   vtime.Duration
	timeout vtime.Duration
	next    vtime.Time // not later than the first deadline
}

type lookup struct {
	query    Query
	deadline vtime.Time // of the hedge while not all were asked, else of the look-up
	end      vtime.Time
	asked    uint8 // how many, in rank order
	answered uint8 // bit per rank
	no       uint8 // bit per rank: holds no record of the name
}

// NewLookups returns an empty table for at most bound look-ups, at most 65 536, with
// this hedge delay and timeout. A bound of 0 stands for MaxLookups.
func NewLookups(bound int, hedge, timeout vtime.Duration) Lookups {
	if bound == 0 {
		bound = MaxLookups
	}
	invariant.Check(0 < bound && bound <= slabMax, "directory: look-ups out of range")
	invariant.Check(0 < hedge && hedge <= timeout, "directory: look-up hedged after its end")
	return Lookups{max: bound, hedge: hedge, timeout: timeout, next: vtime.Never}
}

// Len returns how many look-ups are in flight.
func (l *Lookups) Len() int { return l.open.live }

// Start begins a look-up: it appends the questions to the two best replicas. It reports
// false when there is no room or nobody to ask; the asker is then told Unavailable by
// the caller.
func (l *Lookups) Start(dst []Action, q Query, now vtime.Time) ([]Action, bool) {
	if q.Ranked.n == 0 || l.crowded(q.Asker) {
		return dst, false
	}
	if l.open.live == 0 {
		l.next = vtime.Never // what it was of ended before its time
	}
	id, p := l.open.open(l.max)
	if p == nil {
		return dst, false
	}
	*p = lookup{query: q, deadline: now.Add(l.hedge), end: now.Add(l.timeout)}
	dst = p.ask(dst, id, askedFirst)
	l.next = vtime.Earlier(l.next, p.deadline)
	return dst, true
}

// Answer takes what the replica from says about look-up id: a verified record, or that
// it holds none. It reports false when there is no such look-up (it has ended), from was
// not asked, or the record is of another name: a peer's mistake that the caller counts.
func (l *Lookups) Answer(dst []Action, id uint32, from ident.Handle, rec Record, found bool) ([]Action, bool) {
	p := l.open.get(id)
	if p == nil || found && rec.Name != p.query.Name {
		return dst, false
	}
	rank := -1
	for i, h := range p.query.Ranked.list[:p.asked] {
		if h == from && p.answered&(1<<i) == 0 {
			rank = i
			break
		}
	}
	if rank < 0 {
		return dst, false
	}
	p.answered |= 1 << rank
	if found && rec.Seq >= p.query.Floor {
		return l.finish(dst, id, p, Found, rec), true
	}
	if !found {
		p.no |= 1 << rank
	}
	switch bits.OnesCount8(p.answered) {
	case int(p.query.Ranked.n):
		return l.finish(dst, id, p, p.negative(), Record{}), true
	case int(p.asked):
		// Everybody asked has answered in vain: waiting for the hedge would be idle.
		dst = p.ask(dst, id, Replicas)
	}
	return dst, true
}

// Due appends the hedges and the outcomes whose time has come.
func (l *Lookups) Due(dst []Action, now vtime.Time) []Action {
	if now < l.next {
		return dst
	}
	l.next = vtime.Never
	for i := range l.open.cells {
		id, p := l.open.at(i)
		if p == nil {
			continue
		}
		if now >= p.end {
			dst = l.finish(dst, id, p, p.negative(), Record{})
			continue
		}
		if now >= p.deadline {
			dst = p.ask(dst, id, Replicas)
		}
		l.next = vtime.Earlier(l.next, p.deadline)
	}
	return dst
}

// Next returns when Due has something to do; it may be early, never late.
func (l *Lookups) Next() vtime.Time {
	if l.open.live == 0 {
		return vtime.Never
	}
	return l.next
}

// crowded says whether the asker has its share of a table that is filling up.
func (l *Lookups) crowded(asker ident.Handle) bool {
	if l.open.live < l.max/2 {
		return false
	}
	n := 0
	for i := range l.open.cells {
		if _, p := l.open.at(i); p != nil && p.query.Asker == asker {
			n++
		}
	}
	return n >= maxPerAsker
}

// finish tells the asker and forgets the look-up.
func (l *Lookups) finish(dst []Action, id uint32, p *lookup, o Outcome, rec Record) []Action {
	dst = append(dst, Action{
		ID: id, Name: p.query.Name, Asker: p.query.Asker, Tag: p.query.Tag, Outcome: o, Record: rec,
	})
	l.open.close(id)
	return dst
}

// ask questions the replicas up to rank n that were not asked yet. Once all were asked
// only the end of the look-up is left to wait for.
func (p *lookup) ask(dst []Action, id uint32, n int) []Action {
	n = min(n, int(p.query.Ranked.n))
	for ; int(p.asked) < n; p.asked++ {
		dst = append(dst, Action{ID: id, To: p.query.Ranked.list[p.asked], Name: p.query.Name})
	}
	if p.asked == p.query.Ranked.n {
		p.deadline = p.end
	}
	return dst
}

// negative is the outcome of a look-up that found nothing. A replica that holds an older
// record than the asker has seen proves that the name exists: that is no None. Nor are
// the words of a few, who may not be the ones that the record was put to: more than
// half of the replicas must have said that they hold none.
func (p *lookup) negative() Outcome {
	if p.no == p.answered && 2*bits.OnesCount8(p.no) > int(p.query.Ranked.n) {
		return None
	}
	return Unavailable
}
