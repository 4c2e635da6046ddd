package sim

import (
	"testing"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/vtime"
)

// TestLargeSupernode: an operator's machine that can hold 100 000 nodes carries most of a
// network beside machines of users; it takes them back fast after a reboot, and while it
// is away the others carry all.
func TestLargeSupernode(t *testing.T) {
	if testing.Short() {
		t.Skip("a million events")
	}
	cfg := DefaultConfig(5000)
	cfg.Policy.NormalSlots, cfg.Policy.ThinSlots = 400, 1250
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(cfg.Nodes); err != nil {
		t.Fatal(err)
	}
	s.SetRole(0, core.RoleSupernode, 100_000)
	s.StartAll(10 * vtime.Second)
	carried := func(after vtime.Duration, least int) {
		t.Helper()
		if err := s.Run(after); err != nil {
			t.Fatal(err)
		}
		held, c := 0, s.Census()
		for i := range s.Nodes() {
			for _, at := range s.Attachments(i) {
				if at == 0 && i != 0 {
					held++
				}
			}
		}
		t.Logf("it holds %d of %d nodes, beside %d supernodes; %d have two attachments", held, c.Running, c.Supernodes-1, c.TwoAttached)
		if c.Orphans > 0 || held < least {
			t.Errorf("%d orphans; the large supernode holds %d nodes, at least %d are wanted", c.Orphans, held, least)
		}
	}
	carried(8*vtime.Minute, 2500)
	s.Reboot(0, 2*vtime.Minute)
	carried(110*vtime.Second, 0)
	carried(8*vtime.Minute, 500)
}
