package sim

import (
	"math"
	"testing"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/liveness"
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
)

// TestBound compares the bound with what a pocket calculator says.
func TestBound(t *testing.T) {
	for _, tc := range []struct {
		what  string
		nodes int
		rate  float64
		g     float64
		want  float64 // seconds
	}{
		{"9 million at 2 500 supernodes that take 5 a second each, no growth: 9e6/12500", 9e6, 12_500, 0, 720},
		// 15/0.405465 = 36.9946; 9e6 x 0.405465/(12500 x 15) = 19.4623; ln 20.4623 = 3.01859
		{"the same with promotion", 9e6, 12_500, 0.5, 111.67},
		// 9.9e6 x 0.405465/(1250 x 15) = 214.086; ln 215.086 = 5.37104
		{"99 % of the supernodes lost", 9.9e6, 1_250, 0.5, 198.70},
		{"nobody to attach", 0, 100, 0.5, 0},
	} {
		if got := Bound(tc.nodes, tc.rate, tc.g, 15*vtime.Second).Seconds(); math.Abs(got-tc.want) > 0.01 {
			t.Errorf("%s: %.3f s, want %.2f s", tc.what, got, tc.want)
		}
	}
}

// silent is nodes whose supernodes, watched so, all died at 0.
func silent(nodes int, watch ...liveness.KeepaliveParams) silence {
	q := silence{nodes: nodes, died: [2]vtime.Time{vtime.Never, vtime.Never}}
	for k, w := range watch {
		q.died[k], q.watch[k] = 0, w
	}
	return q
}

// TestUnaware compares how long deaths go unnoticed at best with the keepalives
// themselves, whose rounds have gone on for a while when the other end dies.
func TestUnaware(t *testing.T) {
	const runs = 40_000
	p := core.DefaultPolicy()
	normal := liveness.KeepaliveParams{Interval: p.Keepalive, Step: p.CheckStep}
	thin := liveness.KeepaliveParams{Interval: p.KeepaliveThin, Step: p.CheckStep}
	r := seed.New(5)
	verdict := func(w liveness.KeepaliveParams) vtime.Duration {
		death := vtime.Time(10*w.Interval) + vtime.Time(r.Between(0, int64(w.Interval)))
		var k liveness.Keepalive
		for k.Start(0, w, &r); k.Next() < death; {
			now := k.Next()
			k.Due(now, w, &r)
			k.Heard(now)
		}
		for now := k.Next(); ; now = k.Next() {
			if k.Due(now, w, &r) == liveness.Gone {
				return now.Sub(death)
			}
		}
	}
	for _, tc := range []struct {
		what string
		q    silence
	}{
		{"one", silent(1, normal)},
		{"thin", silent(1, thin)},
		{"two", silent(1, normal, normal)},
		{"one and thin", silent(1, thin, normal)},
		{"a standby", silent(1, liveness.KeepaliveParams{Interval: 2 * vtime.Second, Step: vtime.Second / 3})},
	} {
		what, q := tc.what, tc.q
		late := make(map[vtime.Duration]int)
		moments := []vtime.Duration{1, 3, 6, 10, 15, 20, 23, 25, 26, 27, 28, 40, 60, 70, 71}
		for range runs {
			first := verdict(q.watch[0])
			if q.died[1] != vtime.Never {
				first = min(first, verdict(q.watch[1]))
			}
			for _, m := range moments {
				if first > m*vtime.Second {
					late[m]++
				}
			}
		}
		for _, m := range moments {
			want := q.unaware(vtime.Time(m * vtime.Second))
			got := float64(late[m]) / runs
			if off := math.Abs(got - want); off > 4*math.Sqrt(want*(1-want)/runs)+2e-4 {
				t.Errorf("%s: after %d s %.4f have not noticed, %.4f expected", what, m, got, want)
			}
		}
	}
}

// TestAware compares when all can know with what a pocket calculator says.
func TestAware(t *testing.T) {
	p := core.DefaultPolicy()
	w := liveness.KeepaliveParams{Interval: p.Keepalive, Step: p.CheckStep}
	back := silent(1000, w, w)
	back.told = true
	for _, tc := range []struct {
		what    string
		q       []silence
		missing int
		want    float64 // seconds
	}{
		{"nobody is stranded", nil, 0, 3},
		{"as many as may be missing", []silence{silent(20, w)}, 20, 3},
		// U = 21/1000; 1.1 - x = sqrt(0.4 x 0.021) = 0.09165; 20 x 1.00835 + 6
		{"one supernode each", []silence{silent(1000, w)}, 20, 26.167},
		// U = 2/1000, of each sqrt(0.002) = 0.044721; 1.1 - x = sqrt(0.4 x 0.044721) = 0.13375; 20 x 0.96625 + 6
		{"two", []silence{silent(1000, w, w)}, 1, 25.325},
		{"two, counted apart", []silence{silent(400, w, w), silent(600, w, w)}, 1, 25.325},
		{"and their machines are back", []silence{back}, 1, 19.325},
	} {
		x := stranded{silences: tc.q}
		if got := x.aware(vtime.Time(3*vtime.Second), tc.missing); math.Abs(vtime.Duration(got).Seconds()-tc.want) > 0.002 {
			t.Errorf("%s: %.3f s, want %.3f s", tc.what, vtime.Duration(got).Seconds(), tc.want)
		}
	}
}

