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
	eventEnd                     // a session of an availability trace ends at host
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
// that wait (a heap of ten million costs 23 cache misses a push). A slot is a chain of
// blocks that is read from end to end when its time comes, because what is slow with
// millions of events is not comparing them but finding them in memory. The slot that
// is being worked off is the only part that is sorted, in a small heap.
type queue struct {
	seq    uint64
	tick   int64                           // of the slot that run holds; no event outside of run is earlier
	slots  [levels][levelSlots]uint32      // the first block of each, 0 when empty
	used   [levels][levelSlots / 64]uint64 // a bit for each slot that is not empty
	blocks []*block
	empty  uint32 // head of the blocks that are not in use
	run    []event
	count  int
}

// block is a part of a slot: 31 events, so that the 4096 slots waste at most 5 MB.
type block struct {
	next uint32
	n    uint32
	list [31]event
}

func (a *event) before(b *event) bool {
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}

// push adds e. Its seq is the queue's own.
func (q *queue) push(e event) {
	invariant.Check(e.at != vtime.Never, "sim: an event that never happens was queued")
	q.seq++
	e.seq = q.seq
	q.count++
	q.place(&e)
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
	q.count--
	return q.popRun(), true
}

// place puts an event where its time says: into run when its slot is being worked off
// or is already past, else into the lowest level whose window it shares with tick.
func (q *queue) place(e *event) {
	t := int64(e.at) >> tickBits
	if t <= q.tick {
		q.pushRun(e)
		return
	}
	level := (bits.Len64(uint64(t^q.tick)) - 1) / levelBits
	invariant.Check(level < levels, "sim: an event lies beyond the wheel")
	slot := t >> (level * levelBits) & levelMask
	head := &q.slots[level][slot]
	if *head == 0 || q.blocks[*head].n == uint32(len(q.blocks[*head].list)) {
		*head = q.newBlock(*head)
		q.used[level][slot>>6] |= 1 << (slot & 63)
	}
	b := q.blocks[*head]
	b.list[b.n] = *e
	b.n++
}

// newBlock returns an empty block that is chained before next.
func (q *queue) newBlock(next uint32) uint32 {
	ref := q.empty
	if ref != 0 {
		q.empty = q.blocks[ref].next
	} else {
		if len(q.blocks) == 0 {
			q.blocks = append(q.blocks, nil) // reference 0 ends a chain
		}
		ref = uint32(len(q.blocks))
		q.blocks = append(q.blocks, new(block))
	}
	b := q.blocks[ref]
	b.next, b.n = next, 0
	return ref
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
			b := q.blocks[ref]
			for i := range b.list[:b.n] {
				q.place(&b.list[i])
			}
			next := b.next
			b.next, q.empty = q.empty, ref
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

// pushRun adds an event to the heap. Four children a node keep it half as deep as two.
func (q *queue) pushRun(e *event) {
	q.run = append(q.run, *e)
	i := len(q.run) - 1
	for i > 0 {
		p := (i - 1) / 4
		if !e.before(&q.run[p]) {
			break
		}
		q.run[i] = q.run[p]
		i = p
	}
	q.run[i] = *e
}

func (q *queue) popRun() event {
	first := q.run[0]
	last := len(q.run) - 1
	e := q.run[last]
	q.run = q.run[:last]
	if last == 0 {
		return first
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
		if !q.run[least].before(&e) {
			break
		}
		q.run[i] = q.run[least]
		i = least
	}
	q.run[i] = e
	return first
}

// bytes returns how much memory the queue holds.
func (q *queue) bytes() int {
	return len(q.blocks)*blockBytes + cap(q.run)*eventBytes + levels*levelSlots*4
}
