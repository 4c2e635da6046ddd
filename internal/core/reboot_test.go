package core

import (
	"testing"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

// TestEverybodyRebootsAtOnce: all machines come back at the same moment, with the login
// server dead. Whoever is asked answers at once, and nobody serves yet: those answers must
// not cost the packets that are wanted when somebody does.
func TestEverybodyRebootsAtOnce(t *testing.T) {
	const n = 400
	l := newLab(t, n)
	for i := range n {
		l.start(ident.Handle(i+1), vtime.Duration(i)*20*vtime.Millisecond)
	}
	l.run(vtime.Minute)
	l.crash(l.login)
	for i := range n {
		l.reboot(ident.Handle(i+1), 5*vtime.Second)
	}
	l.run(5 * vtime.Second)
	took, ok := l.settled(vtime.Minute)
	if !ok {
		t.Fatalf("not everybody is attached after a minute: %s", l.orphans())
	}
	sent, most := 0, 0
	for _, h := range l.upAll() {
		k := int(l.host(h).node.Healing())
		sent, most = sent+k, max(most, k)
	}
	t.Logf("the last was attached after %.1f s; %.1f packets each, at most %d", took.Seconds(), float64(sent)/n, most)
	if took > 14*vtime.Second {
		t.Errorf("the last was attached %.1f s after the last start, want 14 s at most", took.Seconds())
	}
	if sent > 13*n || most > 20 {
		t.Errorf("%.1f packets each and %d by one, want at most 13 and 20", float64(sent)/n, most)
	}
}

// TestSecondSoonAfterTheFirst: who came when there was one supernode has nobody to ask for
// a second attachment, and asks as soon as it hears of another, not in minutes.
func TestSecondSoonAfterTheFirst(t *testing.T) {
	const n = 20
	l := newLab(t, n)
	for i := range n {
		l.start(ident.Handle(i+1), 0)
	}
	l.run(15 * vtime.Second)
	lone := 0
	for _, h := range l.upAll() {
		x := l.host(h)
		if at := x.node.Attachments(&x.env); x.env.Super == nil && at[1] == ident.None {
			lone++
		}
	}
	if lone > 0 {
		t.Errorf("%d of %d nodes have one attachment after 15 s: %s", lone, n, l.describe())
	}
}

// TestServesRatherThanWaits: a supernode that has rebooted is offered a slot far away,
// because the others have more to do than they can. It serves, and does not queue up.
func TestServesRatherThanWaits(t *testing.T) {
	const n = 60
	l := newLab(t, n)
	l.policy.AttachRate, l.policy.AttachBurst = 1, 1
	for i := range n {
		l.start(ident.Handle(i+1), vtime.Duration(i)*vtime.Second)
	}
	l.run(2 * vtime.Minute)
	var one ident.Handle // of the supernodes
	for _, h := range l.upAll() {
		if l.host(h).env.Super == nil {
			l.reboot(h, 3*vtime.Second)
		} else {
			one = h
		}
	}
	l.run(6 * vtime.Second) // all have asked for a slot
	l.reboot(one, 0)
	l.run(l.policy.StartSpread + vtime.Second)
	x := l.host(one)
	if x.env.Super == nil {
		t.Fatalf("it does not serve: seek %+v; %s", x.node.seek, l.describe())
	}
	l.run(5 * vtime.Second)
	if got := x.env.Super.Members(); got < l.policy.MinTier {
		t.Errorf("it knows %d supernodes, there are %d at least: %s", got, l.policy.MinTier, l.describe())
	}
}
