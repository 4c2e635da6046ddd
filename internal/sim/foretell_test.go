package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// outcome is what matters about a run.
type outcome struct {
	noticed []float64 // s from a supernode's death until each of its nodes noticed
	waits   []float64 // s that each incident took
	tries   []float64 // attempts of an incident, on average
	shares  []float64 // attached share while machines reboot, on average
	packets []float64 // keepalives, foretold or sent, for each node and minute at rest
	drawn   float64   // share of these that was foretold
}

// rehearse runs a network at rest, then lets half of its supernodes die at once, then a
// third of all machines reboot, under the full oracle.
func rehearse(t *testing.T, nodes int, seed uint64, foretold bool, attachments int) (o outcome) {
	cfg := DefaultConfig(nodes)
	cfg.Seed, cfg.Loss, cfg.Cache, cfg.Full = seed, 0.03, 64, false
	cfg.Policy.Attachments = attachments
	cfg.Policy.KeepaliveThin = cfg.Policy.Keepalive
	cfg.Check, cfg.Foretold = CheckFull, foretold
	s := newRun(t, cfg, vtime.Minute)
	for i := range nodes / 25 { // a tier that is larger than what nodes want to know
		s.SetRole(i, core.RoleSupernode, 0)
	}
	run := func(d vtime.Duration) {
		if err := s.Run(d); err != nil {
			t.Fatal(err)
		}
	}
	run(3 * vtime.Minute)
	s.ResetCensus()
	run(3 * vtime.Minute)
	c := s.Census()
	packets := float64(c.Sent[wire.KindKeepalive] + c.Foretold)
	o.drawn, o.packets = float64(c.Foretold)/packets, []float64{packets / float64(3*nodes)}

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
	o.tries, o.shares = []float64{c.Waits.MeanAttempts}, []float64{share}
	return o
}

// TestForetoldIsTheSame compares networks whose keepalives are foretold with networks in
// which every one is a message: when deaths are noticed, how long incidents take, how many
// attempts they cost, who is attached, how many keepalives there are. What happens within
// a run hangs together, so runs are compared: if both ways are the same, it means nothing
// which run was which, and the Kolmogorov-Smirnov distance between the two halves should
// not be larger than between any other two halves of the same runs.
//
// Eight seeds are few: one change of the protocol in a hundred makes it fail by chance, and
// then more seeds tell. OVERLAY_FORETOLD="50 20000" compares so many at that size.
func TestForetoldIsTheSame(t *testing.T) {
	if testing.Short() {
		t.Skip("a million events")
	}
	seeds, nodes := 8, 300
	if v := os.Getenv("OVERLAY_FORETOLD"); v != "" {
		if _, err := fmt.Sscan(v, &seeds, &nodes); err != nil || seeds < 8 {
			t.Fatalf("OVERLAY_FORETOLD=%q: %v; at least 8 seeds and a size are wanted", v, err)
		}
	}
	for attachments := 1; attachments <= 2; attachments++ {
		var runs []outcome // first all that were sent, then all that were foretold
		for k := range 2 * seeds {
			runs = append(runs, rehearse(t, nodes, uint64(k), k >= seeds, attachments))
			if o := &runs[k]; k >= seeds && o.drawn < 0.4 || k < seeds && o.drawn != 0 {
				t.Errorf("seed %d: %.2f of the keepalives were foretold", k, o.drawn)
			}
		}
		for name, of := range map[string]func(o *outcome) []float64{
			"noticed": func(o *outcome) []float64 { return o.noticed },
			"waits":   func(o *outcome) []float64 { return o.waits },
			"tries":   func(o *outcome) []float64 { return o.tries },
			"shares":  func(o *outcome) []float64 { return o.shares },
			"packets": func(o *outcome) []float64 { return o.packets },
		} {
			var samples [][]float64
			for k := range runs {
				samples = append(samples, of(&runs[k]))
			}
			a, b := slices.Concat(samples[:seeds]...), slices.Concat(samples[seeds:]...)
			d, most := permuted(samples)
			t.Logf("%d attachments, %-7s means %.4f and %.4f of %d and %d: %.4f apart, others up to %.4f",
				attachments, name, mean(a), mean(b), len(a), len(b), d, most)
			if d > most {
				t.Errorf("%d attachments: %s are farther apart than chance puts them", attachments, name)
			}
			if name == "noticed" && attachments == 1 { // nobody else tells: PROTOCOL.md section 4
				// A bit earlier than promised: standbys, and nodes of a tier that is full, ask more often.
				if m, w := mean(b), slices.Max(b); m < 13 || m > 17 || w > 29 {
					t.Errorf("deaths are noticed after %.1f s, %.1f s at worst; promised are 16 and 28", m, w)
				}
			}
		}
	}
}

// permuted returns the Kolmogorov-Smirnov distance between the first and the second half of
// the runs, and the largest between any other two halves, of 1000 that are drawn.
func permuted(runs [][]float64) (d, most float64) {
	half := len(runs) / 2
	order := make([]int, len(runs))
	for k := range order {
		order[k] = k
	}
	part := func(list []int) (all []float64) {
		for _, k := range list {
			all = append(all, runs[k]...)
		}
		slices.Sort(all)
		return all
	}
	d = distance(part(order[:half]), part(order[half:]))
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		same := 0
		for _, k := range order[:half] {
			if k < half {
				same++
			}
		}
		if same == 0 || same == half {
			continue // the same two halves
		}
		most = max(most, distance(part(order[:half]), part(order[half:])))
	}
	return d, most
}

// TestForetoldRepeats is R10: foretelling depends on the seed alone.
func TestForetoldRepeats(t *testing.T) {
	run := func(pause vtime.Duration) uint64 {
		cfg := DefaultConfig(200)
		cfg.Foretold, cfg.Loss = true, 0.03
		s := newRun(t, cfg, vtime.Second)
		for i := range 10 {
			s.SetRole(i, core.RoleSupernode, 0)
		}
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

// distance is the Kolmogorov-Smirnov distance of two sorted samples.
func distance(a, b []float64) (d float64) {
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		x := min(a[i], b[j])
		for i < len(a) && a[i] == x {
			i++
		}
		for j < len(b) && b[j] == x {
			j++
		}
		d = max(d, math.Abs(float64(i)/float64(len(a))-float64(j)/float64(len(b))))
	}
	return d
}

func mean(v []float64) (m float64) {
	for _, x := range v {
		m += x / float64(len(v))
	}
	return m
}
