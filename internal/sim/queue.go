package sim

import (
	"math/bits"
	"slices"

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
	eventCrash                   // host goes down without goodbye; ref is how long for, 0 for good
	eventLeave                   // host says goodbye; ref is how long it stays away, 0 for good
	eventEnd                     // a session of an availability trace ends at host
	eventIssue                   // login server host has decided the application of from; ref is the query
)

// event is one thing that will happen: a record of 32 bytes without pointers, so that
// tens of millions of them wait without the collector looking at one.
type event struct {
	at   vtime.Time
	seq  uint32 // the order of pushing: breaks ties of time, so that every run is the same run
	host uint32 // index of whom it happens to
	from uint32 // index of the sender
	ref  uint32 // bytes of a message in the arena, query of eventIssue, milliseconds of an absence
	gen  uint32 // generation of a timer, boot of a served message
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
// millions of events is not comparing them but finding them in memory. The slot that is
// being worked off is sorted once, so that what comes next can be seen (ahead); what is
// pushed into it meanwhile goes to a small heap beside it.
type queue struct {
	seq    uint32
	tick   int64                           // of the slot that run holds; no event outside of run and late is earlier
	slots  [levels][levelSlots]uint32      // the first block of each, 0 when empty
	used   [levels][levelSlots / 64]uint64 // a bit for each slot that is not empty
	blocks []block                         // the first is no block: reference 0 ends a chain
	empty  uint32                          // head of the blocks that are not in use
	run    []event                         // the slot, sorted
	other  []event                         // where it is sorted into
	parts  []uint32                        // how many of its events come before each part of it
	next   int                             // of run
	late   []event                         // a heap
	popped event
	count  int
}

// block is a part of a slot: 31 events and a head of the size of one, 1 KiB. The 4096
// slots waste at most 4 MB.
type block struct {
	next uint32
	n    uint32
	_    [24]byte
	list [31]event
}

// before tells the order of two events. Their numbers wrap: they are near each other.
func (a *event) before(b *event) bool {
	return a.at < b.at || a.at == b.at && int32(a.seq-b.seq) < 0
}

// push adds e. Its seq is the queue's own.
func (q *queue) push(e event) {
	invariant.Check(e.at != vtime.Never, "sim: an event that never happens was queued")
	q.seq++
	e.seq = q.seq
	q.count++
	if t := int64(e.at) >> tickBits; t > q.tick {
		q.place(&e, t)
		return
	}
	q.pushLate(&e)
}

// pop removes the earliest event, which is good until the next pop. It returns nil when
// none is due by limit; nothing is then disturbed that an earlier event could still be
// pushed before.
func (q *queue) pop(limit vtime.Time) *event {
	for q.next == len(q.run) && len(q.late) == 0 {
		if !q.advance(limit) {
			return nil
		}
	}
	if q.next < len(q.run) && (len(q.late) == 0 || q.run[q.next].before(&q.late[0])) {
		e := &q.run[q.next]
		if e.at > limit {
			return nil
		}
		q.next++
		q.count--
		return e
	}
	if q.late[0].at > limit {
		return nil
	}
	q.popped = q.popLate()
	q.count--
	return &q.popped
}

// ahead returns some of the events that come next, as far as they can be seen.
func (q *queue) ahead(n int) []event { return q.run[q.next:min(q.next+n, len(q.run))] }

// place puts an event of a later slot t where its time says: into the lowest level whose
// window it shares with tick.
func (q *queue) place(e *event, t int64) {
	level := (bits.Len64(uint64(t^q.tick)) - 1) / levelBits
	invariant.Check(level < levels, "sim: an event lies beyond the wheel")
	slot := t >> (level * levelBits) & levelMask
	head := &q.slots[level][slot]
	if *head == 0 || q.blocks[*head].n == uint32(len(q.blocks[*head].list)) {
		*head = q.newBlock(*head)
		q.used[level][slot>>6] |= 1 << (slot & 63)
	}
	b := &q.blocks[*head]
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
			q.blocks = append(q.blocks, block{})
		}
		if len(q.blocks) == cap(q.blocks) {
			q.blocks = bigger(q.blocks)
		}
		ref = uint32(len(q.blocks))
		q.blocks = q.blocks[:ref+1]
	}
	b := &q.blocks[ref]
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
		q.run, q.next = q.run[:0], 0
		ref := q.slots[level][slot]
		q.slots[level][slot] = 0
		q.used[level][slot>>6] &^= 1 << (slot & 63)
		for ref != 0 {
			q.spread(ref)
			next := q.blocks[ref].next
			q.blocks[ref].next, q.empty = q.empty, ref
			ref = next
		}
		q.sort()
		return true
	}
	return false
}

// sort brings run into order. A slot's events are spread evenly over its millisecond: they
// are counted into as many parts of it as there are events, and then each is a place or
// two from where it belongs.
func (q *queue) sort() {
	n := len(q.run)
	if n > 16 {
		parts := bits.Len(uint(n - 1))
		shift := max(0, tickBits-parts)
		part := func(e *event) int { return int(int64(e.at) & (1<<tickBits - 1) >> shift) }
		if q.parts = q.parts[:0]; cap(q.parts) < 1<<parts+1 {
			q.parts = make([]uint32, 0, 1<<parts+1)
		}
		q.parts = q.parts[:1<<parts+1]
		clear(q.parts)
		for i := range q.run {
			q.parts[part(&q.run[i])+1]++
		}
		for k := 1; k < len(q.parts); k++ {
			q.parts[k] += q.parts[k-1]
		}
		q.other = slices.Grow(q.other[:0], n)[:n]
		for i := range q.run {
			at := &q.parts[part(&q.run[i])]
			q.other[*at] = q.run[i]
			*at++
		}
		q.run, q.other = q.other, q.run
	}
	for i := 1; i < n; i++ {
		if !q.run[i].before(&q.run[i-1]) {
			continue
		}
		e, k := q.run[i], i
		for ; k > 0 && e.before(&q.run[k-1]); k-- {
			q.run[k] = q.run[k-1]
		}
		q.run[k] = e
	}
}

// spread puts the events of a block into run or into lower levels.
func (q *queue) spread(ref uint32) {
	for i := range q.blocks[ref].n {
		e := &q.blocks[ref].list[i] // blocks may move
		if t := int64(e.at) >> tickBits; t > q.tick {
			q.place(e, t)
		} else {
			q.run = append(q.run, *e)
		}
	}
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

// pushLate adds an event to the heap. Four children a node keep it half as deep as two.
func (q *queue) pushLate(e *event) {
	q.late = append(q.late, *e)
	i := len(q.late) - 1
	for i > 0 {
		p := (i - 1) / 4
		if !e.before(&q.late[p]) {
			break
		}
		q.late[i] = q.late[p]
		i = p
	}
	q.late[i] = *e
}

func (q *queue) popLate() event {
	first := q.late[0]
	last := len(q.late) - 1
	e := q.late[last]
	q.late = q.late[:last]
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
			if q.late[c].before(&q.late[least]) {
				least = c
			}
		}
		if !q.late[least].before(&e) {
			break
		}
		q.late[i] = q.late[least]
		i = least
	}
	q.late[i] = e
	return first
}

// bytes returns how much memory the queue holds.
func (q *queue) bytes() int {
	return cap(q.blocks)*blockBytes + (cap(q.run)+cap(q.other)+cap(q.late))*eventBytes + levels*levelSlots*4
}
