package sim

import (
	"flag"
	"testing"
	"time"

	"github.com/ada420b6/overlay/internal/vtime"
)

var steadyNodes = flag.Int("steady.nodes", 100_000, "size of BenchmarkSteady")

// record is what the limit loop has of each node.
type record struct {
	draw, sum uint64
	_         [240]byte
}

// limit is the least that any simulator of so many nodes does: take the next event, touch
// the 256 B of one node at random, push one more event. It returns events a second of one core,
// with the same queue, pages and look-ahead as the simulator's.
func limit(nodes int, d time.Duration) float64 {
	var q queue
	nodesOf := large[record](nodes)
	draw := uint64(1)
	span := uint64(30 * vtime.Second)
	for i := range nodes {
		draw = mix(draw)
		q.push(event{at: vtime.Time(draw % span), host: uint32(i)})
	}
	touched, done := uint64(0), 0
	begin, before := time.Now(), cpu()
	for time.Since(begin) < d {
		for range 10_000 {
			e := *q.pop(vtime.Never - 1)
			if q.next&(lookAhead-1) == 1 {
				for _, x := range q.ahead(lookAhead) {
					touched += nodesOf[x.host].sum
				}
			}
			r := &nodesOf[e.host]
			r.draw = mix(r.draw + uint64(e.at))
			r.sum += r.draw
			e.at = e.at.Add(vtime.Duration(r.draw % span))
			e.host = uint32(r.draw >> 32 * uint64(nodes) >> 32)
			q.push(e)
		}
		done += 10_000
	}
	used := cpu() - before
	if touched == 0 {
		panic("BUG: sim: nothing was touched")
	}
	return float64(done) / used
}

// BenchmarkSteady is a large network at rest, every message carried out: keepalives,
// gossip, refresh. Its events in a second of one core are told as a ratio to those of the
// limit loop in the same run, which is measured before and after.
//
//	go test -run '^$' -bench Steady -benchtime 1x ./internal/sim -args -steady.nodes 1000000
func BenchmarkSteady(b *testing.B) {
	cfg := DefaultConfig(*steadyNodes)
	cfg.Check, cfg.Full, cfg.Foretold = CheckOff, false, false
	s, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.Add(cfg.Nodes); err != nil {
		b.Fatal(err)
	}
	s.StartGrown(0, vtime.Second)
	if err := s.Run(20 * vtime.Second); err != nil {
		b.Fatal(err)
	}
	const each = 2 * time.Second
	best := limit(cfg.Nodes, each)
	s.ResetCensus()
	b.ResetTimer()
	before := cpu()
	for range b.N {
		if err := s.Run(10 * vtime.Second); err != nil {
			b.Fatal(err)
		}
	}
	rate := float64(s.stats.events) / (cpu() - before)
	b.StopTimer()
	best = (best + limit(cfg.Nodes, each)) / 2
	b.ReportMetric(rate, "events/cpu-s")
	b.ReportMetric(best, "limit/cpu-s")
	b.ReportMetric(rate/best, "ratio")
	b.ReportMetric(float64(s.Memory().PerNode), "B/node")
}
