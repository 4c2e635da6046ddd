package core

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/tier"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// How an ordinary node becomes a supernode (PROTOCOL.md section 6): it is found to be
// reachable from outside, and then either the tier's load or an appointment calls it.

// rising is an ordinary node's readiness to serve.
type rising struct {
	reach tier.Reach
	draw  tier.Node
	again vtime.Time // when the Verify of the attempt under way is repeated
	able  bool
}

// verifyAgain is when a Verify is repeated whose dial-backs are missing: three packets lie
// on the way of each, and one may be lost. Who was not reached in the attempt before is
// probably never.
const verifyAgain = 2500 * vtime.Millisecond

func (n *Node) riseDeadline() vtime.Time {
	r := &n.rise
	if n.role != RoleAuto || n.count() == 0 {
		return vtime.Never
	}
	t := r.reach.Next()
	if r.reach.Nonce() != 0 {
		t = vtime.Earlier(t, r.again)
	}
	if r.able {
		t = vtime.Earlier(t, r.draw.Next())
	}
	return t
}

func (n *Node) able() bool { return n.rise.able && n.role == RoleAuto && !n.leaving }

func (s *step) riseDue() {
	n, r := s.n, &s.n.rise
	if s.now < n.riseDeadline() {
		return
	}
	if r.reach.Due(s.tierPolicy().WantDialBacks(int(n.tier.Alive)), s.now, &n.rng) {
		r.again = s.now
	}
	if r.reach.Nonce() != 0 && s.now >= r.again {
		s.verify()
	}
	s.reached()
	if r.able && s.env.Super == nil && r.draw.Draw(s.tierPolicy(), r.reach.Settled(), s.now, &n.rng) {
		s.promote()
	}
}

// verify asks a supernode to have this node dialled back.
func (s *step) verify() {
	r := &s.n.rise
	r.again = s.now.Add(verifyAgain)
	if r.reach.Failing() {
		r.again = vtime.Never
	}
	i := s.n.rng.Intn(len(s.n.at))
	if s.n.at[i].peer == ident.None {
		i = 1 - i
	}
	m := wire.Verify{Nonce: r.reach.Nonce()}
	s.out.send(s.n.at[i].peer, m.Append(s.out.begin(), s.env.Book), false)
}

func (s *step) onDialBack() {
	var m wire.DialBack
	r := &s.n.rise
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	// Who dials back comes from an address it is not known by: the address stands for it.
	if !r.reach.Confirm(m.Nonce, ident.Handle(s.in.Origin), s.in.Group, s.now, &s.n.rng) {
		s.n.bad++
		return
	}
	s.reached()
}

// reached notes when the node has been found reachable, or is no longer. In a young
// network everybody waits for one that is, so the supernodes hear of it at once.
func (s *step) reached() {
	r := &s.n.rise
	able := r.reach.Verified(s.now)
	if able == r.able {
		return
	}
	r.able = able
	if !able {
		return
	}
	r.draw.Start(s.tierPolicy(), s.now, &s.n.rng)
	for i := range s.n.at {
		if s.n.at[i].peer != ident.None {
			s.check(i)
		}
	}
}

// heardNeed takes what a supernode says of the tier: whether it wants more.
func (s *step) heardNeed(t wire.Tier) {
	n := s.n
	p := s.tierPolicy()
	if !n.able() || s.env.Super != nil {
		return
	}
	if n.wasSuper && p.Resume(tier.Load(t.Util), int(t.Alive)) {
		s.promote()
		return
	}
	n.rise.draw.Hear(p, tier.Report{Util: tier.Load(t.Util), Supernodes: t.Alive, Eligible: t.Eligible})
}

func (s *step) onAppoint() {
	var m wire.Appoint
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) || s.n.holds(s.in.From) < 0 {
		return
	}
	if s.n.able() && s.env.Super == nil {
		s.promote()
	}
}

// rejoin lets a node that was a supernode serve again at once when those that serve are so
// far behind that it would have to wait for them: they need it more than it needs them.
// It reports whether the node serves now.
func (s *step) rejoin() bool {
	n := s.n
	if !n.wasSuper || n.role == RoleNode {
		return false
	}
	with := n.seek.Held().Peer
	s.promote()
	s.env.Super.synced = false // there is somebody to hear from
	s.introduce(with)
	return true
}

// tierPolicy is the part of the policy that package tier decides by.
func (s *step) tierPolicy() *tier.Policy {
	p := s.p
	s.tp = tier.Policy{
		Period: p.ScalePeriod, Target: tier.Load(p.TierTarget), PromoteAbove: tier.Load(p.PromoteAbove),
		DemoteBelow: tier.Load(p.DemoteBelow), Gain: int64(p.TierGain), Tenure: p.DemoteTenure, Calm: p.DemoteCalm,
		MinSize: p.MinTier, DialBacks: p.DialBacks,
	}
	return &s.tp
}
