package core

import (
	"testing"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/slots"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// TestCalledByOrphans: a node that could serve begins to when orphans ask it and its
// supernodes tell of a storm; at the orphans' word alone, or for those who want a second
// attachment, it does not.
func TestCalledByOrphans(t *testing.T) {
	for name, tc := range map[string]struct {
		class  wire.Class
		probes int
		storm  bool
		serves bool
	}{
		"orphans in a storm":  {wire.ClassOrphan, calledBy, true, true},
		"tickets in a storm":  {wire.ClassTicket, calledBy, true, true},
		"orphans, no storm":   {wire.ClassOrphan, 10 * calledBy, false, false},
		"too few":             {wire.ClassOrphan, calledBy - 1, true, false},
		"seconds, in a storm": {wire.ClassSecond, 10 * calledBy, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, 60)
			for h := ident.Handle(1); h <= 60; h++ {
				l.start(h, vtime.Duration(h)*100*vtime.Millisecond)
			}
			l.run(5 * vtime.Minute)
			var called ident.Handle
			for _, h := range l.upAll() {
				if x := l.host(h); x.env.Super == nil && x.node.able() && x.node.count() == 2 {
					called = h
					break
				}
			}
			if called == ident.None {
				t.Fatal("nobody could serve")
			}
			for _, at := range l.host(called).node.at {
				sn := l.host(at.peer).env.Super
				for k := 0; tc.storm && k < 200; k++ { // ten seconds of slots
					sn.cal.Offer(slots.Request{Class: slots.Orphan, Origin: uint64(k)}, l.now, &l.host(at.peer).node.rng)
				}
			}
			for k := range tc.probes {
				m := wire.Probe{Nonce: uint64(k) + 1, Class: tc.class}
				l.post(called, 0, Input{Kind: InputMessage, Plain: true, From: ident.Handle(k%50 + 1), Bytes: m.Append(nil, labBook{})})
			}
			l.run(2 * vtime.Second)
			if serves := l.host(called).env.Super != nil; serves != tc.serves {
				t.Errorf("it serves: %v", serves)
			}
		})
	}
}