// TestReady: what is lost of the tier is taken over by its standbys, if the policy has any.
func TestReady(t *testing.T) {
	s, err := New(DefaultConfig(100))
	if err != nil {
		t.Fatal(err)
	}
	s.stats = stats{serving: 20, promotions: 16, demotions: 1, lost: 45} // of 50, 4 are left and 1 has stepped down
	if got := s.ready(); got != 95 {
		t.Errorf("%d supernodes are ready to serve, want 5 and twice 45", got)
	}
	s.cfg.Policy.Standbys = 0
	if got := s.ready(); got != 5 {
		t.Errorf("%d supernodes are ready to serve without standbys, want 5", got)
	}
	s.stats.serving = 15
	if got := s.ready(); got != 1 {
		t.Errorf("%d supernodes are ready to serve when none is left, want the first that comes", got)
	}
}

// disaster has strike happen to a network of n nodes at rest, and returns it after d.
func disaster(t *testing.T, n int, d vtime.Duration, strike func(s *Sim)) (*Sim, Recovery) {
	t.Helper()
	cfg := DefaultConfig(n)
	cfg.Loss = 0.03
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(n); err != nil {
		t.Fatal(err)
	}
	s.StartGrown(0, 10*vtime.Second)
	if ok, err := s.WarmUp(20 * vtime.Minute); !ok {
		t.Fatal("no ordinary day:", err)
	}
	s.ResetCensus()
	strike(s)
	if err := s.Run(d); err != nil {
		t.Fatal(err)
	}
	return s, s.Census().Recovery
}

func crashSupernodes(s *Sim, n int) {
	for i := 0; n > 0; i++ {
		if s.Serving(i) {
			s.Crash(i)
			n--
		}
	}
}

// TestBoundOfDeaths: when supernodes die for good, the network is not back before its
// nodes can have noticed, and is soon after.
func TestBoundOfDeaths(t *testing.T) {
	for what, tc := range map[string]struct {
		strike   func(s *Sim)
		from, to float64 // where the bound must lie, in seconds after the first death
		most     float64 // the ratio to it, at most; 0 when this is about the bound alone
	}{
		"half":            {func(s *Sim) { s.CrashSupernodes(0.5) }, 22, 26, 1.5},
		"three of four":   {func(s *Sim) { s.CrashSupernodes(0.75) }, 24, 27, 2.5},
		"half, back soon": {func(s *Sim) { s.RebootSupernodes(0.5, 0, 2*vtime.Second) }, 16, 20, 1.5},
		"half, and whom they held reboot": {func(s *Sim) {
			s.CrashSupernodes(0.5)
			for i := range s.Nodes() {
				if s.stranded.has(uint32(i)) {
					s.Reboot(i, 10*vtime.Second)
				}
			}
		}, 10, 11, 0},
		// So few notice at a time that 99.9 % count as attached all along.
		"two": {func(s *Sim) { crashSupernodes(s, 2) }, 20, 24, 1.5},
		"one": {func(s *Sim) { crashSupernodes(s, 1) }, 0, 1, 0}, // every node has another
	} {
		s, r := disaster(t, 3000, 2*vtime.Minute, tc.strike)
		bound, most := r.Bound.Sub(r.First).Seconds(), r.Most.Sub(r.First).Seconds()
		t.Logf("%s: bound %.2f s, 99.9 %% after %.2f s: %.2f", what, bound, most, most/bound)
		if bound < tc.from || bound > tc.to {
			t.Errorf("%s: the bound is %.2f s, expected from %.0f to %.0f s", what, bound, tc.from, tc.to)
		}
		if tc.most > 0 && (most < 0.93*bound || most > tc.most*bound) {
			t.Errorf("%s: 99.9 %% are back after %.2f s, the bound is %.2f s", what, most, bound)
		}
		if s.stranded.n != 0 {
			t.Errorf("%s: %d still do not know", what, s.stranded.n)
		}
	}
}

// TestStranded compares the nodes that do not know with what supernodes and nodes say of
// each other, while supernodes go down and come back and nodes reboot.
func TestStranded(t *testing.T) {
	most := 0
	s, _ := disaster(t, 1000, 0, func(s *Sim) {
		s.RebootSupernodes(0.6, 20*vtime.Second, 20*vtime.Second)
		s.RebootShare(0.2, 30*vtime.Second, 5*vtime.Second)
		s.CrashSupernodes(0.3)
	})
	for range 600 {
		if err := s.Run(vtime.Second / 10); err != nil {
			t.Fatal(err)
		}
		n, found := 0, 0
		for i := range s.Nodes() {
			if s.stranded.has(uint32(i)) {
				n++
			}
			if s.Running(i) && s.Attached(i) && !s.Serving(i) {
				lives := false
				for _, at := range s.Attachments(i) {
					lives = lives || s.Serving(at) && s.supers.get(s.hosts[at].super).Holds(handle(uint32(i)))
				}
				if !lives {
					found++
				}
			}
		}
		if n != found || n != s.stranded.n {
			t.Fatalf("after %.1f s %d nodes are stranded, %d by the set, %d by its count", vtime.Duration(s.now).Seconds(), found, n, s.stranded.n)
		}
		most = max(most, n)
	}
	if most < 50 {
		t.Errorf("%d were stranded at most: too few to compare", most)
	}
}
