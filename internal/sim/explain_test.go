package sim

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// TestWatchChangesNothing runs once with every history kept and Explain asked all the time,
// once without, and once with a trace that begins and ends in between.
func TestWatchChangesNothing(t *testing.T) {
	run := func(prepare func(s *Sim), look func(s *Sim)) uint64 {
		cfg := DefaultConfig(50)
		cfg.Loss = 0.05
		s := newRun(t, cfg, vtime.Second)
		prepare(s)
		s.RebootShare(0.5, vtime.Minute, vtime.Minute)
		for range 60 {
			if err := s.Run(5 * vtime.Second); err != nil {
				t.Fatal(err)
			}
			look(s)
		}
		return s.TraceHash()
	}
	nothing := func(*Sim) {}
	want := run(nothing, nothing)
	if run(func(s *Sim) { s.Watch() }, func(s *Sim) {
		for i := range s.Nodes() {
			s.Explain(i)
		}
	}) != want {
		t.Error("the run was another one because it was watched")
	}
	kept := false
	if run(func(s *Sim) { s.Watch(7) }, func(s *Sim) {
		s.Trace(io.Discard, 3)
		s.Trace(nil)
		x := s.Explain(7)
		kept = x.Watched && len(x.History) > 0
	}) != want || !kept {
		t.Error("a trace ended a history, or changed the run")
	}
}

// TestExplainAll looks at all nodes of a network in a disaster, as 2007 had it and as it
// heals, and holds what is told against what the simulator knows otherwise.
func TestExplainAll(t *testing.T) {
	seen := make(map[Wait]int)
	for _, old := range []bool{false, true} {
		cfg := augustNetwork(300, old)
		cfg.Uncertified = 0.2
		if !old {
			cfg.Policy.AttachRate, cfg.Policy.AttachBurst = 2, 2 // so that there are slots to wait for
		}
		s := newRun(t, cfg, 10*vtime.Second)
		s.Watch()
		for k := range 400 {
			switch k {
			case 200:
				s.RebootShare(0.6, vtime.Minute, vtime.Minute)
			case 250:
				if i := slices.IndexFunc(slices.Collect(s.count()), s.Serving); i >= 0 {
					s.Leave(i)
				}
			}
			if err := s.Run(vtime.Second); err != nil {
				t.Fatal(err)
			}
			places, guests := 0, 0
			for i := range s.Nodes() {
				x := s.Explain(i)
				seen[x.Wait]++
				places, guests = places+len(x.Attached), guests+x.Held
				checkExplanation(t, s, i, &x)
			}
			// Whose goodbye is lost is held until it has been silent for 31 s.
			if k == 190 && !old && (places > guests || guests > places+3 || places < 250) {
				t.Errorf("%d attachments as the nodes say, %d as the supernodes do", places, guests)
			}
		}
	}
	for w := WaitNothing; w <= WaitLeave; w++ {
		if seen[w] == 0 {
			t.Errorf("nobody ever waited for %d", w)
		}
	}
}

func checkExplanation(t *testing.T, s *Sim, i int, x *Explanation) {
	t.Helper()
	if x.Running != s.Running(i) || x.Serving != s.Serving(i) || (x.Alone > 0) != (x.Running && !s.Attached(i)) && s.Attached(i) {
		t.Fatalf("node %d: %+v", i, x)
	}
	if !x.Serving && !slices.Equal(x.Attached, s.Attachments(i)) {
		t.Fatalf("node %d is attached to %v, told is %v", i, s.Attachments(i), x.Attached)
	}
	if x.Until < s.Now() || (x.Slot >= 0) != (x.Wait == WaitSlot || x.Wait == WaitAccept) || x.KnownServing > x.Known {
		t.Fatalf("node %d at %d: %+v", i, s.Now(), x)
	}
	// An orphan always has something to wait for, and knows until when (rule R1).
	if x.Running && !s.Attached(i) && (x.Wait == WaitNothing || x.Until == vtime.Never) {
		t.Fatalf("node %d is alone and waits for nothing: %+v", i, x)
	}
	if len(x.History) > HistoryLength || !slices.IsSortedFunc(x.History, func(a, b Step) int { return int(a.At - b.At) }) {
		t.Fatalf("node %d: %d steps, or out of order: %v", i, len(x.History), x.History)
	}
}

