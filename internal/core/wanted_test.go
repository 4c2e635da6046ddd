package core

import (
	"testing"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

// TestWantedOnce: a suspicion of somebody unknown comes from many at once, and the record is
// asked for once, until the answer must have been lost.
func TestWantedOnce(t *testing.T) {
	var w wanted
	now := vtime.Time(vtime.Second)
	for k := range len(w) {
		if !w.once(ident.Handle(k+1), now) || w.once(ident.Handle(k+1), now.Add(wantAgain-1)) {
			t.Fatalf("%d is asked for never, or twice", k+1)
		}
	}
	if !w.once(1, now.Add(wantAgain)) {
		t.Error("it is not asked for again after the answer was lost")
	}
	if !w.once(100, now) || !w.once(2, now.Add(1)) {
		t.Error("with more wanted than are remembered, some are never asked for")
	}
}

// TestVerifyRepeats: dial-backs that are missing are asked for a second time in the first
// attempt, where a packet may have been lost, and not by who was not reached before.
func TestVerifyRepeats(t *testing.T) {
	l, h, _ := doubled(t)
	x := l.host(h)
	x.node.rise = rising{}
	s := step{n: &x.node, env: &x.env, p: &l.policy, now: l.now, in: &Input{}, out: &Effects{}}
	for attempt, want := range []int{2, 1, 1} {
		s.out.Reset()
		s.now = vtime.Later(s.now, x.node.rise.reach.Next())
		for end := s.now.Add(5 * vtime.Second); s.now < end; s.now = s.now.Add(vtime.Second / 2) {
			s.riseDue()
		}
		if n := len(s.out.List); n != want {
			t.Errorf("attempt %d asks %d times, want %d", attempt+1, n, want)
		}
	}
}
