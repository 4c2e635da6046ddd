package runtime

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/path"
	"github.com/ada420b6/overlay/internal/udp"
)

// shared is a relay with a budget, and what came through it on each channel.
type shared struct {
	*relay
	t      *testing.T
	bytes  map[uint64]int
	last   map[uint64]uint64        // number of the last packet
	delay  map[uint64]time.Duration // the longest
	failed bool                     // packets came in another order
	full   int
}

const sharedSize = 1000

func newShared(t *testing.T, rate int64, channels ...uint64) *shared {
	s := &shared{t: t, bytes: make(map[uint64]int), last: make(map[uint64]uint64), delay: make(map[uint64]time.Duration)}
	s.relay = newRelay(s.arrive)
	s.budget = newBudget(rate, s.arrive, func() { s.full++ })
	for _, c := range channels {
		s.open(c, [2]ident.Key{{1}, {byte(c)}}, [2]netip.AddrPort{end(1), end(c)})
	}
	return s
}

func end(c uint64) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, 0, 0, byte(c)}), 1)
}

func (s *shared) arrive(runs []udp.Run) {
	for _, r := range runs {
		for len(r.Data) > 0 {
			p := r.Cut(1).Data
			c, _ := path.Channel(p)
			s.bytes[c] += len(p)
			n, at := binary.BigEndian.Uint64(p[9:]), binary.BigEndian.Uint64(p[17:])
			s.failed = s.failed || n <= s.last[c] || r.Addr != end(c)
			s.last[c] = n
			s.delay[c] = max(s.delay[c], time.Duration(uint64(time.Now().UnixNano())-at))
		}
	}
}

// feed sends rate bytes a second on a channel for as long as d, in runs, as the reader does.
func (s *shared) feed(d time.Duration, rates map[uint64]int) {
	const step = 5 * time.Millisecond
	owed, number := make(map[uint64]float64), make(map[uint64]uint64)
	var order []uint64
	for c := range rates {
		order = append(order, c)
	}
	slices.Sort(order)
	for range d / step {
		for _, c := range order {
			r := udp.Run{Addr: end(1), Size: sharedSize}
			for owed[c] += float64(rates[c]) * step.Seconds(); owed[c] >= sharedSize; owed[c] -= sharedSize {
				number[c]++
				p := make([]byte, sharedSize)
				p[0] = path.Head
				binary.BigEndian.PutUint64(p[1:], c)
				binary.BigEndian.PutUint64(p[9:], number[c])
				binary.BigEndian.PutUint64(p[17:], uint64(time.Now().UnixNano()))
				r.Data = append(r.Data, p...)
			}
			if len(r.Data) > 0 && !s.carry(c, r) {
				s.t.Fatal("a channel of the relay is refused")
			}
		}
		s.flush()
		time.Sleep(step)
	}
	time.Sleep(6 * time.Second) // budgetLeast at budgetShare
	synctest.Wait()
}

// TestBudget: what goes through is bounded, nearly all of it is used, and nothing is
// reordered.
func TestBudget(t *testing.T) {
	for _, rate := range []int64{budgetShare, 250_000, 5_000_000} {
		synctest.Test(t, func(t *testing.T) {
			s := newShared(t, rate, 2)
			defer s.budget.stop()
			const d = 10 * time.Second
			s.feed(d, map[uint64]int{2: int(rate) * 3})
			most := int(rate)*10 + budgetDepth + s.budget.most
			if got := s.bytes[2]; got > most || got < int(rate)*95/10 || s.failed || s.budget.dropped.Load() == 0 {
				t.Errorf("%d bytes in %v at %d a second, at most %d; other order: %v", got, d, rate, most, s.failed)
			}
			if s.budget.queued != 0 || s.budget.fresh.first != nil || s.budget.old.first != nil {
				t.Errorf("%d bytes wait for ever", s.budget.queued)
			}
		})
	}
}

// TestBudgetIsFair: two greedy channels get the same, however unlike they are; one that
// takes less than its share loses nothing, and does not wait for them.
func TestBudgetIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared(t, 300_000, 2, 3, 4)
		defer s.budget.stop()
		s.feed(20*time.Second, map[uint64]int{2: 3_000_000, 3: 300_000, 4: 20_000})
		if r := float64(s.bytes[2]) / float64(s.bytes[3]); r < 0.95 || r > 1.05 {
			t.Errorf("one greedy channel got %d bytes, the other %d", s.bytes[2], s.bytes[3])
		}
		if s.bytes[4] != 400_000 || s.delay[4] > 20*time.Millisecond {
			t.Errorf("the modest channel got %d of 400000 bytes, after up to %v", s.bytes[4], s.delay[4])
		}
		if s.failed {
			t.Error("packets were reordered")
		}
	})
}

// TestBudgetBelow: what is within the budget passes at once.
func TestBudgetBelow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared(t, 1_000_000, 2, 3)
		defer s.budget.stop()
		s.feed(5*time.Second, map[uint64]int{2: 500_000, 3: 400_000})
		if s.bytes[2] != 2_500_000 || s.bytes[3] != 2_000_000 || s.delay[2] > 0 || s.delay[3] > 0 {
			t.Errorf("%v bytes, after up to %v", s.bytes, s.delay)
		}
		if s.full > 0 || s.budget.dropped.Load() > 0 {
			t.Errorf("told %d times that it is full, %d packets dropped", s.full, s.budget.dropped.Load())
		}
	})
}

