package core

import (
	"strings"
	"testing"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

func TestNetworkForms(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10, 60} {
		l := newLab(t, n)
		l.trace = &strings.Builder{}
		for i := range n {
			l.start(ident.Handle(i+1), vtime.Duration(i)*50*vtime.Millisecond)
		}
		for i := range 40 {
			l.run(vtime.Second)
			up, att, sup := l.census()
			if n == 60 {
				t.Logf("%2d s: up %d attached %d supernodes %d", i+1, up, att, sup)
			}
		}
		up, attached, supers := l.census()
		if attached != up || supers < min(n, 5) {
			s := l.trace.String()
			t.Fatalf("%d nodes: %d attached, %d supernodes\n%s", up, attached, supers, s[:min(len(s), 8000)])
		}
		for i := range n {
			for j := range n {
				l.step(ident.Handle(i+1), Input{Kind: InputLookup, Query: uint32(j), Name: l.host(ident.Handle(j + 1)).node.name})
			}
			break
		}
		l.run(6 * vtime.Second)
		if len(l.found) != n {
			t.Fatalf("%d of %d look-ups ended", len(l.found), n)
		}
		for _, f := range l.found {
			if f.Status != uint8(wire.LookupFound) || f.Record.Owner != ident.Handle(f.Query+1) {
				t.Errorf("%d nodes: look-up of node %d: status %d, owner %d", n, f.Query+1, f.Status, f.Record.Owner)
			}
		}
	}
}
