package core

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

func (l *lab) upAll() (hs []ident.Handle) {
	for i, x := range l.hosts {
		if x.login == nil && x.up {
			hs = append(hs, ident.Handle(i+1))
		}
	}
	return hs
}

// settled runs until every running node is attached and reports how long it took.
func (l *lab) settled(bound vtime.Duration) (vtime.Duration, bool) {
	begin := l.now
	for l.now.Sub(begin) < bound {
		if up, attached, _ := l.census(); up == attached {
			return l.now.Sub(begin), true
		}
		l.run(vtime.Second / 4)
	}
	return 0, false
}

func (l *lab) lookupAll(t interface{ Fatalf(string, ...any) }, asker ident.Handle) {
	l.found = nil
	hs := l.upAll()
	for _, h := range hs {
		l.step(asker, Input{Kind: InputLookup, Query: uint32(h), Name: l.host(h).node.name})
	}
	l.run(8 * vtime.Second)
	if len(l.found) != len(hs) {
		t.Fatalf("%d of %d look-ups ended", len(l.found), len(hs))
	}
	for _, f := range l.found {
		if f.Status != uint8(wire.LookupFound) || f.Record.Owner != ident.Handle(f.Query) {
			l.trace = &strings.Builder{}
			l.run(20 * vtime.Second)
			t.Fatalf("node %d looks up node %d: status %d; %s\n%s", asker, f.Query, f.Status, l.describe(), l.trace)
		}
	}
}

func TestHealsWithoutLogin(t *testing.T) {
	for _, n := range []int{2, 5, 20, 100} {
		for _, share := range []float64{0.6, 1} {
			l := newLab(t, n)
			for i := range n {
				l.start(ident.Handle(i+1), vtime.Duration(i)*20*vtime.Millisecond)
			}
			l.run(30 * vtime.Second)
			l.crash(l.login)
			r := seed.New(1)
			for _, h := range l.upAll() {
				if l.host(h).env.Super != nil || r.Float64() < share {
					l.reboot(h, vtime.Duration(r.Between(int64(5*vtime.Second), int64(8*vtime.Second))))
				}
			}
			l.run(8 * vtime.Second)
			took, ok := l.settled(2 * vtime.Minute)
			up, attached, supers := l.census()
			t.Logf("%d nodes, %.0f%% crash: all attached %.1f s after the last start, %d supernodes", n, share*100, took.Seconds(), supers)
			if !ok || up != n {
				t.Fatalf("%d nodes: %d up, %d attached, %d supernodes", n, up, attached, supers)
			}
			l.run(20 * vtime.Second)
			l.lookupAll(t, 1)
		}
	}
}

func TestAnySchedule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "nodes")
		l := newLab(nil, n)
		r := seed.New(rapid.Uint64().Draw(t, "seed"))
		loss := rapid.SampledFrom([]float64{0, 0.03, 0.2}).Draw(t, "loss")
		l.lose = func(_, _ ident.Handle, _ []byte) bool { return r.Float64() < loss }
		for i := range n {
			l.start(ident.Handle(i+1), vtime.Duration(r.Between(0, int64(5*vtime.Second))))
		}
		l.run(vtime.Duration(rapid.IntRange(1, 60).Draw(t, "warm")) * vtime.Second)
		for range rapid.IntRange(0, 12).Draw(t, "faults") {
			switch rapid.SampledFrom([]string{"crash", "mass", "supers", "login", "wait"}).Draw(t, "fault") {
			case "crash":
				h := ident.Handle(rapid.IntRange(1, n).Draw(t, "who"))
				l.reboot(h, vtime.Duration(r.Between(0, int64(60*vtime.Second))))
			case "mass":
				share := rapid.Float64Range(0, 1).Draw(t, "share")
				for i := range n {
					if r.Float64() < share {
						l.reboot(ident.Handle(i+1), vtime.Duration(r.Between(0, int64(30*vtime.Second))))
					}
				}
			case "supers":
				for i := range n {
					if l.hosts[i].env.Super != nil {
						l.reboot(ident.Handle(i+1), vtime.Duration(r.Between(0, int64(30*vtime.Second))))
					}
				}
			case "login":
				if l.host(l.login).up {
					l.crash(l.login)
				} else {
					l.start(l.login, 0)
				}
			case "wait":
			}
			l.run(vtime.Duration(rapid.IntRange(0, 40).Draw(t, "wait")) * vtime.Second)
		}
		l.lose = nil
		if !l.host(l.login).up {
			l.start(l.login, 0)
		}
		l.run(61 * vtime.Second)
		if _, ok := l.settled(5 * vtime.Minute); !ok {
			up, attached, supers := l.census()
			l.trace = &strings.Builder{}
			l.run(10 * vtime.Second)
			t.Fatalf("%d up, %d attached, %d supernodes: %s\n%s", up, attached, supers, l.orphans(), l.trace)
		}
		l.run(40 * vtime.Second)
		if _, ok := l.settled(vtime.Minute); !ok {
			t.Fatalf("did not stay attached")
		}
		l.lookupAll(t, ident.Handle(n))
	})
}

func (l *lab) reboot(h ident.Handle, down vtime.Duration) {
	if !l.host(h).up {
		return
	}
	l.crash(h)
	l.start(h, down)
}

func (l *lab) orphans() (s string) {
	for i, x := range l.hosts {
		if x.login == nil && x.up && !x.node.Attached(&x.env) {
			s += fmt.Sprintf("\nnode %d: seek %+v login %+v was %v next %v now %v", i+1, x.node.seek, x.node.login, x.node.wasSuper, x.node.Next(&x.env), l.now)
		}
	}
	return s
}

// describe tells who is what.
func (l *lab) describe() (s string) {
	for i, x := range l.hosts {
		if sn := x.env.Super; sn != nil {
			s += fmt.Sprintf("\nnode %d: supernode, %d members, holds %d, stores %d", i+1, sn.Members(), sn.Held(), sn.Records())
		} else if x.login == nil {
			s += fmt.Sprintf("\nnode %d: at %v", i+1, x.node.Attachments(&x.env))
		}
	}
	return s
}

// TestTiersMeetAgain: the first node of a network loses its disk's memory of others and
// its power, with the login server dead. It comes back as a tier of its own, and the two
// find each other.
func TestTiersMeetAgain(t *testing.T) {
	for _, n := range []int{2, 3, 8} {
		l := newLab(t, n)
		for i := range n {
			l.start(ident.Handle(i+1), vtime.Duration(i)*vtime.Second)
		}
		l.run(30 * vtime.Second)
		l.crash(l.login)
		clear(l.host(1).env.Cache)
		l.reboot(1, 2*vtime.Second)
		l.run(3 * vtime.Minute)
		up, attached, _ := l.census()
		if up != n || attached != n {
			t.Fatalf("%d nodes: %d up, %d attached", n, up, attached)
		}
		for i := range n {
			l.lookupAll(t, ident.Handle(i+1))
		}
	}
}
