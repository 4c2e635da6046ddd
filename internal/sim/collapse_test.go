package sim

import (
	"testing"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/vtime"
)

// augustNetwork is a network for August 2007, small: what made it collapse is the ratio of
// the nodes that come back to what the login servers can do.
func augustNetwork(nodes int, old bool) Config {
	cfg := DefaultConfig(nodes)
	cfg.Loss = 0.03
	cfg.Check = CheckBasic
	cfg.LoginRate = float64(nodes) / 2_000
	if old {
		cfg.Policy = core.NaivePolicy()
	}
	return cfg
}

// TestAugust2007 is PROTOCOL.md section 16: the policy of 2007 collapses when 30 % of all
// machines reboot at a busy hour, and stays down although all are back; at a quiet hour,
// and on a usual patch day of 10 %, nothing is to be seen. The policy that heals never
// falls far.
func TestAugust2007(t *testing.T) {
	if testing.Short() {
		t.Skip("10 million events")
	}
	const nodes = 4_000
	for _, tc := range []struct {
		name      string
		old       bool
		online    float64
		share     float64
		collapses bool
	}{
		{"2007 at a busy hour", true, 1, 0.3, true},
		{"2007 at a quiet hour", true, 0.3, 0.3, false},
		{"2007, a usual patch day", true, 1, 0.1, false},
		{"healing at a busy hour", false, 1, 0.3, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s, err := New(augustNetwork(nodes, tc.old))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Add(nodes); err != nil {
				t.Fatal(err)
			}
			s.StartGrown(0, 10*vtime.Second)
			s.Online(tc.online, 10*vtime.Second)
			if ok, err := s.WarmUp(15 * vtime.Minute); !ok {
				t.Fatal("no ordinary day:", err)
			}
			s.ResetCensus()
			s.RebootShare(tc.share, 5*vtime.Minute, 2*vtime.Minute)
			if err := s.Run(16 * vtime.Minute); err != nil {
				t.Fatal(err)
			}
			c := s.Census()
			end := float64(c.Attached) / float64(c.Running)
			t.Logf("min %.4f, end %.4f, %d of %d supernodes lost, log-ins %d of which %d in time", c.MinAttached, end, c.Lost, c.Lost+c.Supernodes, c.Login.Decided, c.Login.Granted)
			switch {
			case tc.collapses && (end > 0.8 || c.Recovery.Most != vtime.Never || 2*c.Login.Granted > c.Login.Decided):
				t.Errorf("it should have collapsed: %.4f are attached 8 min after the last machine", end)
			case !tc.collapses && (c.MinAttached < 0.8 || c.Recovery.Most > c.Recovery.Last.Add(vtime.Minute)):
				// With one attachment the nodes of a supernode that died miss 16 s, and here
				// there are a dozen supernodes: one is a twelfth of the network.
				t.Errorf("it should have healed: never under %.4f, %+v", c.MinAttached, c.Recovery)
			case !tc.old && (c.MinAttached < 0.99 || c.Login.Decided > 0):
				t.Errorf("never under %.4f, and %d log-ins", c.MinAttached, c.Login.Decided)
			}
		})
	}
}
