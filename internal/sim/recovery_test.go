package sim

import (
	"testing"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/vtime"
)

// TestShock follows the moments at which a network has come back.
func TestShock(t *testing.T) {
	const second = vtime.Time(vtime.Second)
	k := quiescent
	k.watch(5*second, 1000, 1000, 0)
	if k != quiescent {
		t.Errorf("nothing has happened, and the network has come back: %+v", k)
	}
	k.at(10 * second)                    // one goes down
	k.watch(10*second, 1000, 1000, 3)    // with nodes that have another
	k.at(20 * second)                    // another goes down
	k.watch(20*second, 900, 1000, 4)     // with nodes that have none, known or not
	k.watch(50*second, 998, 1000, 106)   // nearly
	k.watch(51*second, 999, 1000, 107)   // 99.9 %
	k.watch(55*second, 998, 1000, 108)   // one comes loose
	k.watch(60*second, 1000, 1000, 109)  // all
	k.watch(70*second, 900, 1000, 1000)  // what comes later is of another day
	k.watch(90*second, 1000, 1000, 1000) // and so is this
	want := shock{first: 10 * second, last: 20 * second, most: 51 * second, all: 60 * second, nodes: 107}
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
