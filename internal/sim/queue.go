package sim

import (
	"math/bits"

	"github.com/ada420b6/overlay/internal/invariant"
	"github.com/ada420b6/overlay/internal/vtime"
)

// eventKind says what an event does when its time has come.
type eventKind uint8

const (
	eventTimer  eventKind = iota // the deadline of host; gen says whether it still counts
	eventArrive                  // a message has crossed the network
	eventServe                   // a message has waited its turn at host; gen is the boot it waited in
	eventStart                   // host comes up
	eventCrash                   // host goes down without goodbye; aux is how long for, 0 for good
	eventLeave                   // host says goodbye; aux is how long it stays away, 0 for good
	eventIssue                   // login server host has decided the application of from; ref is the query
)

// event is one thing that will happen: a record without pointers, so that tens of
// millions of them wait without the collector looking at one.
type event struct {
	at   vtime.Time
	seq  uint64 // the order of pushing: breaks ties of time, so that every run is the same run
	host uint32 // index of whom it happens to
	from uint32 // index of the sender
	ref  uint32 // bytes of a message in the arena, or the query of eventIssue
	gen  uint32 // generation of a timer, boot of a served message
	aux  uint32 // milliseconds
	next uint32 // chains a slot of the wheel, or the free list
	n    uint16 // bytes of a message
	kind eventKind
	flag uint8
}

// The flags of a message.
const (
	flagPlain uint8 = 1 << iota // outside of any session
	flagFresh                   // the first message of a session: costs a handshake
	flagCopy                    // the network's own duplicate
)

// The wheel's shape. A tick is 2^20 ns, about a millisecond; four levels of 1024 slots
// reach 2^60 ns, 36 years, which is farther than any deadline of the protocol.
const (
	tickBits   = 20
	levelBits  = 10
	levels     = 4
	levelSlots = 1 << levelBits
	levelMask  = levelSlots - 1
)

// queue holds the events that are still to come and gives them back by time, then by
// order of pushing.
//
// It is a hierarchical timing wheel: pushing is O(1) whatever the number of events
// that wait (a heap of ten million costs 23 cache misses a push). The slot that is
// being worked off is the only part that is sorted, in a small heap of keys.
type queue struct {
	slab  slab
	seq   uint64
	tick  int64 // of the slot that run holds; no event outside of run is earlier
	slots [levels][levelSlots]uint32
	used  [levels][levelSlots / 64]uint64 // a bit for each slot that is not empty
	run   []runKey
	count int
}

type runKey struct {
	at  vtime.Time
	seq uint64
	ref uint32
}

func (a *runKey) before(b *runKey) bool {
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}

// push adds e. Its seq and next are the queue's own.
func (q *queue) push(e event) {
	invariant.Check(e.at != vtime.Never, "sim: an event that never happens was queued")
	q.seq++
	e.seq = q.seq
	ref := q.slab.put(e)
	q.count++
	q.place(ref, q.slab.at(ref))
}

// pop removes the earliest event. It reports false when none is due by limit; nothing
// is then disturbed that an earlier event could still be pushed before.
func (q *queue) pop(limit vtime.Time) (event, bool) {
	for len(q.run) == 0 {
		if !q.advance(limit) {
			return event{}, false
		}
	}
	if q.run[0].at > limit {
		return event{}, false
	}
	ref := q.popRun()
	e := *q.slab.at(ref)
	q.slab.free(ref)
	q.count--
	return e, true
}

// place puts an event where its time says: into run when its slot is being worked off
// or is already past, else into the lowest level whose window it shares with tick.
func (q *queue) place(ref uint32, e *event) {
	t := int64(e.at) >> tickBits
	if t <= q.tick {
		q.pushRun(runKey{e.at, e.seq, ref})
		return
	}
	level := (bits.Len64(uint64(t^q.tick)) - 1) / levelBits
	invariant.Check(level < levels, "sim: an event lies beyond the wheel")
	slot := t >> (level * levelBits) & levelMask
	e.next = q.slots[level][slot]
	q.slots[level][slot] = ref
	q.used[level][slot>>6] |= 1 << (slot & 63)
}

// advance moves tick to the next slot that is not empty and spreads its events. It
// reports false when that slot begins after limit.
func (q *queue) advance(limit vtime.Time) bool {
	for level := range levels {
		shift := level * levelBits
		slot := q.nextUsed(level, int(q.tick>>shift&levelMask)+1)
		if slot < 0 {
			continue
		}
		start := q.tick>>(shift+levelBits)<<(shift+levelBits) | int64(slot)<<shift
		if start > int64(limit)>>tickBits {
			return false
		}
		q.tick = start
		ref := q.slots[level][slot]
		q.slots[level][slot] = 0
		q.used[level][slot>>6] &^= 1 << (slot & 63)
		for ref != 0 {
			e := q.slab.at(ref)
			next := e.next
			q.place(ref, e)
			ref = next
		}
		return true
	}
	return false
}

// nextUsed returns the first slot of level at or after from that is not empty, or -1.
func (q *queue) nextUsed(level, from int) int {
	for word := from >> 6; word < levelSlots/64; word++ {
		set := q.used[level][word]
		if word == from>>6 {
			set &= ^uint64(0) << (from & 63)
		}
		if set != 0 {
			return word<<6 + bits.TrailingZeros64(set)
		}
	}
	return -1
}

// pushRun adds a key to the heap. Four children a node keep it half as deep as two
// and a family within two cache lines.
func (q *queue) pushRun(k runKey) {
	q.run = append(q.run, k)
	i := len(q.run) - 1
	for i > 0 {
		p := (i - 1) / 4
		if !k.before(&q.run[p]) {
			break
		}
		q.run[i] = q.run[p]
		i = p
	}
	q.run[i] = k
}

func (q *queue) popRun() uint32 {
	ref := q.run[0].ref
	last := len(q.run) - 1
	k := q.run[last]
	q.run = q.run[:last]
	if last == 0 {
		return ref
	}
	i := 0
	for {
		least := 4*i + 1
		if least >= last {
			break
		}
		for c := least + 1; c < min(least+4, last); c++ {
			if q.run[c].before(&q.run[least]) {
				least = c
			}
		}
		if !q.run[least].before(&k) {
			break
		}
		q.run[i] = q.run[least]
		i = least
	}
	q.run[i] = k
	return ref
}

// bytes returns how much memory the queue holds.
func (q *queue) bytes() int {
	return len(q.slab.chunks)<<slabBits*eventBytes + cap(q.run)*runKeyBytes + levels*levelSlots*4
}
