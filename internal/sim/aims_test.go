package sim

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/ada420b6/overlay/internal/vtime"
)

// aim is one event of PROTOCOL.md section 10 and what is aimed at.
type aim struct {
	name   string
	strike func(s *Sim) // begins the event
	lasts  vtime.Duration
	share  float64        // attached share that must never be undercut
	p99    vtime.Duration // wait of the 99th percentile, 0 for no aim
	within vtime.Duration // all attached so long after the event's end
}

func aims() []aim {
	const sec, m = vtime.Second, vtime.Minute
	return []aim{
		{"30% in 5 min", func(s *Sim) { s.RebootShare(0.3, 5*m, 2*m) }, 5*m + 3*m, 0.995, 5 * sec, 10 * sec},
		{"50% in 5 min", func(s *Sim) { s.RebootShare(0.5, 5*m, 2*m) }, 5*m + 3*m, 0, 18 * sec, 20 * sec},
		{"half of supernodes", func(s *Sim) { s.CrashSupernodes(0.5) }, m, 0.89, 18 * sec, 2 * m},
		{"90% in 2 min", func(s *Sim) { s.RebootShare(0.9, 2*m, 2*m) }, 2*m + 3*m, 0, 30 * sec, m},
		{"99% of supernodes", func(s *Sim) { s.CrashSupernodes(0.99) }, m, 0, 0, 5 * m},
		{"99% of supernodes, login dead", func(s *Sim) { s.StopLogin(); s.CrashSupernodes(0.99) }, m, 0, 0, 20 * m},
		{"ten waves of 30%", func(s *Sim) {
			for range 10 {
				s.RebootShare(0.3, 2*m, m)
				if s.Run(2*m) != nil {
					return
				}
			}
		}, m + m/2, 0.98, 0, 30 * sec},
		{"everything, login dead", func(s *Sim) { s.StopLogin(); s.RebootShare(1, 2*sec, 2*m) }, 3 * m, 0, 0, 3 * m},
	}
}

// TestAims measures the aims of PROTOCOL.md section 10. It takes long: it runs when
// OVERLAY_AIMS says how many nodes ("20000"), or how many and which ("200000:waves").
func TestAims(t *testing.T) {
	nodes, only, _ := strings.Cut(os.Getenv("OVERLAY_AIMS"), ":")
	n, err := strconv.Atoi(nodes)
	if err != nil {
		t.Skip("set OVERLAY_AIMS to a number of nodes to measure the aims")
	}
	seeds, _ := strconv.Atoi(os.Getenv("OVERLAY_SEEDS"))
	for _, a := range aims() {
		if !strings.Contains(a.name, only) {
			continue
		}
		for seed := range uint64(max(1, seeds)) {
			t.Run(fmt.Sprintf("%s/%d", a.name, seed+1), func(t *testing.T) { measure(t, a, n, seed+1) })
		}
	}
}

func measure(t *testing.T, a aim, n int, seed uint64) {
	cfg := DefaultConfig(n)
	cfg.Seed, cfg.Loss = seed, 0.03
	if m, err := LoadLatency("../../../shared/data/netlatency/planetlab-490.tsv"); err == nil {
		cfg.Latency = m
	}
	s := newRun(t, cfg, 2*vtime.Minute)
	if err := s.Run(8 * vtime.Minute); err != nil {
		t.Fatal(err)
	}
	before := s.Census()
	s.ResetCensus()
	a.strike(s)
	if err := s.Run(a.lasts); err != nil {
		t.Fatal(err)
	}
	took, err := s.Settle(a.within + 20*vtime.Minute)
	if err != nil {
		t.Error(err)
	}
	c := s.Census()
	t.Logf("%d supernodes; lowest %.2f %%, wait p50 %.1f p99 %.1f p99.9 %.1f max %.1f s; tries mean %.1f max %d; all %.1f s after the end; then %d supernodes; %d events",
		before.Supernodes, 100*c.MinAttached, c.Waits.P50.Seconds(), c.Waits.P99.Seconds(), c.Waits.P999.Seconds(), c.Waits.Max.Seconds(),
		c.Waits.MeanAttempts, c.Waits.MaxAttempts, took.Seconds(), c.Supernodes, c.Events)
	if c.MinAttached < a.share || a.p99 > 0 && c.Waits.P99 > a.p99 || took > a.within {
		t.Errorf("missed: lowest %.2f %% of %.1f, p99 %.1f s of %.1f, all after %.1f s of %.1f",
			100*c.MinAttached, 100*a.share, c.Waits.P99.Seconds(), a.p99.Seconds(), took.Seconds(), a.within.Seconds())
	}
}
