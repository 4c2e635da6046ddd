package sim

import (
	"testing"

	"github.com/ada420b6/overlay/internal/vtime"
)

// When nine of ten supernodes die the few that live are no hindrance: the standbys find
// them first and are attached, and have to be called by the orphans that wait at the same
// few, or the tier grows by half in 15 s and no faster.
func TestFewSurvivors(t *testing.T) {
	if testing.Short() {
		t.Skip("a million events")
	}
	cfg := DefaultConfig(10_000)
	cfg.Loss, cfg.Foretold = 0.03, true
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(cfg.Nodes); err != nil {
		t.Fatal(err)
	}
	s.StartGrown(0, vtime.Second)
	if ok, err := s.WarmUp(10 * vtime.Minute); !ok {
		t.Fatal("no ordinary day:", err)
	}
	s.ResetCensus()
	before := s.stats.serving
	s.CrashSupernodes(0.9)
	left := s.stats.serving
	if err := s.Run(45 * vtime.Second); err != nil {
		t.Fatal(err)
	}
	c := s.Census()
	t.Logf("%d of %d supernodes left, then %d; waits p50 %.1f, p99 %.1f s, %d wait", left, before, c.Supernodes, c.Waits.P50.Seconds(), c.Waits.P99.Seconds(), c.Waits.Open)
	if left < 2 || left > before/8 || c.Waits.Open > cfg.Nodes/200 || c.Waits.P99 > 20*vtime.Second {
		t.Errorf("%d of %d nodes still wait after 45 s, p99 of the waits %.1f s", c.Waits.Open, cfg.Nodes, c.Waits.P99.Seconds())
	}
}
