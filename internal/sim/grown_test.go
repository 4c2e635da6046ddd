package sim

import (
	"testing"

	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// A network that is made as if it had grown long ago must not find out: nobody loses an
// attachment, no supernode denies one, nobody promotes himself or steps down, every name is
// found, and what is sent is what a network at rest sends.
func TestGrown(t *testing.T) {
	for _, foretold := range []bool{false, true} {
		lasts := 20 * vtime.Minute
		if foretold {
			lasts = 55 * vtime.Minute // longer than a record lives that nobody renews
		}
		cfg := DefaultConfig(3000)
		cfg.Foretold, cfg.Loss = foretold, 0
		cfg.Policy.NormalSlots, cfg.Policy.ThinSlots = 400, 1250
		s, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Add(cfg.Nodes); err != nil {
			t.Fatal(err)
		}
		s.StartGrown(0, vtime.Second)
		c := s.Census()
		if c.Attached != cfg.Nodes || c.TwoAttached != cfg.Nodes-c.Supernodes || c.Supernodes < 25 || c.Supernodes > 35 {
			t.Fatalf("at first: %d attached, %d twice, %d serve", c.Attached, c.TwoAttached, c.Supernodes)
		}
		if err := s.Balanced(); err != nil {
			t.Fatal(err)
		}
		s.ResetCensus()
		for k := range 5 { // no name is ever missed, not only in the end
			if err := s.Run(lasts / 5); err != nil {
				t.Fatal(err)
			}
			for i := k; i < cfg.Nodes; i += 103 {
				a, err := s.Lookup((i+1000)%cfg.Nodes, s.Name(i))
				if err != nil || a.Status != wire.LookupFound || a.Owner != i {
					t.Errorf("foretold %v: node %d is not found: %+v, %v", foretold, i, a, err)
				}
			}
		}
		c = s.Census()
		if c.Waits.Incidents != 0 || c.Sent[wire.KindNotAttached]+c.Sent[wire.KindProbe] != 0 || c.Promotions+c.Demotions != 0 {
			t.Errorf("foretold %v: %d incidents, %d denials, %d probes, %d promotions, %d demotions", foretold,
				c.Waits.Incidents, c.Sent[wire.KindNotAttached], c.Sent[wire.KindProbe], c.Promotions, c.Demotions)
		}
		// Two refreshes of five puts for each record in 20 min, give or take, of which three are
		// counted together where they are foretold, and a dial-back or two
		// of those that can be reached, every other hour.
		each := 3000 * lasts.Seconds() / 1200
		if puts := float64(c.Sent[wire.KindPut]+c.Renewed) / each; puts < 8 || puts > 13 {
			t.Errorf("foretold %v: %.1f puts for each record in 20 min", foretold, puts)
		}
		if n := float64(c.Sent[wire.KindDialBack]) / each; n < 0.05 || n > 0.6 {
			t.Errorf("foretold %v: %.1f dial-backs for each node in 20 min", foretold, n)
		}
	}
}