// TestBudgetFull: the core is told while many share the budget, and not because one or two
// use all of it.
func TestBudgetFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rates, channels := make(map[uint64]int), []uint64{}
		for c := range uint64(10) {
			channels = append(channels, c+2)
			rates[c+2] = 100_000
		}
		s := newShared(t, 10*budgetShare, channels...)
		defer s.budget.stop()
		s.feed(10*time.Second, map[uint64]int{2: 1_000_000, 3: 1_000_000})
		if s.full != 0 {
			t.Errorf("told %d times that it is full by two channels", s.full)
		}
		s.last = make(map[uint64]uint64)
		s.feed(10*time.Second, rates)
		if s.full < 8 || s.full > 11 {
			t.Errorf("told %d times in 10 s that it is full by ten channels", s.full)
		}
		for _, c := range channels {
			if s.bytes[c] < 9*budgetShare {
				t.Errorf("channel %d got %d bytes in 10 s", c, s.bytes[c])
			}
		}
	})
}

// TestBudgetStops: nothing is sent after stop, and no timer is left.
func TestBudgetStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared(t, budgetShare, 2)
		s.carry(2, udp.Run{Addr: end(1), Data: make([]byte, 60*sharedSize), Size: sharedSize})
		s.flush()
		s.budget.stop()
		had := s.bytes[0]
		s.carry(2, udp.Run{Addr: end(1), Data: make([]byte, 60*sharedSize), Size: sharedSize})
		s.flush()
		time.Sleep(time.Minute)
		if s.bytes[0] != had || s.budget.queued != 0 {
			t.Errorf("%d bytes after stop, %d wait", s.bytes[0]-had, s.budget.queued)
		}
	})
}

// TestBudgetIsBoundedInMemory: neither a channel of which some packets always wait, nor
// the smallest packets, make a relay keep more than it says.
func TestBudgetIsBoundedInMemory(t *testing.T) {
	for _, size := range []int{path.HeaderSize, sharedSize} {
		synctest.Test(t, func(t *testing.T) {
			b := newBudget(5_000_000, func([]udp.Run) {}, func() {})
			t.Cleanup(b.stop)
			var l share
			most := 0
			for range 200 {
				b.pass(&l, udp.Run{Addr: end(1), Data: make([]byte, 60_000), Size: size})
				b.turn()
				b.mu.Lock()
				most = max(most, len(l.packets)-l.head)
				b.mu.Unlock()
				time.Sleep(time.Millisecond)
			}
			if most == 0 || most > 4096 {
				t.Errorf("%d packets of %d bytes wait", most, size)
			}
			b.mu.Lock()
			if cap(l.packets) > 4*most {
				t.Errorf("room for %d packets of %d bytes", cap(l.packets), size)
			}
			b.mu.Unlock()
			time.Sleep(2 * time.Second) // all has gone
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.queued != 0 || cap(l.packets) > shareKept {
				t.Errorf("%d bytes wait, room for %d packets is kept", b.queued, cap(l.packets))
			}
		})
	}
}

// TestBudgetCountsPackets: small packets, whose headers are most of what is on the link, do
// not put several times the budget there.
func TestBudgetCountsPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate, size, d = 250_000, path.HeaderSize, 2 * time.Second
		sent := 0
		b := newBudget(rate, func(runs []udp.Run) { sent += len(runs) }, func() {})
		var l share
		for range d / time.Millisecond {
			if b.pass(&l, udp.Run{Addr: end(1), Data: make([]byte, 100*size), Size: size}) {
				sent += 100
			}
			b.turn()
			time.Sleep(time.Millisecond)
		}
		b.stop()
		if most := (rate*int(d/time.Second) + budgetDepth) / budgetPacket; sent > most || sent < most*9/10 {
			t.Errorf("%d packets in %v, at most %d", sent, d, most)
		}
	})
}

// TestLargeBudget: what is within a large budget passes, though more comes with each read
// than passes of a small one.
func TestLargeBudget(t *testing.T) {
	for _, rate := range []int64{100_000_000, 1 << 40} {
		synctest.Test(t, func(t *testing.T) {
			b := newBudget(rate, func([]udp.Run) {}, func() {})
			t.Cleanup(b.stop)
			if b.most != budgetMost {
				t.Errorf("%d bytes may wait at %d a second", b.most, rate)
			}
			var l share
			for range 200 {
				for range 8 { // a read
					b.pass(&l, udp.Run{Addr: end(1), Data: make([]byte, 60_000), Size: 1200})
				}
				b.turn()
				time.Sleep(5 * time.Millisecond)
			}
			if n := b.dropped.Load(); n != 0 {
				t.Errorf("%d packets of 80000 dropped at %d bytes a second, of 96 MB", n, rate)
			}
		})
	}
}
