package overlay_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/sim"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// history is one life of a simulated network: how it is made, and what happens to it. It
// is plain data, so that one that has once gone wrong can be kept as a scenario.
type history struct {
	Seed        uint64
	Nodes       int
	Started     int     // of these, how many are there from the beginning
	Reachable   int     // nodes 0 to Reachable-1 can be reached by strangers
	MinTier     int     // as in core.Policy
	Slots       uint32  // of each node as a supernode
	Large       bool    // node 0 is an operator's: a supernode from the start, with 50 times the places
	Uncertified float64 // share of the nodes that must log in first
	Faults      []fault
	Dark        bool // the login servers die for good once the network stands (rule R4)
}

// fault is one thing that happens. Which fields count, depends on Kind.
type fault struct {
	Kind  string
	Node  int
	Share float64
	Over  vtime.Duration // the time within which it happens
	Down  vtime.Duration // how long who reboots is away
	Pause vtime.Duration // until the next fault
}

// faultKinds is everything that can happen, and how.
var faultKinds = map[string]func(s *sim.Sim, f fault){
	"join":    func(s *sim.Sim, f fault) { s.Start(f.Node) },
	"joinall": func(s *sim.Sim, f fault) { s.StartAll(f.Over + 1) },
	"crash":   func(s *sim.Sim, f fault) { s.Crash(f.Node) },
	"reboot":  func(s *sim.Sim, f fault) { s.Reboot(f.Node, f.Down) },
	"leave":   func(s *sim.Sim, f fault) { s.Leave(f.Node) },
	"reboots": func(s *sim.Sim, f fault) { s.RebootShare(f.Share, f.Over, f.Down) },
	"leaves":  func(s *sim.Sim, f fault) { s.LeaveShare(f.Share, f.Over, f.Down) },
	"tier":    func(s *sim.Sim, f fault) { s.CrashSupernodes(f.Share) },
	"part":    func(s *sim.Sim, f fault) { s.Partition(f.Share) },
	"mute":    func(s *sim.Sim, f fault) { s.PartitionOneWay(f.Share) },
	"single":  func(s *sim.Sim, f fault) { s.PartitionFunc(func(i int) int { return one(i == f.Node) }) },
	"apart":   func(s *sim.Sim, f fault) { s.PartitionFunc(func(i int) int { return one(s.Serving(i)) }) },
	"bridge":  func(s *sim.Sim, f fault) { s.PartitionBridge(f.Share, f.Node) },
	"mend":    func(s *sim.Sim, _ fault) { s.Mend() },
	"lossy":   func(s *sim.Sim, f fault) { s.Disturb(f.Share/5, f.Share/20, f.Share/5) },
	"nologin": func(s *sim.Sim, _ fault) { s.StopLogin() },
	"login":   func(s *sim.Sim, _ fault) { s.StartLogin() },
}

// drawnKinds is out of what faults are drawn, the hard ones more often.
var drawnKinds = append(slices.Sorted(maps.Keys(faultKinds)), "reboots", "tier", "leave", "crash", "mend", "login")

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// drawHistory draws a history. Most networks are tiny, where a tier is one supernode or
// two and every one that dies is a disaster.
func drawHistory(t *rapid.T) history {
	h := history{
		Seed:        rapid.Uint64Range(0, 1<<32).Draw(t, "seed"),
		Nodes:       rapid.SampledFrom([]int{1, 2, 3, 4, 5, 6, 8, 10, 13, 20, 30, 60, 300}).Draw(t, "nodes"),
		MinTier:     rapid.SampledFrom([]int{1, 2, 3, 5}).Draw(t, "tier"),
		Slots:       rapid.SampledFrom([]uint32{0, 5, 20}).Draw(t, "slots"),
		Uncertified: rapid.SampledFrom([]float64{0, 0.3, 1}).Draw(t, "uncertified"),
		Dark:        rapid.Bool().Draw(t, "dark"),
		Large:       rapid.IntRange(0, 3).Draw(t, "large") == 0,
	}
	if h.Nodes > 60 {
		h.Slots = 0 // a tier of 200 that grows is what internal/sim rehearses
	}
	h.Started = 1 + rapid.SampledFrom([]int{0, 1, 2}).Draw(t, "started")*(h.Nodes-1)/2
	h.Reachable = rapid.SampledFrom([]int{1, 2, 3, (h.Nodes + 1) / 2, h.Nodes}).Draw(t, "reachable")
	h.Reachable = min(h.Reachable, h.Nodes)
	if h.Slots > 0 {
		// There must be room for everybody. The first supernode of 20 places must not happen
		// to be full of nodes that can't serve: with half of them that is 2^-20. And the
		// smallest tier must do, because growth beyond it is by lot and has no bound.
		h.Reachable = max(h.Reachable, (h.Nodes+1)/2)
		h.MinTier = max(h.MinTier, 1+h.Nodes/(2*int(h.Slots)))
	}
	second := rapid.Custom(func(t *rapid.T) vtime.Duration {
		return vtime.Duration(rapid.SampledFrom([]int{0, 1, 3, 10, 30}).Draw(t, "s")) * vtime.Second
	})
	h.Faults = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) fault {
		return fault{
			Kind:  rapid.SampledFrom(drawnKinds).Draw(t, "kind"),
			Node:  rapid.IntRange(0, h.Nodes-1).Draw(t, "node"),
			Share: rapid.SampledFrom([]float64{0.1, 0.5, 1}).Draw(t, "share"),
			Over:  second.Draw(t, "over"),
			Down:  second.Draw(t, "down"),
			Pause: second.Draw(t, "pause"),
		}
	}), rapid.SampledFrom([]int{0, 2, 6}).Draw(t, "least"), 12).Draw(t, "faults")
	return h
}

