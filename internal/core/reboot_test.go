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
	if sent > 11*n || most > 20 {
		t.Errorf("%.1f packets each and %d by one, want at most 11 and 20", float64(sent)/n, most)
	}
}
