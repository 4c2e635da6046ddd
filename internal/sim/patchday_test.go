package sim

import (
	"flag"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/vtime"
)

// The patch day of August 2007, to measure the engine by.
var (
	patchNodes = flag.Int("patchday.nodes", 10_000, "size of BenchmarkPatchDay")
	patchHour  = flag.Duration("patchday.time", time.Hour, "simulated time of BenchmarkPatchDay after its start")
	patchRTT   = flag.String("patchday.rtt", "", "matrix of round trips for BenchmarkPatchDay, in place of the default distribution")
)

// BenchmarkPatchDay begins with an ordinary day, lets 30 % of its machines reboot within 5 min
// at 3 % loss, and runs one hour in all; the time of the start is told apart.
//
//	go test -run '^$' -bench PatchDay -benchtime 1x ./internal/sim -patchday.nodes 200000
func BenchmarkPatchDay(b *testing.B) {
	for _, policy := range []struct {
		name string
		p    core.Policy
	}{{"default", core.DefaultPolicy()}, {"naive", core.NaivePolicy()}} {
		b.Run(policy.name, func(b *testing.B) {
			for range b.N {
				patchDay(b, policy.p)
			}
		})
	}
}

func patchDay(b *testing.B, p core.Policy) {
	cfg := DefaultConfig(*patchNodes)
	cfg.Policy, cfg.Loss = p, 0.03
	cfg.Full, cfg.Check = false, min(cfg.Check, CheckBasic)
	cfg.LoginRate = max(cfg.LoginRate, float64(cfg.Nodes)/1000)
	if *patchRTT != "" {
		l, err := LoadLatency(*patchRTT)
		if err != nil {
			b.Fatal(err)
		}
		cfg.Latency = l
	}
	begin := time.Now()
	s, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.Add(cfg.Nodes); err != nil {
		b.Fatal(err)
	}
	s.StartGrown(0, 10*vtime.Second)
	if ok, err := s.WarmUp(15 * vtime.Minute); !ok {
		b.Fatal("no ordinary day:", err)
	}
	up, upEvents := time.Since(begin), s.stats.events
	c := s.Census()
	b.Logf("up after %.0f s: %d attached of %d, %d serve, %d twice", vtime.Duration(s.now).Seconds(), c.Attached, c.Running, c.Supernodes, c.TwoAttached)
	s.ResetCensus()
	b.ResetTimer()
	begin, before := time.Now(), cpu()
	sixth := vtime.Duration(*patchHour) / 6
	for k := range 6 {
		if k == 1 {
			s.RebootShare(0.3, 5*vtime.Minute, 2*vtime.Minute)
		}
		if err := s.Run(sixth); err != nil {
			b.Fatal(err)
		}
		c := s.Census()
		b.Logf("%2.0f min: %d attached of %d, %d serve, %d twice, %d events, wall %.1f s", (vtime.Duration(k+1)*sixth).Seconds()/60,
			c.Attached, c.Running, c.Supernodes, c.TwoAttached, c.Events, time.Since(begin).Seconds())
	}
	wall, used := time.Since(begin).Seconds(), cpu()-before
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	c = s.Census()
	b.Logf("sent %v", c.Sent)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(s.stats.events)/wall, "events/s")
	b.ReportMetric(patchHour.Seconds()/wall, "virtual-s/s")
	b.ReportMetric(wall, "wall-s")
	b.ReportMetric(used, "cpu-s") // what is left of wall-s when others use the machine
	b.ReportMetric(up.Seconds(), "start-wall-s")
	b.ReportMetric(float64(upEvents), "start-events")
	b.ReportMetric(float64(s.Memory().PerNode), "B/node")
	b.ReportMetric(float64(m.Sys)/float64(cfg.Nodes), "process-B/node")
}

// cpu returns the processor seconds that this process has used.
func cpu() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
