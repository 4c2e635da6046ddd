package sim

import (
	"math"
	"testing"

	"github.com/ada420b6/overlay/internal/core"
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

// TestShock follows the moments at which a network has come back.
func TestShock(t *testing.T) {
	const second = vtime.Time(vtime.Second)
	k := quiescent
	k.watch(5*second, 1000, 1000, 0)
	if k != quiescent {
		t.Errorf("nothing has happened, and the network has come back: %+v", k)
	}
	k.at(10 * second)                     // one goes down
	k.watch(10*second, 1000, 1000, 3)     // and nobody has noticed yet
	k.at(20 * second)                     // another
	k.watch(20*second, 1000, 1000, 4)     // nobody has noticed
	k.watch(36*second, 900, 1000, 104)    // the nodes of both have
	k.watch(50*second, 998, 1000, 106)    // nearly
	k.watch(51*second, 999, 1000, 107)    // 99.9 %
	k.watch(60*second, 1000, 1000, 107)   // all
	k.watch(70*second, 999, 1000, 108)    // but one comes loose
	k.watch(71*second, 1000, 1000, 108)   // and attached again
	k.watch(100*second, 999, 1000, 109)   // later ones are of another day
	k.watch(1000*second, 900, 1000, 1000) // and so is this
	want := shock{first: 10 * second, last: 20 * second, most: 51 * second, all: 71 * second, nodes: 107}
	if k != want {
		t.Errorf("%+v, want %+v", k, want)
	}
}

// TestOfferedLoad compares the peak over a sliding window with one that counts moments.
func TestOfferedLoad(t *testing.T) {
	o, p := make(offered), core.DefaultPolicy()
	var at []vtime.Time
	want := 0
	now, draw := vtime.Time(0), uint64(7)
	for k := range 20_000 {
		draw = mix(draw)
		step := vtime.Millisecond * vtime.Duration(draw%400)
		if k > 10_000 && k < 10_500 {
			step = vtime.Millisecond // a storm
		}
		now = now.Add(step)
		o.add(3, now)
		o.add(4, now.Add(vtime.Minute)) // another supernode is counted apart
		at = append(at, now)
		from := vtime.Time(int64(now) / int64(vtime.Second/4) * int64(vtime.Second/4)).Add(-(loadQuarters - 1) * vtime.Second / 4)
		for at[0] < from {
			at = at[1:]
		}
		want = max(want, len(at))
	}
	if got := o[3].most; got != want || want < 500 {
		t.Errorf("%d in 5 s, want %d, a storm of 500 and more", got, want)
	}
	if got, want := o.peak(&p), float64(want)/100; got != want {
		t.Errorf("the peak is %v of the rate, want %v", got, want)
	}
}

// TestOrphans compares the set with what the hosts say while much happens.
func TestOrphans(t *testing.T) {
	s := newRun(t, DefaultConfig(300), vtime.Second)
	check := func() {
		t.Helper()
		n := 0
		for i := range s.added {
			if h := &s.hosts[i]; h.is(hostUp) && !h.is(hostAttached) {
				n++
			}
		}
		found := 0
		for i := range s.orphans.all {
			if h := &s.hosts[i]; !h.is(hostUp) || h.is(hostAttached) {
				t.Errorf("node %d is no orphan", i)
			}
			found++
		}
		if n != found || n != s.orphans.n || n != s.stats.running-s.stats.attached || n != s.Census().Waits.Open {
			t.Errorf("%d orphans, %d found, %d counted, %d by the statistics", n, found, s.orphans.n, s.stats.running-s.stats.attached)
		}
	}
	s.RebootShare(0.7, 30*vtime.Second, 5*vtime.Second)
	most := 0
	for range 40 {
		if err := s.Run(vtime.Second); err != nil {
			t.Fatal(err)
		}
		check()
		most = max(most, s.orphans.n)
	}
	if most == 0 {
		t.Error("there never was an orphan")
	}
}
