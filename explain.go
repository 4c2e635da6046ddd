package overlay

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ada420b6/overlay/internal/sim"
)

// WithWatch keeps a history of these nodes of a Simulation for Explain, its last 32 steps,
// 1 kB each; nodes count from 0 in the order in which they are added. By default all are
// watched where there is room for at most 10 000 machines, and none in larger networks.
// Watching changes nothing: when a node of a large run surprises you, run the same seed
// again and watch it.
func WithWatch(nodes ...int) Option {
	return simulationOption("WithWatch", func(c *simulationConfig) error {
		for _, n := range nodes {
			if n < 0 || n >= sim.MaxNodes {
				return fmt.Errorf("WithWatch: node %d, 0 to %d are possible", n, sim.MaxNodes-1)
			}
		}
		c.watch = append(c.watch, nodes...)
		return nil
	})
}

// watching keeps what Explain tells.
func (s *Simulation) watching(room int) {
	switch watch := s.config.simulation.watch; {
	case len(watch) > 0:
		s.sim.Watch(watch...)
	case room <= sim.ForetoldAbove:
		s.sim.Watch()
	}
}

// Wait is what a node of a Simulation waits for.
type Wait uint8

// What there is to wait for. Explanation.Until says until when.
const (
	WaitNothing    Wait = iota // it serves, or has as many attachments as its policy wants
	WaitPower                  // its machine is off
	WaitPause                  // the pause after its start, or before the next round of probes
	WaitAnswers                // it has asked supernodes for a slot
	WaitSlot                   // it holds a slot at a supernode
	WaitAccept                 // it has come at its slot, and is not answered yet
	WaitLogin                  // a login server has its application
	WaitLoginPause             // the pause before it applies again
	WaitLeave                  // it leaves, and a supernode's nodes have to find another place first
	WaitRefused                // a login server has refused its name: nothing will come
)

var waitNames = [...]string{
	"nothing", "power", "the pause before its next round", "answers of those it asked", "its slot", "an answer to its attach",
	"a login server", "the pause before its next application", "those that it holds to leave", "a name",
}

// String tells what is waited for.
func (w Wait) String() string {
	if int(w) < len(waitNames) {
		return waitNames[w]
	}
	return fmt.Sprintf("Wait(%d)", uint8(w))
}

// Explanation tells why a node of a Simulation is where it is.
type Explanation struct {
	Node      int
	Time      time.Duration // of the simulation
	Running   bool          // its machine is on
	Supernode bool          // it serves
	Attached  []int         // the supernodes that it is attached to
	Unsure    []int         // of these, who has been asked whether it lives and has not answered
	Held      int           // nodes that are attached to it
	Alone     time.Duration // how long it has run without an attachment by now; 0 with one

	Wait      Wait
	Until     time.Duration // when that is over at the latest, on the clock of Time; -1 when nothing says
	Slot      int           // with WaitSlot and WaitAccept: the supernode; else -1
	Asked     int           // with WaitAnswers: how many supernodes were asked,
	Silent    int           // and how many of these have not answered
	InVain    int           // rounds in a row that brought no attachment, at most 254
	Packets   int           // how many it may send now to become attached: see PacketBudget
	Spent     bool          // these are too few for a round
	Known     int           // supernodes that it remembers
	KnownLive int           // how many of these serve now, which it can't know
	Storm     int           // the storm level that it was told last, 0 to 3

	// History is what it was told, and what it decided, about its place in the network, the
	// oldest first, at most 32 steps. What it does for others is left out, and so are checks
	// of whether somebody lives. Watched says that it is kept: see WithWatch.
	History []Happening
	Watched bool
}

// Happening is a step in a node's history.
type Happening struct {
	Time time.Duration // of the simulation
	What string
}

// Explain tells why a node is where it is: what it waits for, until when, and how it came to
// that. Nodes count from 0 in the order in which they were added. It changes nothing, and
// can be asked after an error too. There is nothing to tell of a node that was never added,
// and of none before the first Run: what is told then is that it waits for power.
func (s *Simulation) Explain(node int) Explanation {
	e := Explanation{Node: node, Until: -1, Slot: -1, Wait: WaitPower}
	if s.sim == nil || node < 0 || node >= s.sim.Nodes() {
		return e
	}
	x := s.sim.Explain(node)
	e.Time = time.Duration(s.sim.Now())
	e.Running, e.Supernode, e.Attached, e.Unsure, e.Held, e.Alone = x.Running, x.Serving, x.Attached, x.Unsure, x.Held, time.Duration(x.Alone)
	e.Wait, e.Until, e.Slot = Wait(x.Wait), since(x.Until, 0), x.Slot
	e.Asked, e.Silent, e.InVain = x.Search.Asked, x.Search.Silent, x.Search.InVain
	e.Packets, e.Spent = x.Search.Budget, x.Search.Spent
	e.Known, e.KnownLive, e.Storm, e.Watched = x.Known, x.KnownServing, x.Storm, x.Watched
	for _, h := range x.History {
		e.History = append(e.History, Happening{time.Duration(h.At), h.Text})
	}
	return e
}

// String tells it in a few lines, the history at last: one for each step.
func (e Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "node %d at %s %s\n", e.Node, clock(e.Time), e.place())
	if wait := e.waits(); wait != "" {
		fmt.Fprintf(&b, "  waits for %s\n", wait)
	}
	if e.Running && !e.Supernode {
		fmt.Fprintf(&b, "  %d rounds in vain, %d packets left, remembers %d supernodes of which %d serve", e.InVain, e.Packets, e.Known, e.KnownLive)
		if e.Storm > 0 {
			fmt.Fprintf(&b, ", sees storm level %d", e.Storm)
		}
		b.WriteByte('\n')
	}
	if !e.Watched {
		b.WriteString("  no history: run the same seed again with WithWatch\n")
	}
	for _, h := range e.History {
		fmt.Fprintf(&b, "  %s %s\n", clock(h.Time), h.What)
	}
	return b.String()
}

// place says where the node is.
func (e *Explanation) place() string {
	switch {
	case !e.Running:
		return "is off"
	case e.Supernode:
		return fmt.Sprintf("serves %d nodes", e.Held)
	case len(e.Attached) == 0:
		return fmt.Sprintf("has had no attachment for %.1f s", e.Alone.Seconds())
	}
	at := make([]string, len(e.Attached))
	for i, n := range e.Attached {
		at[i] = fmt.Sprint(n)
		if slices.Contains(e.Unsure, n) {
			at[i] += ", which is silent,"
		}
	}
	return "is attached to " + strings.TrimSuffix(strings.Join(at, " and "), ",")
}

// waits says what the node waits for, and until when.
func (e *Explanation) waits() string {
	if e.Wait == WaitNothing {
		return ""
	}
	what := e.Wait.String()
	switch {
	case e.Slot >= 0:
		what += fmt.Sprintf(" at %d", e.Slot)
	case e.Wait == WaitAnswers:
		what = fmt.Sprintf("the answers of %d of the %d it asked", e.Silent, e.Asked)
	case e.Wait == WaitPause && e.Spent:
		what += ", its packets are spent"
	}
	if e.Until < 0 {
		return what
	}
	return fmt.Sprintf("%s, until %s at the latest", what, clock(e.Until))
}

// clock is a moment of a simulation.
func clock(d time.Duration) string {
	d = d.Round(time.Millisecond)
	return fmt.Sprintf("%d:%02d:%06.3f", int(d.Hours()), int(d.Minutes())%60, (d % time.Minute).Seconds())
}
