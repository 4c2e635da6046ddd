package core

import (
	"testing"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/roster"
	"github.com/ada420b6/overlay/internal/vtime"
)

// TestNewsSpread: all of a tier doubt a dead supernode long before each has pinged it,
// and without comparing rosters.
func TestNewsSpread(t *testing.T) {
	const last = 20
	const dead = ident.Handle(3)
	l := newLab(t, last)
	l.policy.MinTier, l.policy.AntiEntropy = last, vtime.Day
	for h := ident.Handle(1); h <= last; h++ {
		l.start(h, vtime.Duration(h)*vtime.Second)
	}
	l.run(2 * vtime.Minute)
	if _, _, supers := l.census(); supers < last/2 || l.host(dead).env.Super == nil {
		t.Fatalf("%d supernodes of %d", supers, last)
	}
	died := l.now
	l.crash(dead)
	l.run(8 * vtime.Second) // somebody pings it, a second until the verdict, and the way of the news
	for h := ident.Handle(1); h <= last; h++ {
		sn := l.host(h).env.Super
		if sn == nil || sn.since > died {
			continue
		}
		if m, ok := sn.roster.Lookup(dead); !ok || m.State == roster.Alive {
			t.Errorf("8 s after its death supernode %d has no doubt about it", h)
		}
	}
}
