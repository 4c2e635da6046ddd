package runtime

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/ada420b6/overlay/internal/path"
	"github.com/ada420b6/overlay/internal/udp"
)

// The owner of a node says how many bytes a second it forwards for others (PROTOCOL.md
// section 8). While less comes than that, packets pass at once. When more comes they wait
// for their turn, channel by channel: each has a share, of which as many bytes are sent
// as of any other in a round (deficit round robin), and one that has just begun to
// wait goes first (as in RFC 8290), so that a call does not wait behind downloads. What
// waits is bounded; the largest share loses what is oldest in it. When many share the
// budget the core is told, and refuses new channels: those that stand keep their share.

const (
	// budgetDepth is how much may pass at once after a pause, in bytes: two runs of QUIC's.
	// Of a large budget it is what that lets through in a hundredth of a second: one read
	// brings 512 KiB, and the timer that looks again is no finer than a millisecond.
	budgetDepth  = 40 << 10
	budgetDepths = 100
	// budgetWait is how long packets wait at most, at the rate of the budget, when one
	// channel takes all of it; budgetLeast and budgetMost bound what that comes to. Within
	// budgetLeast there is room for the three runs that QUIC may send at once.
	budgetWait  = time.Second / 5
	budgetLeast = 64 << 10
	budgetMost  = 1 << 20
	// parcelLeast is what a packet that waits counts at least: it takes a buffer, however
	// small it is. So budgetMost is 4 096 of them, 6 MiB.
	parcelLeast = path.BufferSize / 6
	// budgetPacket is what a packet counts at least, in bytes: headers that are not in it
	// fill the link as well, and cost the same work. Without it, packets of 9 bytes would put
	// five times the budget on the link.
	budgetPacket = 100
	// shareKept is for how many packets a share keeps room when none waits: 4 096 channels
	// may have had all that may wait, one after the other.
	shareKept = 32
	// budgetQuantum is what a share may send in a round: at least a packet.
	budgetQuantum = path.BufferSize
	// budgetShare is the least that a channel should get, in bytes a second: a voice call,
	// 50 packets of 140 B in both directions. While the budget is used to nine tenths, and
	// one more channel would leave each less, no more are opened.
	budgetShare = 14_000
	// budgetWindow is what use is counted over.
	budgetWindow = time.Second
)

// budget lets a number of bytes a second through a relay.
type budget struct {
	rate  int64 // bytes a second
	depth int64 // bytes that may be sent after a pause
	most  int   // bytes that may wait, of which each packet takes parcelLeast
	send  func([]udp.Run)
	full  func() // called about once in budgetWindow while no channel should be opened; must not block

	dropped atomic.Uint64 // packets

	mu     sync.Mutex
	ahead  bool  // the reader has packets that go before those that wait
	tokens int64 // bytes that may be sent now
	at     time.Time
	fresh  turns // that have just begun to wait
	old    turns // all others with packets that wait
	queued int   // bytes that wait
	out    []udp.Run
	sent   []*path.Buffer // the memory of out
	timer  *time.Timer
	armed  bool
	closed bool

	window uint32 // counts the times that use was counted over
	begun  time.Time
	used   int64 // bytes, in this window
	active int64 // channels, in this window
}

// share is what waits on one channel. One that is in neither list is empty.
type share struct {
	packets []parcel
	head    int // of packets, the first that has not been sent
	bytes   int
	deficit int
	listed  bool
	next    *share
	window  uint32 // the last in which it was used
}

type parcel struct {
	b   *path.Buffer
	run udp.Run // of one datagram, in b
}

// takes is how many of the bytes that may wait a packet takes.
func (p *parcel) takes() int { return max(len(p.run.Data), parcelLeast) }

func newBudget(rate int64, send func([]udp.Run), full func()) *budget {
	now, depth := time.Now(), max(budgetDepth, rate/budgetDepths)
	return &budget{
		rate: rate, depth: depth, send: send, full: full, tokens: depth, at: now, begun: now, window: 1,
		most: int(min(max(rate/int64(time.Second/budgetWait), budgetLeast), budgetMost)),
	}
}

// pass reports whether a run may go at once. Else it has been copied, to go later, or
// dropped. Whoever calls it calls turn when what may go has gone.
func (b *budget) pass(l *share, run udp.Run) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refill(time.Now())
	b.ahead = true
	if l.window != b.window {
		l.window = b.window
		b.active++
	}
	if n := charge(&run); b.queued == 0 && n <= b.tokens {
		b.spend(n)
		return true
	}
	for len(run.Data) > 0 && !b.closed {
		one := run.Cut(1)
		p := parcel{path.NewBuffer(), one}
		p.b.Fill(one)
		p.run.Data = p.b.Bytes()
		b.push(l, p)
	}
	return false
}

// turn sends what has waited and may go now.
func (b *budget) turn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ahead = false
	if b.queued > 0 {
		b.refill(time.Now())
		b.drain()
	}
}

// charge is what a run takes of the budget.
func charge(r *udp.Run) int64 { return int64(max(len(r.Data), r.Count()*budgetPacket)) }

