package core

import (
	"testing"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

// TestStandbysServe: all supernodes die for good, together with the login server. Nobody
// who is left has served before or remembers one who lives, and still all are attached
// again: the standbys begin to serve within seconds, and are asked by those who were told.
func TestStandbysServe(t *testing.T) {
	for _, standbys := range []int{2, 0} {
		l := newLab(t, 60)
		l.policy.Standbys = standbys
		for h := ident.Handle(1); h <= 60; h++ {
			l.start(h, vtime.Duration(h)*100*vtime.Millisecond)
		}
		l.run(5 * vtime.Minute)
		l.crash(l.login)
		for _, h := range l.upAll() {
			if l.host(h).env.Super != nil {
				l.crash(h)
			}
		}
		if _, _, supers := l.census(); supers != 0 {
			t.Fatalf("%d supernodes are left", supers)
		}
		l.run(8 * vtime.Second)
		if _, _, supers := l.census(); (supers > 0) != (standbys > 0) {
			t.Errorf("%d standbys: %d supernodes after 8 s", standbys, supers)
		}
		l.run(22 * vtime.Second) // until everybody has noticed
		took, ok := l.settled(2 * vtime.Minute)
		if up, attached, supers := l.census(); ok != (standbys > 0) {
			t.Errorf("%d standbys: %d of %d attached by %d supernodes", standbys, attached, up, supers)
		} else {
			t.Logf("%d standbys: %d of %d attached by %d supernodes after %.1f s", standbys, attached, up, supers, 30+took.Seconds())
		}
	}
}

// TestStandbysKeepStill: the death of one supernode calls no standby while the tier lives.
func TestStandbysKeepStill(t *testing.T) {
	l := newLab(t, 60)
	for h := ident.Handle(1); h <= 60; h++ {
		l.start(h, vtime.Duration(h)*100*vtime.Millisecond)
	}
	l.run(5 * vtime.Minute)
	_, _, before := l.census()
	for _, h := range l.upAll() {
		if x := l.host(h); x.env.Super != nil && x.env.Super.Held() > 0 {
			l.crash(h)
			break
		}
	}
	l.run(30 * vtime.Second)
	if _, _, after := l.census(); before > 5 && after > before-1 {
		t.Errorf("%d supernodes, one died, and there are %d", before, after)
	}
}