// live lets a history happen and checks it: first, under faults, nothing may happen that
// must not, which the oracle watches at every event; then the faults stop, and within the
// bound everything must happen that has to.
func live(h history) (*sim.Sim, error) { return liveAs(h, func(*sim.Sim) {}) }

// liveAs is live of a network that is made ready by prepare.
func liveAs(h history, prepare func(*sim.Sim)) (*sim.Sim, error) {
	cfg := sim.DefaultConfig(h.Nodes)
	cfg.Seed, cfg.Policy.MinTier, cfg.Uncertified = h.Seed, h.MinTier, h.Uncertified
	cfg.Check = sim.CheckFull
	s, err := sim.New(cfg)
	if err != nil {
		return nil, err
	}
	if _, err := s.Add(h.Nodes); err != nil {
		return s, err
	}
	for i := range h.Nodes {
		s.SetReachable(i, i < h.Reachable)
		s.SetRole(i, core.RoleAuto, h.Slots)
	}
	if h.Large {
		places := h.Slots
		if places == 0 {
			places = uint32(cfg.Policy.NormalSlots)
		}
		s.SetRole(0, core.RoleSupernode, 50*places)
	}
	prepare(s)
	for i := range h.Started {
		s.Start(i)
	}
	if h.Dark {
		// Who never was in the network can't come back to it without login servers.
		s.StartAll(vtime.Second)
		if _, err := s.Settle(bound(&h, &cfg.Policy)); err != nil {
			return s, err
		}
		if err := s.Run(2 * cfg.Policy.ScalePeriod); err != nil { // the tier gets its size
			return s, err
		}
		if _, err := s.Merged(agreed(&cfg.Policy)); err != nil {
			return s, err
		}
		s.StopLogin()
	}
	for _, f := range h.Faults {
		if h.Dark && f.Kind == "login" {
			continue
		}
		faultKinds[f.Kind](s, f)
		if err := s.Run(f.Pause); err != nil {
			return s, err
		}
	}
	return s, recovers(s, &h, &cfg.Policy)
}

// recovers ends all faults and checks that the network is whole within the bound, and
// stays so.
func recovers(s *sim.Sim, h *history, p *core.Policy) error {
	s.Mend()
	s.Disturb(0, 0, 0)
	if err := s.Run(lastFault(h, p)); err != nil {
		return err
	}
	if h.Dark {
		// Somebody who was a supernode must be there to start the tier: everybody is.
		s.StartAll(vtime.Second)
	} else {
		// Somebody who can be reached must be there.
		s.StartLogin()
		s.Start(0)
	}
	if h.Slots > 0 { // there must be room for everybody
		for i := range h.Reachable {
			s.Start(i)
		}
	}
	// Who does not know yet that its supernodes are gone finds out; meanwhile the oracle
	// goes on to watch that no orphan sleeps too long.
	if err := s.Run(unnoticed(p)); err != nil {
		return err
	}
	if _, err := s.Settle(bound(h, p)); err != nil {
		return err
	}
	if _, err := s.Merged(agreed(p)); err != nil {
		return err
	}
	if err := found(s, h, p); err != nil {
		return err
	}
	if err := s.Balanced(); err != nil {
		return err
	}
	return sized(s, h, p)
}