func (b *budget) spend(n int64) {
	b.tokens -= n
	b.used += n
}

// refill counts the time that has passed.
func (b *budget) refill(now time.Time) {
	passed := min(max(now.Sub(b.at), 0), time.Second)
	got := b.rate * passed.Microseconds() / 1e6
	if b.tokens += got; b.tokens >= b.depth || passed == time.Second {
		b.tokens, b.at = min(b.tokens, b.depth), now
	} else { // and what was too little for a byte counts the next time
		b.at = b.at.Add(time.Duration(float64(got) / float64(b.rate) * float64(time.Second)))
	}
	if now.Sub(b.begun) >= budgetWindow {
		if b.crowded(now.Sub(b.begun)) {
			b.full()
		}
		b.begun, b.used, b.active = now, 0, 0
		b.window++
	}
}

// crowded reports whether one more channel would leave too little to each.
func (b *budget) crowded(passed time.Duration) bool {
	may := float64(b.rate) * passed.Seconds()
	return float64(b.used) > 0.9*may && b.rate < budgetShare*(b.active+1)
}

// push has a packet wait, at the cost of the share with most.
func (b *budget) push(l *share, p parcel) {
	l.packets = append(l.packets, p)
	n := p.takes()
	l.bytes += n
	b.queued += n
	if !l.listed {
		l.listed, l.deficit = true, budgetQuantum
		b.fresh.put(l)
	}
	for b.queued > b.most {
		b.longest().pop(b).b.Free()
		b.dropped.Add(1)
	}
}

// longest returns the share of which most waits. There is one packet at least of each,
// so there are no more of them than packets fit in most.
func (b *budget) longest() (longest *share) {
	for _, first := range []*share{b.fresh.first, b.old.first} {
		for l := first; l != nil; l = l.next {
			if longest == nil || l.bytes > longest.bytes {
				longest = l
			}
		}
	}
	return longest
}

// pop takes the oldest packet of a share.
func (l *share) pop(b *budget) (p parcel) {
	p = l.packets[l.head]
	l.packets[l.head] = parcel{}
	if l.head++; 2*l.head >= len(l.packets) { // some may wait for ever, of who sends too much
		n := copy(l.packets, l.packets[l.head:])
		clear(l.packets[n:])
		if l.packets, l.head = l.packets[:n], 0; n == 0 && cap(l.packets) > shareKept {
			l.packets = nil
		}
	}
	n := p.takes()
	l.bytes -= n
	b.queued -= n
	return p
}

// drain sends what may be sent now, and comes back when there may be more.
func (b *budget) drain() {
	for {
		from, l := &b.fresh, b.fresh.first
		if l == nil {
			from, l = &b.old, b.old.first
		}
		if l == nil {
			break
		}
		switch {
		case l.bytes == 0:
			from.take()
			if l.listed = from == &b.fresh; l.listed { // who waits in vain for its turn is not fresh soon
				b.old.put(l)
			}
			continue
		case l.deficit <= 0:
			l.deficit += budgetQuantum
			from.take()
			b.old.put(l)
			continue
		}
		n := charge(&l.packets[l.head].run)
		if n > b.tokens {
			b.arm(n - b.tokens)
			break
		}
		p := l.pop(b)
		l.deficit -= int(n)
		b.spend(n)
		b.out, b.sent = append(b.out, p.run), append(b.sent, p.b)
		if len(b.out) == relayRuns {
			b.flush()
		}
	}
	b.flush()
}

func (b *budget) flush() {
	if len(b.out) > 0 {
		b.send(b.out)
	}
	for i, x := range b.sent {
		x.Free()
		b.sent[i], b.out[i] = nil, udp.Run{}
	}
	b.out, b.sent = b.out[:0], b.sent[:0]
}

// arm has drain run when so many bytes more may be sent, or a little later.
func (b *budget) arm(missing int64) {
	if b.armed || b.closed {
		return
	}
	b.armed = true
	d := max(time.Duration(float64(missing)/float64(b.rate)*float64(time.Second)), time.Millisecond)
	if b.timer == nil {
		b.timer = time.AfterFunc(d, b.tick)
		return
	}
	b.timer.Reset(d)
}

func (b *budget) tick() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.armed = false; b.closed {
		return
	}
	if b.ahead {
		b.arm(0)
		return
	}
	b.refill(time.Now())
	b.drain()
}

// stop lets go of everything. Nothing is sent afterwards.
func (b *budget) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.timer != nil {
		b.timer.Stop()
	}
	for _, list := range []*turns{&b.fresh, &b.old} {
		for list.first != nil {
			l := list.take()
			for l.bytes > 0 {
				l.pop(b).b.Free()
			}
		}
	}
}

// turns is a list of shares, each of which has its turn.
type turns struct{ first, last *share }

func (s *turns) put(l *share) {
	if l.next = nil; s.last == nil {
		s.first = l
	} else {
		s.last.next = l
	}
	s.last = l
}

func (s *turns) take() *share {
	l := s.first
	if s.first = l.next; s.first == nil {
		s.last = nil
	}
	l.next = nil
	return l
}
