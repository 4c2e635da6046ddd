package path

import (
	"testing"
	"testing/synctest"
	"time"
)

// begunOn makes a pair whose ends both use the first hop.
func begunOn(t *testing.T, hops ...*hop) *pair {
	p := newPair(t, hops...)
	for end := range p.ends {
		w := p.ends[end].channels[1]
		w.to.use(w)
	}
	return p
}

// Whoever sends, both ends soon use the way that is clearly quicker, without a gap.
func TestQuickestWay(t *testing.T) {
	for from := range 2 {
		synctest.Test(t, func(t *testing.T) {
			p := begunOn(t, &hop{delay: 100 * ms}, &hop{delay: 20 * ms})
			defer p.close()
			gap, lost := p.talk(from, 20*ms, 5*time.Second, 0, nil)
			if p.via(0) != 1 || p.via(1) != 1 {
				t.Errorf("end %d sends: the ends use hop %d and %d", from, p.via(0), p.via(1))
			}
			if gap > 150*ms || lost > 0 {
				t.Errorf("end %d sends: gap of %v, %d lost", from, gap, lost)
			}
		})
	}
}

// A way that is a little quicker is left alone.
func TestNearlyAsQuick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := begunOn(t, &hop{delay: 23 * ms}, &hop{delay: 20 * ms})
		defer p.close()
		p.talk(0, 100*ms, 5*time.Minute, 0, nil)
		if p.via(0) != 0 || p.via(1) != 0 {
			t.Errorf("the ends use hop %d and %d", p.via(0), p.via(1))
		}
	})
}

// A relay that becomes slow for some seconds keeps its conversation; one that stays slow is
// left after half a minute.
func TestSlowRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := begunOn(t, &hop{delay: 20 * ms}, &hop{delay: 40 * ms})
		defer p.close()
		p.talk(0, 100*ms, 20*time.Second, 0, nil)
		slow := func(d time.Duration) func() { return func() { p.hops[0].extra.Store(int64(d)) } }
		time.AfterFunc(8*time.Second, slow(0))
		p.talk(0, 100*ms, time.Minute, ms, slow(200*ms))
		if p.via(0) != 0 || p.via(1) != 0 {
			t.Errorf("after some slow seconds the ends use hop %d and %d", p.via(0), p.via(1))
		}
		_, lost := p.talk(0, 100*ms, 50*time.Second, ms, slow(200*ms))
		if p.via(0) != 1 || p.via(1) != 1 || lost > 0 {
			t.Errorf("after 50 slow seconds the ends use hop %d and %d; %d lost", p.via(0), p.via(1), lost)
		}
	})
}

// A spare way that dies is found dead while the other is in use.
func TestSpareWayDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := begunOn(t, &hop{delay: 20 * ms}, &hop{delay: 20 * ms})
		defer p.close()
		p.talk(0, 100*ms, 30*time.Second, time.Second, func() { p.hops[1].dead.Store(true) })
		silent := append(p.ends[0].silent, p.ends[1].silent...)
		if len(silent) != 1 || silent[0] != 2 {
			t.Errorf("channels told silent: %v", silent)
		}
	})
}