// TestExplainUntil: what is waited for comes when it was told, or sooner.
func TestExplainUntil(t *testing.T) {
	s := settled(t, 60)
	s.Watch()
	s.Reboot(5, vtime.Minute)
	x := s.Explain(5)
	if x.Wait != WaitPower || x.Until != s.Now().Add(vtime.Minute) || x.History[len(x.History)-1].Text != "goes down for 60.0 s" {
		t.Fatalf("%+v", x)
	}
	if err := s.Run(vtime.Minute); err != nil {
		t.Fatal(err)
	}
	for s.Explain(5).Wait != WaitNothing {
		was := s.Explain(5)
		if err := s.Run(was.Until.Sub(s.Now())); err != nil {
			t.Fatal(err)
		}
		if now := s.Explain(5); now.Wait == was.Wait && now.Until == was.Until {
			t.Fatalf("%+v was to be over by now, and is not", was)
		}
	}
	s.Crash(6)
	if x := s.Explain(6); x.Wait != WaitPower || x.Until != vtime.Never || x.History[len(x.History)-1].Text != "goes down" {
		t.Errorf("%+v", x)
	}
}

// TestExplainSilence: a supernode dies, and a node tells that it is asked in vain and then
// given up.
func TestExplainSilence(t *testing.T) {
	s := settled(t, 60)
	s.Watch()
	node := slices.IndexFunc(slices.Collect(s.count()), func(i int) bool { return !s.Serving(i) && len(s.Attachments(i)) == 2 })
	dead := s.Attachments(node)[0]
	s.Crash(dead)
	unsure := false
	if _, err := s.RunUntil(func() bool {
		x := s.Explain(node)
		unsure = unsure || slices.Equal(x.Unsure, []int{dead})
		return !slices.Contains(x.Attached, dead)
	}, 2*vtime.Minute); err != nil {
		t.Fatal(err)
	}
	if !unsure {
		t.Error("it never asked whether the dead one lives")
	}
	want := []string{fmt.Sprintf("gives %d up, which is silent", dead), fmt.Sprintf("%d is dead", dead), fmt.Sprintf("attached to %d no more", dead), fmt.Sprintf("unknown to %d", dead)}
	if text := fmt.Sprint(s.Explain(node).History); !slices.ContainsFunc(want, func(w string) bool { return strings.Contains(text, w) }) {
		t.Errorf("it does not tell why it has let go: %s", text)
	}
}

// count yields the numbers of all nodes.
func (s *Sim) count() func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := range s.added {
			if !yield(i) {
				return
			}
		}
	}
}

