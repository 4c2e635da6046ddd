package sim

import (
	"slices"
	"testing"

	"github.com/ada420b6/overlay/internal/vtime"
)

// cut is what a power cut did: s from when the machines are back until a node is attached
// for good, and the most packets that one has sent to become attached, ever.
type cut struct {
	median, p99, last float64
	packets           uint32
	load              float64
}

// powerCut is the story of examples/reboot in virtual time: 400 nodes of a network that has
// just formed, of which all supernodes and the login servers crash with so many others that
// 250 are gone. After 5 s these are back, the login servers are not, and those who were
// never away look everybody up.
func powerCut(t *testing.T, seed uint64) cut {
	t.Helper()
	const n, gone = 400, 250
	cfg := DefaultConfig(n)
	cfg.Seed, cfg.Reachable, cfg.Uncertified = seed, 1, 1
	cfg.Loss, cfg.Dup, cfg.Reorder, cfg.Latency = 0, 0, 0, ConstantLatency(2*vtime.Millisecond)
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(n); err != nil {
		t.Fatal(err)
	}
	s.StartAll(vtime.Second)
	if ok, err := s.RunUntil(func() bool { return s.stats.running == n && s.Healed() }, vtime.Minute); !ok {
		t.Fatal("it does not form:", err)
	}
	if err := s.Run(10 * vtime.Second); err != nil {
		t.Fatal(err)
	}
	s.ResetCensus()
	s.StopLogin()
	var down []int
	for _, serving := range []bool{true, false} {
		for i := range n {
			if s.Serving(i) == serving && s.Running(i) && len(down) < gone {
				down = append(down, i)
				s.Reboot(i, 5*vtime.Second)
			}
		}
	}
	if err := s.Run(5 * vtime.Second); err != nil {
		t.Fatal(err)
	}
	for i, k := 0, 0; i < n; i++ {
		for range 3 {
			if !slices.Contains(down, i) {
				s.Ask(i, s.Name(k%n), func(Answer) {})
				k++
			}
		}
	}
	return s.attached(t, n)
}

// attached watches n nodes for as long as one can be wrong about its attachment.
func (s *Sim) attached(t *testing.T, n int) (c cut) {
	t.Helper()
	start, back := s.now, make([]float64, n)
	for s.now < start.Add(25*vtime.Second) {
		for i := range n {
			if !s.Attached(i) {
				back[i] = s.now.Sub(start).Seconds()
			}
		}
		if err := s.Run(100 * vtime.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		c.packets = max(c.packets, s.machines.(*protocol).nodes[i].Healing())
	}
	slices.Sort(back)
	c.median, c.p99, c.last, c.load = back[n/2], back[n*99/100], back[n-1], s.Census().Overload
	return c
}

// TestPowerCut: after a power cut on most of a small network nobody waits long, although
// those who were never away have spent packets on the dead, and those who serve first are
// asked by everybody while those who begin a second later are known to few.
func TestPowerCut(t *testing.T) {
	const seeds = 12
	var lasts []float64
	for seed := range uint64(seeds) {
		c := powerCut(t, seed+1)
		t.Logf("seed %d: half after %.1f s, 99 %% after %.1f s, the last after %.1f s; at most %d packets, load %.2f", seed+1, c.median, c.p99, c.last, c.packets, c.load)
		if c.last > 12 || c.packets > 30 || c.load > 2 {
			t.Errorf("seed %d: the last was attached after %.1f s, with %d packets and a load of %.2f; 12 s, 30 and 2 are allowed", seed+1, c.last, c.packets, c.load)
		}
		lasts = append(lasts, c.last)
	}
	slices.Sort(lasts)
	if median := lasts[seeds/2]; median > 7 {
		t.Errorf("the last is attached after %.1f s in half of the runs, 7 s are allowed", median)
	}
}
