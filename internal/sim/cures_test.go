package sim

import (
	"fmt"
	"os"
	"testing"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/vtime"
)

// rehearsed warms a network up, lets strike happen, and returns the census so long after.
func rehearsed(t *testing.T, cfg Config, online float64, strike func(s *Sim), after vtime.Duration) Census {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(cfg.Nodes); err != nil {
		t.Fatal(err)
	}
	s.StartGrown(0, 10*vtime.Second) // as many supernodes as there should be, in every run
	s.Online(online, 10*vtime.Second)
	if ok, err := s.WarmUp(15 * vtime.Minute); !ok {
		t.Fatal("no ordinary day:", err)
	}
	s.ResetCensus()
	strike(s)
	if err := s.Run(after); err != nil {
		t.Fatal(err)
	}
	return s.Census()
}

// TestCures changes one thing at a time of the policy of 2007, when half of the supernodes
// crash at once: the network's own queues keep it down, and each thing that keeps dead
// work out of them brings it back. What does not, does not: waiting longer, or quitting.
func TestCures(t *testing.T) {
	if testing.Short() {
		t.Skip("10 million events")
	}
	const nodes = 4_000
	for _, tc := range []struct {
		name  string
		cure  func(p *core.Policy)
		heals bool
	}{
		{"none", func(*core.Policy) {}, false},
		{"full jitter", func(p *core.Policy) { p.RetryPause, p.BackoffMin, p.BackoffMax = 0, vtime.Second, vtime.Minute }, false},
		{"quit on overload", func(p *core.Policy) { p.QuitOverload = 30 * vtime.Second }, false},
		{"a queue shorter than the patience", func(p *core.Policy) { p.Queue = 8 * p.AttachRate }, true},
		{"expired work is dropped", func(p *core.Policy) { p.QueueLife = p.Patience / 3 }, true},
		{"slots", func(p *core.Policy) { p.Queue, p.QueueAll = 0, false }, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := augustNetwork(nodes, true)
			tc.cure(&cfg.Policy)
			c := rehearsed(t, cfg, 1, func(s *Sim) { s.CrashSupernodes(0.5) }, 8*vtime.Minute)
			end := float64(c.Attached) / float64(c.Running)
			t.Logf("lowest %.3f, after 8 min %.3f, %d supernodes", c.MinAttached, end, c.Supernodes)
			if healed := end > 0.98; healed != tc.heals || !tc.heals && end > 0.8 {
				t.Errorf("after 8 min %.3f are attached; it was to heal: %v", end, tc.heals)
			}
		})
	}
}

// TestBorder is a grid of load by the size of the trigger: the policy of 2007 has a border
// beyond which it does not come back, the policy that heals has none. OVERLAY_LONG draws
// it finer.
func TestBorder(t *testing.T) {
	if testing.Short() {
		t.Skip("10 million events")
	}
	nodes, loads, shares := 2_000, []float64{0.3, 1}, []float64{0.1, 0.3}
	if os.Getenv("OVERLAY_LONG") != "" {
		nodes, loads, shares = 20_000, []float64{0.3, 0.6, 0.8, 1}, []float64{0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.9}
	}
	for _, online := range loads {
		for _, share := range shares {
			t.Run(fmt.Sprintf("%.0f %% online, %.0f %% reboot", 100*online, 100*share), func(t *testing.T) {
				t.Parallel()
				reboot := func(s *Sim) { s.RebootShare(share, 5*vtime.Minute, 2*vtime.Minute) }
				end := func(old bool) float64 {
					c := rehearsed(t, augustNetwork(nodes, old), online, reboot, 14*vtime.Minute)
					return float64(c.Attached) / float64(c.Running)
				}
				old, heals := end(true), end(false)
				t.Logf("5 min after the last machine: 2007 %.3f, healing %.3f", old, heals)
				if heals < 0.999 {
					t.Errorf("%.4f are attached under the policy that heals", heals)
				}
				if collapsed := old < 0.8; online == 1 && share >= 0.3 != collapsed && (share <= 0.1 || share >= 0.3) {
					t.Errorf("%.3f are attached under the policy of 2007", old)
				}
			})
		}
	}
}

// TestNoBorder: 99 % of the supernodes die for good, or 90 % of all machines reboot, with
// the login servers dead: the policy that heals comes back.
func TestNoBorder(t *testing.T) {
	if testing.Short() {
		t.Skip("a million events")
	}
	for name, strike := range map[string]func(s *Sim){
		"99 % of the supernodes": func(s *Sim) { s.CrashSupernodes(0.99) },
		"90 % of all machines":   func(s *Sim) { s.RebootShare(0.9, 2*vtime.Minute, 2*vtime.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := augustNetwork(1_000, false)
			cfg.Policy.NormalSlots, cfg.Policy.ThinSlots = 40, 125 // a tier of fifty
			c := rehearsed(t, cfg, 1, func(s *Sim) { s.StopLogin(); strike(s) }, 12*vtime.Minute)
			t.Logf("lowest %.3f; %d of %d attached, by %d supernodes", c.MinAttached, c.Attached, c.Running, c.Supernodes)
			if c.Attached < c.Running-c.Running/500 {
				t.Errorf("%d of %d are attached 12 min after", c.Attached, c.Running)
			}
		})
	}
}
