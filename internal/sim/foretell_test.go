package sim

import (
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// outcome is what matters about rehearsals: samples of several runs.
type outcome struct {
	noticed []float64 // s from a supernode's death until each of its nodes noticed
	waits   []float64 // s that each incident took
	tries   []float64 // probes and attaches of each incident, mean of a run
	shares  []float64 // attached share while machines reboot, mean of a run
	packets []float64 // keepalives, foretold or sent, for each node and minute at rest
	drawn   []float64 // share of these that was foretold
}

// rehearse adds a run to o: a network at rest, then the death of some of its supernodes at
// once, then the reboot of a third of all machines, under the full oracle.
func (o *outcome) rehearse(t *testing.T, nodes int, seed uint64, foretold bool, attachments int) {
	cfg := DefaultConfig(nodes)
	cfg.Seed, cfg.Loss, cfg.Cache, cfg.Full = seed, 0.03, 64, false
	cfg.Policy.Attachments = attachments
	cfg.Policy.NormalSlots = 100 // so that a small network has a tier of many
	cfg.Policy.KeepaliveThin = cfg.Policy.Keepalive
	cfg.Check, cfg.Foretold = CheckFull, foretold
	s := newRun(t, cfg, vtime.Minute)
	run := func(d vtime.Duration) {
		if err := s.Run(d); err != nil {
			t.Fatal(err)
		}
	}
	run(3 * vtime.Minute)
	s.ResetCensus()
	run(3 * vtime.Minute)
	c := s.Census()
	o.drawn = append(o.drawn, float64(c.Foretold)/float64(c.Sent[wire.KindKeepalive]+c.Foretold))
	o.packets = append(o.packets, float64(c.Sent[wire.KindKeepalive]+c.Foretold)/float64(3*nodes))

	dead := make(map[ident.Handle]bool)
	for i := range nodes {
		if s.Serving(i) && len(dead) < c.Supernodes/2 {
			dead[handle(uint32(i))] = true
		}
	}
	for h := range dead {
		s.hosts[index(h)].role = core.RoleNode
		s.crash(index(h), vtime.Hour)
	}
	died := s.now
	s.mutate = func(i uint32, f *core.Effect, _ []byte) bool {
		if f.Kind == core.EffectDetached && dead[f.Peer] {
			o.noticed = append(o.noticed, s.now.Sub(died).Seconds())
		}
		return true
	}
	run(vtime.Minute)
	s.mutate = nil
	s.RebootShare(0.3, vtime.Minute, vtime.Minute)
	share := 0.0
	const looks = 30
	for range looks {
		run(5 * vtime.Second)
		share += float64(s.stats.attached) / float64(s.stats.running) / looks
	}
	if _, err := s.Settle(5 * vtime.Minute); err != nil {
		t.Fatal(err)
	}
	c = s.Census()
	for b, n := range s.stats.waits.bucket {
		for range n {
			o.waits = append(o.waits, float64(top(b))/1000)
		}
	}
	o.tries = append(o.tries, c.Waits.MeanTries)
	o.shares = append(o.shares, share)
}

// TestForetoldIsTheSame compares networks whose keepalives are foretold with networks in
// which every one is a message: when deaths are noticed, how long incidents take, how many
// attempts they cost, who is attached, how many keepalives there are. The two samples may
// differ by what chance makes of one distribution in all but one of 1 000 cases: by the
// Kolmogorov-Smirnov distance, or, of what there is one figure of in each run, by their
// means. OVERLAY_FORETOLD="50 20000" compares that many seeds at that size.
func TestForetoldIsTheSame(t *testing.T) {
	seeds, nodes := 6, 400
	if v := os.Getenv("OVERLAY_FORETOLD"); v != "" {
		if _, err := fmt.Sscan(v, &seeds, &nodes); err != nil {
			t.Fatalf("OVERLAY_FORETOLD=%q: %v", v, err)
		}
	}
	for attachments := 1; attachments <= 2; attachments++ {
		var sent, told outcome
		for seed := range uint64(seeds) {
			sent.rehearse(t, nodes, seed, false, attachments)
			told.rehearse(t, nodes, 1000+seed, true, attachments)
		}
		for _, c := range []struct {
			name    string
			compare func(a, b []float64) (d, most float64)
			a, b    []float64
		}{
			{"noticed", distance, sent.noticed, told.noticed},
			{"waits", distance, sent.waits, told.waits},
			{"tries", apart, sent.tries, told.tries},
			{"shares", apart, sent.shares, told.shares},
			{"packets", apart, sent.packets, told.packets},
		} {
			d, most := c.compare(c.a, c.b)
			t.Logf("%d attachments, %-7s means %.3f and %.3f of %d and %d: %.4f apart of %.4f", attachments, c.name, mean(c.a), mean(c.b), len(c.a), len(c.b), d, most)
			if d > most {
				t.Errorf("%d attachments: %s are %.4f apart, %.4f is what chance allows", attachments, c.name, d, most)
			}
		}
		if attachments == 1 { // nobody else tells: PROTOCOL.md section 4
			if m, w := mean(told.noticed), slices.Max(told.noticed); m < 15 || m > 17.5 || w > 29 {
				t.Errorf("deaths are noticed after %.1f s, %.1f s at worst; promised are 16 and 28", m, w)
			}
		}
		if mean(sent.drawn) != 0 || mean(told.drawn) < 0.3 {
			t.Errorf("%d attachments: %.2f and %.2f of the keepalives were foretold", attachments, mean(sent.drawn), mean(told.drawn))
		}
	}
}

// TestForetoldRepeats is R10: foretelling depends on the seed alone.
func TestForetoldRepeats(t *testing.T) {
	run := func(pause vtime.Duration) uint64 {
		cfg := DefaultConfig(200)
		cfg.Foretold, cfg.Loss, cfg.Policy.NormalSlots = true, 0.03, 40
		s := newRun(t, cfg, vtime.Second)
		s.RebootShare(0.3, vtime.Minute, vtime.Minute)
		for s.Now() < vtime.Time(5*vtime.Minute) {
			if err := s.Run(pause); err != nil {
				t.Fatal(err)
			}
			s.Census()
		}
		if s.foretold() == 0 {
			t.Error("nothing was foretold")
		}
		return s.TraceHash()
	}
	if run(vtime.Minute) != run(vtime.Second) {
		t.Error("the same seed gave two traces")
	}
}

// distance is the Kolmogorov-Smirnov distance of two samples, and the largest that one
// distribution gives in 999 of 1 000 cases.
func distance(a, b []float64) (d, most float64) {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	n, m := float64(len(a)), float64(len(b))
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		x := min(a[i], b[j])
		for i < len(a) && a[i] == x {
			i++
		}
		for j < len(b) && b[j] == x {
			j++
		}
		d = max(d, math.Abs(float64(i)/n-float64(j)/m))
	}
	return d, 1.95 * math.Sqrt((n+m)/(n*m))
}

// apart is by how much the means of two samples differ, and the most that is likely: 4.6
// standard errors, Student's quantile for two samples of 6.
func apart(a, b []float64) (d, most float64) {
	square := func(v []float64) (q float64) {
		for _, x := range v {
			q += (x - mean(v)) * (x - mean(v)) / float64(len(v)*(len(v)-1))
		}
		return q
	}
	return math.Abs(mean(a) - mean(b)), 4.6 * math.Sqrt(square(a)+square(b))
}

func mean(v []float64) (m float64) {
	for _, x := range v {
		m += x / float64(len(v))
	}
	return m
}
