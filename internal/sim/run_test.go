package sim

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// newRun returns a simulation of cfg.Nodes nodes that all start within over.
func newRun(t fataler, cfg Config, over vtime.Duration) *Sim {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(cfg.Nodes); err != nil {
		t.Fatal(err)
	}
	s.StartAll(over)
	return s
}

// fataler is what a test, a benchmark and a property have in common.
type fataler interface {
	Helper()
	Fatal(args ...any)
}

// TestBringUp starts networks of many sizes from nothing.
func TestBringUp(t *testing.T) {
	for _, n := range []int{1, 2, 3, 5, 10, 30, 100, 300} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			s := newRun(t, DefaultConfig(n), vtime.Second)
			took, err := s.Settle(vtime.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Run(2 * vtime.Minute); err != nil {
				t.Fatal(err)
			}
			if err := s.Balanced(); err != nil {
				t.Fatal(err)
			}
			c := s.Census()
			if c.Supernodes == 0 || c.Orphans != 0 || c.Waits.Incidents < uint64(n) {
				t.Errorf("census %+v", c)
			}
			t.Logf("all attached after %.1f s, then %d supernodes and %d nodes with two attachments", took.Seconds(), c.Supernodes, c.TwoAttached)
		})
	}
}

// TestFirstLogin starts a network in which nobody has a certificate yet.
func TestFirstLogin(t *testing.T) {
	cfg := DefaultConfig(100)
	cfg.Uncertified = 1
	s := newRun(t, cfg, vtime.Second)
	if _, err := s.Settle(vtime.Minute); err != nil {
		t.Fatal(err)
	}
	if c := s.Census(); c.Sent[wire.KindLoginRequest] < 100 {
		t.Errorf("%d applications of 100 nodes", c.Sent[wire.KindLoginRequest])
	}
	// From here on it needs no login server any more.
	s.StopLogin()
	s.RebootShare(0.5, vtime.Second, 10*vtime.Second)
	if _, err := s.Settle(2 * vtime.Minute); err != nil {
		t.Fatal(err)
	}
}

// TestDisasters lets one disaster of PROTOCOL.md section 10 after the other happen to a
// small network, and checks that it heals and that all rosters agree again.
func TestDisasters(t *testing.T) {
	for _, tc := range []struct {
		name   string
		strike func(s *Sim)
		wait   vtime.Duration
	}{
		{"a third reboots", func(s *Sim) { s.RebootShare(0.3, vtime.Minute, vtime.Minute) }, vtime.Minute},
		{"a third announces its reboot", func(s *Sim) { s.LeaveShare(0.3, vtime.Minute, vtime.Minute) }, vtime.Minute},
		{"half of the supernodes crash", func(s *Sim) { s.CrashSupernodes(0.5) }, 0},
		{"all supernodes crash", func(s *Sim) { s.CrashSupernodes(1) }, 0},
		{"the network is parted", func(s *Sim) { s.Partition(0.5) }, 2 * vtime.Minute},
		{"half of the network is mute", func(s *Sim) { s.PartitionOneWay(0.5) }, 2 * vtime.Minute},
		{"all reboot without login servers", func(s *Sim) {
			s.StopLogin()
			s.RebootShare(1, 10*vtime.Second, vtime.Minute)
		}, 10 * vtime.Second},
	} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("%s/%d", tc.name, seed), func(t *testing.T) {
				t.Parallel()
				cfg := DefaultConfig(100)
				cfg.Seed = seed
				s := newRun(t, cfg, vtime.Second)
				if _, err := s.Settle(vtime.Minute); err != nil {
					t.Fatal(err)
				}
				if err := s.Run(vtime.Minute); err != nil {
					t.Fatal(err)
				}
				tc.strike(s)
				heals(t, s, tc.wait)
			})
		}
	}
}

