package sim

import (
	"github.com/ada420b6/overlay/internal/attach"
	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

// Wait is what a node waits for.
type Wait uint8

// What there is to wait for.
const (
	WaitNothing    Wait = iota // it has all that it wants
	WaitPower                  // it is down
	WaitPause                  // for the next round: the pause after a start or a round in vain
	WaitAnswers                // for those who were asked for a slot
	WaitSlot                   // for its slot to begin
	WaitAccept                 // for the answer to its attach
	WaitLogin                  // for a login server's answer
	WaitLoginPause             // for the next request to a login server
	WaitLeave                  // for those it holds to find another place
	WaitRefused                // for nothing that could come: its name was refused
)

// Explanation tells why a node is where it is.
type Explanation struct {
	Running, Serving bool
	Attached         []int          // supernodes that it is attached to, but itself
	Unsure           []int          // of these, who has not answered a check that is out
	Held             int            // nodes attached to it
	Alone            vtime.Duration // since when it runs without an attachment
	Wait             Wait
	Until            vtime.Time // when that is over at the latest, Never when nothing says
	Slot             int        // of WaitSlot and WaitAccept: at whom; else -1
	Known            int        // supernodes that it remembers
	KnownServing     int        // of these, how many serve now
	Storm            int        // the storm level that it has been told
	Search           core.Standing
	Watched          bool // its history is kept
	History          []Step
}

// Step is something that has happened to a node, or that it has decided.
type Step struct {
	At   vtime.Time
	Text string
}

// Explain tells why node i is where it is. It changes nothing, and can be asked at any
// moment. The history is there for nodes that Watch keeps one of.
func (s *Sim) Explain(i int) Explanation {
	k := s.node(i)
	h := &s.hosts[k]
	x := Explanation{
		Running: h.is(hostUp), Serving: h.is(hostServing), Until: vtime.Never, Slot: -1, Wait: WaitPower,
	}
	x.History, x.Watched = s.history(k)
	for _, e := range attach.Cache(s.cacheOf(k)) {
		if e.Peer == ident.None {
			break
		}
		x.Known++
		x.KnownServing += toInt(s.hosts[index(e.Peer)].is(hostServing))
	}
	if !x.Running {
		if h.is(hostWaits) {
			x.Until = h.due
		}
		return x
	}
	if !h.is(hostAttached) {
		x.Alone = s.now.Sub(h.orphan)
	}
	super := s.supers.get(h.super)
	if super != nil {
		x.Held = super.Held()
	}
	if m, ok := s.machines.(*protocol); ok {
		n := &m.nodes[k]
		x.Storm = int(n.Storm())
		x.Search = n.Standing(&core.Env{Policy: &s.cfg.Policy, Super: super}, s.now)
		x.wait(s, h)
		for j, at := range s.look(k).at {
			if at == ident.None || at == handle(k) {
				continue
			}
			x.Attached = append(x.Attached, s.number(index(at)))
			if x.Search.Unsure[j] {
				x.Unsure = append(x.Unsure, s.number(index(at)))
			}
		}
	}
	return x
}

// wait makes out what a running node waits for.
func (x *Explanation) wait(s *Sim, h *host) {
	t := &x.Search
	switch {
	case t.Leaving || t.LeavesBy != vtime.Never:
		x.Wait, x.Until = WaitLeave, t.LeavesBy
	case x.Serving:
		x.Wait = WaitNothing
	case h.is(hostDenied):
		x.Wait = WaitRefused
	case t.Needs && t.Applies:
		x.Wait, x.Until = WaitLogin, t.LoginAt
	case t.Needs:
		x.Wait, x.Until = WaitLoginPause, t.LoginAt
	default:
		x.Wait, x.Until = byPhase[t.Phase], t.Until
	}
	if t.Slot != ident.None && (x.Wait == WaitSlot || x.Wait == WaitAccept) {
		x.Slot = s.number(index(t.Slot))
	}
}

var byPhase = map[attach.Phase]Wait{
	attach.Idle: WaitNothing, attach.Resting: WaitPause, attach.Asking: WaitAnswers,
	attach.Holding: WaitSlot, attach.Joining: WaitAccept,
}