// lastFault is how long it takes until everybody is down who is drawn to go down, and a
// supernode that leaves has placed those whom it holds.
func lastFault(h *history, p *core.Policy) (d vtime.Duration) {
	for _, f := range h.Faults {
		d = max(d, f.Over+p.LeavePatience)
	}
	return d
}

// unnoticed is how long a dead supernode counts as an attachment at most: the longest
// silence before a check, with its jitter, and checks after 1, 2 and 3 steps; 72 s.
func unnoticed(p *core.Policy) vtime.Duration {
	return p.KeepaliveThin*11/10 + 6*p.CheckStep
}

// bound is how long an orphan needs at most, when the faults have stopped. By PROTOCOL.md
// section 10, "99 % of supernodes crash" takes 5 min; from the policy it is
//
//	longest sleep            60 s of slot or packet budget, 30 s of back-off or full    60 s
//	rounds without answer    until the login servers are asked: 4 x (30 s + 3 s)       132 s
//	the tier starts          nomination 5 s, dial-back, appointments: 2 scale periods   30 s
//	everybody attaches       nodes / (20 a second and supernode)                      15 s
//	first log-in             applications wait 30 s of back-off at most, and 3 s        33 s
//
// which is 270 s for 300 nodes with one supernode.
func bound(h *history, p *core.Policy) vtime.Duration {
	rounds := vtime.Duration(p.LoginRounds) * (p.BackoffMax + p.Patience)
	serve := vtime.Duration(h.Nodes) * vtime.Second / vtime.Duration(p.AttachRate)
	return vtime.Minute + rounds + 2*p.ScalePeriod + serve + p.BackoffMax + p.LoginPatience
}

// agreed is how long supernodes that have been parted need to hold one roster: each asks
// one dead member every 10 s, so the halves meet within that for each of the dead (at
// most 20 here count), a suspect has 22 s, and anti-entropy mends the rest in two rounds.
func agreed(p *core.Policy) vtime.Duration {
	return 20*p.AskDead + p.SuspicionMax + 2*p.AntiEntropy
}

// found looks every attached name up, each from an asker drawn by the seed.
func found(s *sim.Sim, h *history, p *core.Policy) error {
	r := h.Seed
	for i := range s.Nodes() {
		if !s.Attached(i) {
			continue
		}
		r = r*6364136223846793005 + 1442695040888963407
		asker := int(r>>33) % s.Nodes()
		for !s.Attached(asker) {
			asker = (asker + 1) % s.Nodes()
		}
		a, err := s.Lookup(asker, s.Name(i))
		if err != nil {
			return err
		}
		if a.Status != wire.LookupFound || a.Owner != i {
			return fmt.Errorf("node %d (at %v, serves: %t) looked up node %d (at %v, serves: %t) at %.1f s: %+v",
				asker, s.Attachments(asker), s.Serving(asker), i, s.Attachments(i), s.Serving(i), vtime.Duration(s.Now()).Seconds(), a)
		}
	}
	return nil
}

// sized checks that the tier has the size that it needs, and not much more: what the
// policy wants at least, as far as there are nodes that can be reached, and at most what
// the nodes fill to the demotion threshold, and for each fault a tier of its own and the
// standbys of that one, since nobody steps down within half an hour.
func sized(s *sim.Sim, h *history, p *core.Policy) error {
	able, running, serving := 0, 0, 0
	for i := range s.Nodes() {
		if s.Running(i) {
			running++
			able += one(i < h.Reachable)
			serving += one(s.Serving(i))
		}
	}
	slots := h.Slots
	if slots == 0 {
		slots = uint32(p.NormalSlots)
	}
	least := min(p.MinTier, able)
	filled := 1 + 2*running*128/(int(slots)*int(p.DemoteBelow))
	most := (2*p.MinTier-1+filled)*(1+(1+p.Standbys)*len(h.Faults)) + one(h.Large) // which serves however few are there
	if serving < least || serving > most {
		return fmt.Errorf("%d of %d nodes serve, %d can: %d to %d ought to", serving, running, able, least, most)
	}
	return nil
}

// TestAnyHistory is rules R1 to R11 for any history. When it fails, rapid prints the
// history and the command that runs it again.
func TestAnyHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t)
		if _, err := live(h); err != nil {
			t.Fatalf("%v\n%#v", err, h)
		}
	})
}

