package core

import (
	"testing"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// TestRenewalEnds: a node that has been found reachable asks again when the proof is to be
// renewed, and stops asking when it has been.
func TestRenewalEnds(t *testing.T) {
	l := newLab(t, 20)
	for h := ident.Handle(1); h < l.login; h++ {
		l.start(h, vtime.Duration(h)*vtime.Second)
	}
	l.run(2 * vtime.Minute)
	asked := 0
	l.lose = func(_, _ ident.Handle, b []byte) bool {
		if wire.KindOf(b) == wire.KindVerify {
			asked++
		}
		return false
	}
	l.run(vtime.Hour)
	able := 0
	for _, x := range l.hosts {
		if x.login == nil && x.node.Able() && x.env.Super == nil {
			able++
		}
	}
	if able < 10 || asked < able || asked > 10*able {
		t.Fatalf("%d nodes asked for dial-backs %d times in an hour, one renewal in 10 min each is enough", able, asked)
	}
}
