package slots

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
	"github.com/ada420b6/overlay/internal/vtime"
)

// MaxQueue bounds what a policy may ask for: a login server of 2007 had an unbounded
// queue, and 10 million waiting are as good as that. 16 B x 16 777 216 = 268 MB.
const MaxQueue = 1 << 24

// Entry is one piece of work in a Queue.
type Entry struct {
	Peer    ident.Handle // whose
	What    uint32       // the caller's own mark: which kind of work
	Cost    uint16       // in hundredths of a request; 0 stands for a whole one
	Arrived vtime.Time
}

// Queue is the admission of 2007: first come, first served, at a fixed rate. It is kept
// for the policy that must fail. With a bound of 2 000 at 20 a second the last in line
// waits 100 s and has left after 10: from then on all work is for those who left.
type Queue struct {
	ring     []Entry
	first, n int
	bound    int
	spacing  vtime.Duration
	patience vtime.Duration
	free     vtime.Time     // when the server can take the next entry
	owed     vtime.Duration // service time of all that wait
	dropped  int
}

// NewQueue returns an empty queue of at most bound entries, 1 to MaxQueue, that serves
// rate of them per second. With a patience above 0, entries that have waited longer are
// dropped when their turn comes and cost no service time: the one change that cures the
// disease. 0 serves them all.
func NewQueue(bound, rate int, patience vtime.Duration) Queue {
	invariant.Check(0 < bound && bound <= MaxQueue, "slots: queue bound out of range")
	invariant.Check(rate > 0 && patience >= 0, "slots: queue without rate or with negative patience")
	return Queue{bound: bound, spacing: vtime.Second / vtime.Duration(rate), patience: patience}
}

// Len returns how many entries wait.
func (q *Queue) Len() int { return q.n }

// Dropped returns how many entries patience has cost so far.
func (q *Queue) Dropped() int { return q.dropped }

// Push appends an entry and reports false when the queue is full.
func (q *Queue) Push(e Entry) bool {
	if q.n == q.bound {
		return false
	}
	if q.n == len(q.ring) {
		q.grow()
	}
	q.ring[(q.first+q.n)%len(q.ring)] = e
	q.n++
	q.owed += q.cost(e)
	return true
}

// Pop returns the entry whose turn it is, if the server is free by now.
func (q *Queue) Pop(now vtime.Time) (Entry, bool) {
	for q.n > 0 && now >= q.free {
		e := q.ring[q.first]
		q.first = (q.first + 1) % len(q.ring)
		q.n--
		q.owed -= q.cost(e)
		if q.patience > 0 && now.Sub(e.Arrived) > q.patience {
			q.dropped++
			continue
		}
		// Service that could have begun earlier did: a late timer costs no capacity.
		q.free = vtime.Later(q.free, e.Arrived).Add(q.cost(e))
		return e, true
	}
	return Entry{}, false
}

func (q *Queue) cost(e Entry) vtime.Duration {
	if e.Cost == 0 {
		return q.spacing
	}
	return q.spacing * vtime.Duration(e.Cost) / 100
}

// Backlog returns how long whoever comes at now waits for his turn.
func (q *Queue) Backlog(now vtime.Time) vtime.Duration {
	return max(0, q.free.Sub(now)) + q.owed
}

// Next returns when Pop has something to do.
func (q *Queue) Next() vtime.Time {
	if q.n == 0 {
		return vtime.Never
	}
	return vtime.Later(q.free, q.ring[q.first].Arrived)
}

// grow doubles the ring, up to the bound: a queue costs what it was ever filled with.
func (q *Queue) grow() {
	bigger := make([]Entry, min(q.bound, max(16, 2*len(q.ring))))
	k := copy(bigger, q.ring[q.first:])
	copy(bigger[k:], q.ring[:q.first])
	q.ring, q.first = bigger, 0
}

// Refer calls mark for every handle whose work waits.
func (q *Queue) Refer(mark func(ident.Handle)) {
	for i := range q.n {
		mark(q.ring[(q.first+i)%len(q.ring)].Peer)
	}
}
