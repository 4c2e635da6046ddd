package sim

import (
	"testing"

	"github.com/ada420b6/overlay/internal/vtime"
)

// network returns a simulation of n nodes that have all been started within over.
func newRun(t testing.TB, cfg Config, over vtime.Duration) *Sim {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(cfg.Nodes); err != nil {
		t.Fatal(err)
	}
	s.StartAll(over)
	return s
}

// TestBringUp starts networks of many sizes from nothing.
func TestBringUp(t *testing.T) {
	for _, n := range []int{1, 2, 3, 5, 10, 30, 100, 300} {
		t.Run("", func(t *testing.T) {
			s := newRun(t, DefaultConfig(n), vtime.Second)
			took, err := s.Settle(2 * vtime.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Run(2 * vtime.Minute); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d nodes: %.1f s, %d supernodes, %d with two, wait %+v", n, took.Seconds(), s.Census().Supernodes, s.Census().TwoAttached, s.Census().Waits)
		})
	}
}
