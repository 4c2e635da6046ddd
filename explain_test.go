package overlay_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ada420b6/overlay"
	"github.com/ada420b6/overlay/internal/sim"
)

// TestExplain asks about nodes of a network that a power cut has hit, watched and not.
func TestExplain(t *testing.T) {
	for _, big := range []bool{false, true} {
		opts := []overlay.Option{overlay.WithLoss(0)}
		if big {
			opts = append(opts, overlay.WithMaxNodes(10_001))
		}
		s, err := overlay.NewSimulation(1, opts...)
		if err != nil {
			t.Fatal(err)
		}
		if e := s.Explain(3); e.Node != 3 || e.Wait != overlay.WaitPower || e.Until != -1 || e.Slot != -1 || e.Watched {
			t.Errorf("before there are nodes: %+v", e)
		}
		s.Add(60)
		warmUp(t, s)
		if e := s.Explain(60); e.Running || e.Time != 0 || s.Explain(-1).Running {
			t.Errorf("a node that was never added: %+v", e)
		}
		served, held, places := 0, 0, 0
		for i := range 60 {
			e := s.Explain(i)
			held, places = held+e.Held, places+len(e.Attached)
			if e.Supernode {
				served++
			}
			if e.Wait != overlay.WaitNothing || !e.Running || e.Alone != 0 || e.Time != s.Census().Time {
				t.Fatalf("on an ordinary day: %+v", e)
			}
		}
		if served != s.Census().Supernodes || held != places || places < 100 {
			t.Errorf("%d serve %d, %d are attached", served, held, places)
		}
		s.Reboot(1, 0, time.Minute)
		e := s.Explain(7)
		if e.Running || e.Wait != overlay.WaitPower || e.Until < e.Time+30*time.Second || e.Until > e.Time+90*time.Second {
			t.Errorf("without power: %+v", e)
		}
		if e.Watched == big || (len(e.History) == 0) != big {
			t.Errorf("room for more than 10 000 is %v, watched is %v", big, e.Watched)
		}
		text := e.String()
		for want, when := range map[string]bool{
			"node 7 at 0:0": true, " is off\n  waits for power, until 0:0": true, " goes down for ": !big,
			"  no history: run the same seed again with WithWatch\n": big,
		} {
			if strings.Contains(text, want) != when {
				t.Errorf("%q: %v, want %v, in\n%s", want, !when, when, text)
			}
		}
	}
}

// TestExplanationText reads explanations of all kinds.
func TestExplanationText(t *testing.T) {
	base := overlay.Explanation{Node: 4, Time: 3*time.Hour + 2*time.Second, Running: true, Until: -1, Slot: -1, Watched: true, Known: 9, KnownLive: 2}
	for want, change := range map[string]func(e *overlay.Explanation){
		"node 4 at 3:00:02.000 has had no attachment for 7.5 s\n":      func(e *overlay.Explanation) { e.Alone = 7500 * time.Millisecond },
		"is attached to 5 and 6\n  0 rounds":                           func(e *overlay.Explanation) { e.Attached = []int{5, 6} },
		"is attached to 5, which is silent, and 6\n":                   func(e *overlay.Explanation) { e.Attached, e.Unsure = []int{5, 6}, []int{5} },
		"is attached to 5, which is silent\n":                          func(e *overlay.Explanation) { e.Attached, e.Unsure = []int{5}, []int{5} },
		"serves 12 nodes\n":                                            func(e *overlay.Explanation) { e.Supernode, e.Held = true, 12 },
		"waits for its slot at 8, until 3:00:04.000":                   func(e *overlay.Explanation) { e.Wait, e.Slot, e.Until = overlay.WaitSlot, 8, e.Time+2*time.Second },
		"waits for an answer to its attach at 8\n":                     func(e *overlay.Explanation) { e.Wait, e.Slot = overlay.WaitAccept, 8 },
		"waits for the answers of 1 of the 2 it asked\n":               func(e *overlay.Explanation) { e.Wait, e.Asked, e.Silent = overlay.WaitAnswers, 2, 1 },
		"waits for the pause before its next round\n":                  func(e *overlay.Explanation) { e.Wait = overlay.WaitPause },
		"before its next round, its packets are spent\n":               func(e *overlay.Explanation) { e.Wait, e.Spent = overlay.WaitPause, true },
		"waits for a login server\n":                                   func(e *overlay.Explanation) { e.Wait = overlay.WaitLogin },
		"3 rounds in vain, 11 packets left, remembers 9 supernodes of": func(e *overlay.Explanation) { e.InVain, e.Packets = 3, 11 },
		"of which 2 serve, sees storm level 2\n":                       func(e *overlay.Explanation) { e.Storm = 2 },
		"\n  0:00:01.500 starts\n":                                     func(e *overlay.Explanation) { e.History = []overlay.Happening{{1500 * time.Millisecond, "starts"}} },
	} {
		e := base
		change(&e)
		if text := e.String(); !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	for public, internal := range map[overlay.Wait]sim.Wait{
		overlay.WaitNothing: sim.WaitNothing, overlay.WaitPower: sim.WaitPower, overlay.WaitPause: sim.WaitPause,
		overlay.WaitAnswers: sim.WaitAnswers, overlay.WaitSlot: sim.WaitSlot, overlay.WaitAccept: sim.WaitAccept,
		overlay.WaitLogin: sim.WaitLogin, overlay.WaitLoginPause: sim.WaitLoginPause, overlay.WaitLeave: sim.WaitLeave,
		overlay.WaitRefused: sim.WaitRefused,
	} {
		if uint8(public) != uint8(internal) || strings.HasPrefix(public.String(), "Wait(") {
			t.Errorf("%v is %d outside and %d inside", public, public, internal)
		}
	}
	if text := overlay.Wait(99).String(); text != "Wait(99)" {
		t.Error(text)
	}
}

// TestWithWatch watches one node of a network that is too large to watch all, and the run
// is the same.
func TestWithWatch(t *testing.T) {
	run := func(opts ...overlay.Option) *overlay.Simulation {
		s, err := overlay.NewSimulation(2, append(opts, overlay.WithMaxNodes(20_000))...)
		if err != nil {
			t.Fatal(err)
		}
		s.Add(100)
		if err := s.Run(2 * time.Minute); err != nil {
			t.Fatal(err)
		}
		return s
	}
	without, with := run(), run(overlay.WithWatch(5), overlay.WithWatch(6, 19_999))
	if without.TraceHash() != with.TraceHash() {
		t.Error("the run was another one because it was watched")
	}
	for node, watched := range map[int]bool{5: true, 6: true, 7: false} {
		if e := with.Explain(node); e.Watched != watched || (len(e.History) > 0) != watched {
			t.Errorf("node %d: %+v", node, e)
		}
	}
	if _, err := overlay.NewSimulation(1, overlay.WithWatch(-1)); err == nil || !strings.Contains(err.Error(), "WithWatch: node -1") {
		t.Error(err)
	}
}