// heals lets what was struck last for wait, ends it, and checks that the network comes
// back.
func heals(t fataler, s *Sim, wait vtime.Duration) {
	t.Helper()
	if err := s.Run(wait); err != nil {
		t.Fatal(err)
	}
	s.Mend()
	if _, err := s.Settle(10 * vtime.Minute); err != nil {
		t.Fatal(err)
	}
	s.StartLogin()
	s.Disturb(0, 0, 0)
	if _, err := s.Merged(10 * vtime.Minute); err != nil {
		t.Fatal(err)
	}
	if err := s.Balanced(); err != nil {
		t.Fatal(err)
	}
}

// TestFaults draws networks and sequences of faults, and lets the oracle watch: first
// nothing may happen that must not, then everything must happen that has to.
func TestFaults(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := DefaultConfig(rapid.IntRange(2, 60).Draw(t, "nodes"))
		cfg.Seed = rapid.Uint64Range(0, 1<<32).Draw(t, "seed")
		cfg.Loss = rapid.SampledFrom([]float64{0, 0.01, 0.1}).Draw(t, "loss")
		cfg.Dup, cfg.Reorder = cfg.Loss, cfg.Loss
		cfg.Reachable = rapid.SampledFrom([]float64{0.2, 0.5, 1}).Draw(t, "reachable")
		s := newRun(t, cfg, 10*vtime.Second)
		for range rapid.IntRange(0, 6).Draw(t, "faults") {
			fault(t, s)
			if err := s.Run(vtime.Duration(rapid.IntRange(0, 90).Draw(t, "pause")) * vtime.Second); err != nil {
				t.Fatal(err)
			}
		}
		s.StartLogin()
		for i := range s.Nodes() { // somebody has to be there to heal
			s.Start(i)
		}
		heals(t, s, 0)
	})
}

// fault draws one fault and lets it happen.
func fault(t *rapid.T, s *Sim) {
	share := rapid.SampledFrom([]float64{0.1, 0.5, 1}).Draw(t, "share")
	down := vtime.Duration(rapid.IntRange(1, 60).Draw(t, "down")) * vtime.Second
	node := rapid.IntRange(0, s.Nodes()-1).Draw(t, "node")
	switch rapid.SampledFrom([]string{"reboot", "leave", "crash", "supernodes", "part", "mute", "mend", "login"}).Draw(t, "fault") {
	case "reboot":
		s.RebootShare(share, down, down)
	case "leave":
		s.LeaveShare(share, down, down)
	case "crash":
		s.Crash(node)
	case "supernodes":
		s.CrashSupernodes(share)
	case "part":
		s.Partition(share)
	case "mute":
		s.PartitionOneWay(share)
	case "mend":
		s.Mend()
	case "login":
		s.StopLogin()
	}
}

// TestOldPolicies rehearses what took the network down: the oracle lets it happen, and
// calls it by its name when it is strict.
func TestOldPolicies(t *testing.T) {
	quits := func(c *Config) {
		c.Policy.QuitOverload, c.Policy.AttachRate, c.Policy.AttachBurst = 5*vtime.Second, 1, 1
	}
	for _, tc := range []struct {
		rule  string
		level Check
		set   func(*Config)
	}{
		{"R6", CheckFull, func(*Config) {}},
		{"R3", CheckBasic, quits},
	} {
		for _, strict := range []bool{false, true} {
			cfg := DefaultConfig(300)
			cfg.Policy, cfg.Check, cfg.Strict = core.NaivePolicy(), tc.level, strict
			tc.set(&cfg)
			err := newRun(t, cfg, vtime.Minute).Run(10 * vtime.Minute)
			var v *Violation
			if errors.As(err, &v); strict && (v == nil || v.Rule != tc.rule) || !strict && err != nil {
				t.Errorf("strict %v: got %v, want a violation of %s only when strict", strict, err, tc.rule)
			}
		}
	}
}