// TestHistoryWords reads a step of every kind.
func TestHistoryWords(t *testing.T) {
	s := newRun(t, DefaultConfig(10), 0)
	login, peer := s.logins[1], handle(4)
	said := func(k wire.Kind) note { return note{what: deedSays, kind: uint8(k), peer: peer} }
	heard := func(k wire.Kind, say, more uint8, wait uint32) note {
		return note{what: deedHears, kind: uint8(k), peer: peer, say: say, more: more, wait: wait}
	}
	did := func(k core.EffectKind, say, more uint8) note {
		return note{what: deedDone, kind: uint8(k), peer: peer, say: say, more: more}
	}
	for want, n := range map[string]note{
		"goes down":            {what: deedDown},
		"goes down for 1.5 s":  {what: deedDown, wait: 1500},
		"starts":               {what: deedInput, kind: uint8(core.InputStart)},
		"is switched off":      {what: deedInput, kind: uint8(core.InputLeave)},
		"asks for a slot: 4":   said(wire.KindProbe),
		"comes to be attached": said(wire.KindAttach),
		"applies for a certificate: login server 2":   {what: deedSays, kind: uint8(wire.KindLoginRequest), peer: login},
		"its session is unknown to 4":                 {what: deedInput, kind: uint8(core.InputReset), peer: peer},
		"4 has a slot now":                            heard(wire.KindOffer, uint8(wire.OfferSlot), 0, 0),
		"4 has a slot in 2.0 s":                       heard(wire.KindOffer, uint8(wire.OfferSlot), 0, 2000),
		"4 is full: for 30.0 s, names 3 others":       heard(wire.KindOffer, uint8(wire.OfferFull), 3, 30_000),
		"4 is no supernode":                           heard(wire.KindOffer, uint8(wire.OfferNotServing), 0, 0),
		"4 accepts":                                   heard(wire.KindAccept, 0, 0, 0),
		"4 refuses, the slot is over":                 heard(wire.KindRefuse, uint8(wire.RefusedSlot), 0, 0),
		"4 refuses, it is full: stay away 1.0 s":      heard(wire.KindRefuse, uint8(wire.RefusedFull), 0, 1000),
		"4 refuses, the record is not good":           heard(wire.KindRefuse, uint8(wire.RefusedRecord), 0, 0),
		"4 refuses, it serves no more":                heard(wire.KindRefuse, uint8(wire.RefusedClosed), 0, 0),
		"4 says goodbye, it goes down, names 6":       heard(wire.KindGoodbye, uint8(wire.FarewellLeaving), 6, 0),
		"4 says goodbye, its role is another":         heard(wire.KindGoodbye, uint8(wire.FarewellRole), 0, 0),
		"4 says goodbye, one of the two is enough":    heard(wire.KindGoodbye, uint8(wire.FarewellReplaced), 0, 0),
		"4 knows of no supernode and says: serve":     heard(wire.KindList, 1, 0, 0),
		"4 knows of no supernode: come back in 2.0 s": heard(wire.KindList, 0, 0, 2000),
		"4 names 5 supernodes":                        heard(wire.KindList, 0, 5, 0),
		"4 grants a certificate":                      heard(wire.KindLoginReply, uint8(wire.LoginGranted), 0, 0),
		"4 is busy: come back in 9.0 s":               heard(wire.KindLoginReply, uint8(wire.LoginBusy), 0, 9000),
		"4 says the name is taken":                    heard(wire.KindLoginReply, uint8(wire.LoginTaken), 0, 0),
		"4 says the application is invalid":           heard(wire.KindLoginReply, uint8(wire.LoginInvalid), 0, 0),
		"4 refuses":                                   heard(wire.KindLoginReply, uint8(wire.LoginRefused), 0, 0),
		"4 says that 7 is dead":                       heard(wire.KindLost, 0, 0, uint32(handle(7))),
		"4 appoints it as a supernode":                heard(wire.KindAppoint, 0, 0, 0),
		"4 does not hold it":                          heard(wire.KindNotAttached, 0, 0, 0),
		"is attached to 4, 2 now":                     did(core.EffectAttached, 2, 0),
		"is attached to 4 no more, 1 left":            did(core.EffectDetached, 1, 0),
		"gives 4 up, which is silent, 0 left":         did(core.EffectDetached, 0, 1),
		"serves as a supernode":                       did(core.EffectPromoted, 0, 0),
		"serves no more":                              did(core.EffectDemoted, 0, 0),
		"has its certificate":                         did(core.EffectCertified, 0, 0),
		"is denied its name":                          did(core.EffectDenied, 0, 0),
		"has left":                                    did(core.EffectLeft, 0, 0),
		"sees storm level 3":                          did(core.EffectStorm, 3, 0),
	} {
		if got := n.tell(s); !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
