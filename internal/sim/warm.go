package sim

import (
	"iter"
	"slices"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

// An ordinary day: what a rehearsal begins with.

// steadyFor is how long the tier must have kept its size, within 3 %, for the day to
// count as ordinary: four of its periods. Growing by need it would grow by half in one.
const steadyFor = vtime.Minute

// warmth is how far a warm-up has come, when it is done in pieces.
type warmth struct {
	size  int        // of the tier
	since vtime.Time // the tier has had it, and all is as it should be
	until vtime.Time // this was looked at
	under bool       // another policy than the network's own: what is foretold holds under that
	now   bool       // it goes on
}

// WarmUp lets time pass until every running node is attached, 95 of 100 ordinary nodes
// as often as the policy wants, and the tier has kept its size; at most max. It reports
// whether it has come to that; called again at once, it goes on. While messages are lost
// there is always some node that takes its only supernode for dead: for the minute
// before, 99.9 % will do.
//
// The network of 2007 had grown over years: from a cold start of everything at once it
// would never have come up. So a policy with a disease (PROTOCOL.md section 16) is cured
// for as long as the warm-up lasts, in how nodes log in and attach; all else is its own.
func (s *Sim) WarmUp(max vtime.Duration) (bool, error) {
	own := s.cfg.Policy
	w, healthy := &s.warm, s.Quorum(0.999)
	if w.until != s.now {
		*w = warmth{size: -1}
	}
	s.cfg.Policy, w.now = cured(own), true
	w.under = s.cfg.Policy != own
	defer func() { s.cfg.Policy, w.now = own, false }()
	return s.RunUntil(func() bool {
		if s.starting > 0 || !healthy() || !s.doubled() || !near(w.size, s.stats.serving) {
			w.size, w.since = s.stats.serving, s.now
		}
		w.until = s.now
		return s.now.Sub(w.since) >= steadyFor && s.Healed()
	}, max)
}

// doubled reports whether nearly all have as many attachments as they want.
func (s *Sim) doubled() bool {
	ordinary := s.stats.running - s.stats.serving
	return s.cfg.Policy.Attachments < 2 || s.stats.serving < 2 || 100*s.stats.second >= 95*ordinary
}

// near reports whether two sizes of the tier differ by 3 % or one supernode at most.
func near(a, b int) bool { return max(a-b, b-a) <= max(1, 3*a/100) }

// cured is p without what makes it collapse.
func cured(p core.Policy) core.Policy {
	if !p.LoginFirst && p.Queue == 0 && p.RetryPause == 0 && p.ServeDelay == 0 && p.QuitOverload == 0 {
		return p
	}
	q := core.DefaultPolicy()
	p.LoginFirst, p.Queue, p.QueueLife, p.QueueAll = false, 0, 0, false
	p.RetryPause, p.ServeDelay, p.QuitOverload = 0, 0, 0
	p.StartSpread, p.Patience, p.ProbeWidth, p.ProbeMax = q.StartSpread, q.Patience, q.ProbeWidth, q.ProbeMax
	p.BackoffMin, p.BackoffMax, p.PacketBudget = q.BackoffMin, q.BackoffMax, q.PacketBudget
	return p
}

// StartGrown brings every node from number first on up for the first time, in a network
// that has grown long ago: the supernodes that so many need serve and know each other, and
// the others are attached to them (core.Growth). Who is to serve is drawn from those who
// can be reached. Whoever must log in first, or always serves, comes within over.
//
// With Full, where nobody may write what he has not been sent, and where the network is
// small, those who serve know some of the others and the rest comes by itself.
func (s *Sim) StartGrown(first int, over vtime.Duration) {
	own := s.cfg.Policy
	s.cfg.Policy = cured(own) // as in WarmUp
	defer func() { s.cfg.Policy = own }()
	p := &s.cfg.Policy
	var able, rest []uint32
	for i := s.node(first); i < uint32(s.added); i++ {
		switch h := &s.hosts[i]; {
		case !s.comes(i):
		case h.is(hostReachable) && h.role == core.RoleAuto && h.certified != 0:
			able = append(able, i)
			rest = append(rest, i)
		default:
			rest = append(rest, i)
		}
	}
	want := len(rest) * p.Attachments * 128 / (p.NormalSlots * int(p.TierTarget))
	s.grown = slices.Collect(s.some(able, max(want, p.MinTier)))
	slices.Sort(s.grown)
	settles := s.core != nil && !s.cfg.Full && s.cfg.Check != CheckFull && len(s.grown) > p.Attachments && s.stats.running == 0
	if settles {
		for _, i := range s.grown {
			s.start(i)
		}
		s.grow(rest)
	}
	for _, i := range rest {
		switch _, serves := slices.BinarySearch(s.grown, i); {
		case s.hosts[i].is(hostUp):
		case serves:
			s.absent(i, 1+s.within(founding))
		default:
			s.absent(i, founding+1+s.within(over))
		}
	}
}

// grow settles those of rest that can be, and that do not serve, at the supernodes.
func (s *Sim) grow(rest []uint32) {
	var nodes []*core.Node
	var supers []*core.Supernode
	for _, i := range s.grown {
		nodes = append(nodes, &s.core.nodes[i])
		supers = append(supers, s.supers.get(s.hosts[i].super))
		s.book.newest[i] = max(s.book.newest[i], s.core.nodes[i].Inc())
	}
	g := core.NewGrowth(&s.env, s.now, nodes, supers)
	for _, i := range rest {
		h := &s.hosts[i]
		if _, serves := slices.BinarySearch(s.grown, i); serves || h.certified == 0 || h.role == core.RoleSupernode {
			continue
		}
		s.start(i)
		g.Settle(&s.core.nodes[i], s.cacheOf(i), h.is(hostReachable) && h.role == core.RoleAuto)
	}
	g.Finish(func(h ident.Handle) *core.Node { return &s.core.nodes[index(h)] })
	for i := range uint32(s.added) {
		if h := &s.hosts[i]; h.is(hostUp) {
			v := s.look(i)
			s.observe(i, h, &v)
			s.lend(i, h)
			s.arm(i, s.machines.next(i, &s.env))
		}
	}
	if s.naps == nil {
		return
	}
	for _, i := range s.grown {
		s.attend(i, s.supers.get(s.hosts[i].super))
	}
	for _, i := range rest {
		for _, at := range s.look(i).at {
			if at != ident.None && s.hosts[i].super == 0 {
				s.doze(i, at)
			}
		}
	}
}

// founding is how long before the others the supernodes of a grown network come up.
const founding = 10 * vtime.Second

// acquaintances is how many of the others each of them knows: as many as fit into the
// smallest host cache.
const acquaintances = 64

// beginAs lets host i begin as a supernode, if it is one of those that the network has
// grown with.
func (s *Sim) beginAs(i uint32, st *core.Start) {
	at, ok := slices.BinarySearch(s.grown, i)
	if !ok || s.hosts[i].boots > 1 {
		return
	}
	st.Serving, st.WasSuper = true, true
	n := len(s.grown)
	for k := range min(acquaintances, n-1) {
		other := s.grown[(at+1+k*max(1, (n-1)/acquaintances))%n]
		st.Roster = append(st.Roster, core.Known{Peer: handle(other)})
	}
}

// Online lets share of all nodes be on: of those that run too many say goodbye, of those
// that are off enough come up, each drawn, and at a moment drawn from over. Their users
// have switched them off and on: there is no fault.
func (s *Sim) Online(share float64, over vtime.Duration) {
	want := int(share*float64(s.added) + 0.5)
	var on, off []uint32
	for i := range uint32(s.added) {
		switch h := &s.hosts[i]; {
		case h.is(hostUp):
			on = append(on, i)
		case h.is(hostWaits):
			want-- // it comes up by itself
		default:
			off = append(off, i)
		}
	}
	for i := range s.some(on, len(on)-want) {
		s.queue.push(event{at: s.now.Add(s.within(over)), host: i, kind: eventLeave})
	}
	for i := range s.some(off, want-len(on)) {
		s.absent(i, 1+s.within(over))
	}
}

// some draws n of hosts, all when there are not so many, one after the other.
func (s *Sim) some(hosts []uint32, n int) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for k := range min(max(0, n), len(hosts)) { // the first n places of a shuffle
			j := k + int(scale(s.random(), uint32(len(hosts)-k)))
			hosts[k], hosts[j] = hosts[j], hosts[k]
			if !yield(hosts[k]) {
				return
			}
		}
	}
}