// TestRepeatable is R10 for the protocol: the same seed gives the same run, however
// often the caller looks at it.
func TestRepeatable(t *testing.T) {
	run := func(seed uint64, pause vtime.Duration) uint64 {
		cfg := DefaultConfig(80)
		cfg.Seed = seed
		s := newRun(t, cfg, vtime.Second)
		for s.Now() < vtime.Time(vtime.Minute) {
			if err := s.Run(pause); err != nil {
				t.Fatal(err)
			}
			s.Census()
		}
		s.RebootShare(0.5, 10*vtime.Second, 10*vtime.Second)
		if err := s.Run(vtime.Minute); err != nil {
			t.Fatal(err)
		}
		return s.TraceHash()
	}
	if run(1, vtime.Minute) != run(1, vtime.Second) {
		t.Error("the same seed gave two traces")
	}
	if run(1, vtime.Minute) == run(2, vtime.Minute) {
		t.Error("two seeds gave one trace")
	}
}

// TestTrace tells how a node gets attached, and that looking does not change the run.
func TestTrace(t *testing.T) {
	run := func(w io.Writer) uint64 {
		cfg := DefaultConfig(2)
		cfg.Loss, cfg.Dup, cfg.Reorder = 0, 0, 0
		s := newRun(t, cfg, 0)
		s.Trace(w, 1)
		if err := s.Run(30 * vtime.Second); err != nil {
			t.Fatal(err)
		}
		return s.TraceHash()
	}
	var text strings.Builder
	if run(&text) != run(nil) {
		t.Error("the run was another one because it was traced")
	}
	rest := text.String()
	for _, want := range []string{
		" 1 : starts", " 1 -> ", "list-request {Nonce:", " 1 <- ", "list {Nonce:",
		" 1 ->    0 probe", " 1 <-    0 offer", " 1 ->    0 attach", " 1 <-    0 accept", " 1 : attached 0",
	} {
		_, after, ok := strings.Cut(rest, want)
		if !ok {
			t.Fatalf("%q does not come in its turn in\n%s", want, text.String())
		}
		rest = after
	}
}

// TestQuestions looks names up and opens channels in a network at rest.
func TestQuestions(t *testing.T) {
	s := settled(t, 60)
	var took vtime.Duration
	for i := range 20 {
		from, to := i, 59-i
		a, err := s.Lookup(from, s.Name(to))
		if err != nil || a.Status != wire.LookupFound || a.Owner != to {
			t.Fatalf("node %d looked up %d: %+v, %v", from, to, a, err)
		}
		took += a.Took
		c, err := s.Dial(from, to)
		if err != nil || c.ID == 0 {
			t.Fatalf("node %d dialled %d: %+v, %v", from, to, c, err)
		}
		s.Hangup(from, to)
	}
	if mean := took / 20; mean > 500*vtime.Millisecond {
		t.Errorf("a look-up took %.2f s on average, two round trips are 0.2 s", mean.Seconds())
	}
	if a, err := s.Lookup(0, "nobody"); err != nil || a.Status != wire.LookupNone {
		t.Errorf("a name that nobody has: %+v, %v", a, err)
	}
	s.Crash(5)
	if _, err := s.Lookup(5, "n1"); err != ErrDown {
		t.Errorf("a node that does not run: %v", err)
	}
}

// BenchmarkProtocol is a small network at rest: keepalives, and what the tier does. A large
// one is BenchmarkSteady.
func BenchmarkProtocol(b *testing.B) {
	for _, nodes := range []int{1_000} {
		b.Run(sizeName(nodes), func(b *testing.B) {
			cfg := DefaultConfig(nodes)
			cfg.Check, cfg.Full = CheckOff, false
			s := newRun(b, cfg, vtime.Duration(nodes)*vtime.Second/500)
			if _, err := s.Settle(20 * vtime.Minute); err != nil {
				b.Fatal(err)
			}
			s.ResetCensus()
			b.ReportAllocs()
			b.ResetTimer()
			for s.stats.events < uint64(b.N) {
				if err := s.Run(10 * vtime.Millisecond); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(s.stats.events)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(s.Memory().PerNode), "B/node")
		})
	}
}
