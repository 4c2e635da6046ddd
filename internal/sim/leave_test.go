package sim

import (
	"testing"

	"github.com/ada420b6/overlay/internal/vtime"
)

// TestPlannedReboots: whoever leaves on purpose, supernodes above all, costs those who
// stay not a moment without an attachment.
func TestPlannedReboots(t *testing.T) {
	if testing.Short() {
		t.Skip("a million events")
	}
	for _, tc := range []struct {
		name   string
		strike func(s *Sim)
	}{
		{"30 % of all in a minute", func(s *Sim) { s.LeaveShare(0.3, vtime.Minute, 2*vtime.Minute) }},
		{"90 % of all in two minutes", func(s *Sim) { s.LeaveShare(0.9, 2*vtime.Minute, 2*vtime.Minute) }},
		{"half of the supernodes together", func(s *Sim) {
			s.schedule(0.5, 0, 2*vtime.Minute, eventLeave, hostUp|hostServing)
		}},
		{"90 % of the supernodes together", func(s *Sim) {
			s.schedule(0.9, 0, 2*vtime.Minute, eventLeave, hostUp|hostServing)
		}},
		{"one supernode after the other", func(s *Sim) {
			for i := range s.Nodes() {
				if s.Serving(i) {
					s.leave(uint32(i), 2*vtime.Minute)
					_ = s.Run(20 * vtime.Second)
				}
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := DefaultConfig(1000)
			cfg.Loss, cfg.Dup, cfg.Reorder = 0, 0, 0 // what is lost can't be told
			s := newRun(t, cfg, 10*vtime.Second)
			if err := s.Run(6 * vtime.Minute); err != nil {
				t.Fatal(err)
			}
			var stay []int
			boots := make([]uint32, s.Nodes())
			for i := range boots {
				if stay, boots[i] = append(stay, i), s.hosts[i].boots; !s.Attached(i) {
					t.Fatalf("node %d is not attached to begin with", i)
				}
			}
			tc.strike(s)
			for range 300 {
				if err := s.Run(vtime.Second); err != nil {
					t.Fatal(err)
				}
				for _, i := range stay {
					h := &s.hosts[i]
					if _, leaving := s.away[uint32(i)]; h.boots == boots[i] && h.is(hostUp) && !leaving && h.orphan > vtime.Time(6*vtime.Minute) {
						t.Fatalf("node %d, which stays, was without an attachment from %.1f s on", i, vtime.Duration(h.orphan).Seconds())
					}
				}
			}
		})
	}
}