// keptHistories are those that have once gone wrong, as drawn or cut down by hand.
var keptHistories = []struct {
	was     string // what went wrong
	history history
}{
	{
		"R4: who had left as a supernode had forgotten it, and nobody started the tier",
		history{
			Nodes: 1, Started: 1, Reachable: 1, MinTier: 1, Dark: true,
			Faults: []fault{{Kind: "leave"}},
		},
	},
	{
		"a node that had been a supernode was named to itself, and sent itself a probe",
		history{
			Nodes: 2, Started: 1, Reachable: 1, MinTier: 1, Dark: true,
			Faults: []fault{{Kind: "reboots", Share: 1, Over: 3 * vtime.Second, Down: vtime.Second}},
		},
	},
	{
		"R2: a supernode that left went in circles over a decision that it no longer took",
		history{
			Seed: 137, Nodes: 20, Started: 12, Reachable: 6, MinTier: 4, Slots: 2, Uncertified: 0.3,
			Faults: []fault{{Kind: "leaves", Share: 0.5, Over: 10 * vtime.Second, Down: 30 * vtime.Second, Pause: vtime.Second}},
		},
	},
	{
		"R2: the same, woken by a keepalive",
		history{
			Seed: 1160, Nodes: 2, Started: 1, Reachable: 2, MinTier: 2, Slots: 20, Uncertified: 1,
			Faults: []fault{
				{Kind: "joinall", Over: 10 * vtime.Second, Pause: vtime.Second},
				{Kind: "leave", Over: 3 * vtime.Second, Pause: 30 * vtime.Second},
			},
		},
	},
	{
		"R5: a slot asked for as a second attachment was refused to the orphan that the node had become",
		history{
			Seed: 4, Nodes: 60, Started: 60, Reachable: 30, MinTier: 1, Slots: 5, Uncertified: 1, Dark: true,
			Faults: []fault{
				{Kind: "leaves", Share: 0.5, Over: 10 * vtime.Second, Down: 30 * vtime.Second, Pause: 30 * vtime.Second},
				{Kind: "crash", Pause: 30 * vtime.Second},
				{Kind: "apart", Pause: 30 * vtime.Second},
			},
		},
	},
	{
		"R7: a supernode that left accepted once more, and said no goodbye",
		history{
			Nodes: 60, Started: 60, Reachable: 30, MinTier: 1, Slots: 5,
			Faults: []fault{{Kind: "leaves", Share: 0.1, Over: 3 * vtime.Second, Down: 10 * vtime.Second, Pause: 10 * vtime.Second}},
		},
	},
	{
		"R1: an orphan slept for as long as a second attachment had been told to stay away",
		history{
			Seed: 795, Nodes: 60, Started: 30, Reachable: 30, MinTier: 2, Slots: 20, Uncertified: 1,
			Faults: []fault{
				{Kind: "apart", Pause: 3 * vtime.Second},
				{Kind: "leaves", Share: 0.1, Over: vtime.Second, Down: 10 * vtime.Second},
				{Kind: "mute", Share: 0.5, Pause: 10 * vtime.Second},
				{Kind: "apart", Pause: 30 * vtime.Second},
				{Kind: "part", Share: 0.5, Pause: vtime.Second},
				{Kind: "crash", Node: 1, Pause: 10 * vtime.Second},
				{Kind: "crash", Node: 1, Pause: 30 * vtime.Second},
			},
		},
	},
	{
		"R11: two supernodes were pinged by others whom they did not know, and never asked who they were",
		history{
			Seed: 1875, Nodes: 60, Started: 60, Reachable: 30, MinTier: 2, Large: true, Uncertified: 0.3, Dark: true,
			Faults: []fault{
				{Kind: "apart", Pause: 3 * vtime.Second},
				{Kind: "leave", Node: 38, Pause: vtime.Second},
				{Kind: "bridge", Node: 3, Share: 0.1, Pause: 30 * vtime.Second},
				{Kind: "apart", Pause: 10 * vtime.Second},
				{Kind: "join", Node: 2, Pause: 30 * vtime.Second},
				{Kind: "reboots", Share: 0.5, Over: 10 * vtime.Second, Down: vtime.Second, Pause: vtime.Second},
				{Kind: "crash", Node: 53, Pause: 10 * vtime.Second},
				{Kind: "bridge", Node: 13, Share: 1},
				{Kind: "bridge", Node: 1, Share: 0.1, Pause: vtime.Second},
			},
		},
	},
}

func TestKeptHistories(t *testing.T) {
	for _, k := range keptHistories {
		t.Run(k.was, func(t *testing.T) {
			if _, err := live(k.history); err != nil {
				t.Error(err)
			}
		})
	}
}
