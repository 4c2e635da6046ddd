package core

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/slots"
	"github.com/ada420b6/overlay/internal/tier"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// The size of the tier (PROTOCOL.md section 6), as one supernode has a hand in it: it
// samples the load of others and tells its nodes, appoints some of them when the tier
// is too small, has nodes dialled back, and steps down when there is too little to do.
// It never steps down because there is too much (rule R3).

// reported is what a member said last of the nodes that could be appointed there.
type reported struct {
	peer ident.Handle
	n    uint16
}

// maxReported is how many members' words are averaged: as many as loads are sampled.
const maxReported = tier.Samples

// tierFresh is how long a summary of the tier is told before it is made anew.
const tierFresh = vtime.Second

func (s *step) newCalendar() slots.Calendar {
	p := s.p
	return slots.NewCalendar(slots.Params{
		Rate: s.attachRate(), Burst: s.attachBurst(), Horizon: p.SlotHorizon, Grace: p.SlotGrace,
		SecondWait: p.SecondWait, SecondBelow: p.SecondBelow, TicketSlots: p.TicketSlots,
		LoadedAfter: p.LoadedAfter, GroupShare: p.GroupShare, StormFrom: p.StormFrom,
		FullWait: p.FullWait, SecondRetry: p.SecondRetry,
	}, s.now, &s.n.rng)
}

func (s *step) startScaling(sn *Supernode) {
	sn.scaleAt = s.now.Add(vtime.Duration(s.n.rng.Between(0, int64(s.p.ScalePeriod))))
}

// sampled takes what another supernode says of its load.
func (s *step) sampled(h ident.Handle, load uint8, eligible uint16) {
	sn := s.env.Super
	sn.sampler.Report(h, tier.Load(load), sn.roster.Usable(), s.now)
	for i := range sn.eligible {
		if sn.eligible[i].peer == h {
			sn.eligible[i].n = eligible
			return
		}
	}
	if len(sn.eligible) == maxReported {
		copy(sn.eligible, sn.eligible[1:])
		sn.eligible = sn.eligible[:maxReported-1]
	}
	sn.eligible = append(sn.eligible, reported{h, eligible})
}

func (s *step) forgetLoad(h ident.Handle) {
	sn := s.env.Super
	sn.sampler.Forget(h)
	for i := range sn.eligible {
		if sn.eligible[i].peer == h {
			sn.eligible = append(sn.eligible[:i], sn.eligible[i+1:]...)
			return
		}
	}
}

// ownEligible is how many of this supernode's nodes could be appointed.
func (s *step) ownEligible() int { return s.env.Super.able }

// setAble notes whether a node could be appointed.
func (sn *Supernode) setAble(h *holding, able bool) {
	if h.able != able {
		h.able = able
		if able {
			sn.able++
		} else {
			sn.able--
		}
	}
}

// eligible estimates the nodes that could be appointed in the whole network: what the
// sampled members and this one hold, for all members, each node counted once although
// it holds several attachments.
func (s *step) eligible() uint32 {
	sn := s.env.Super
	sum := uint64(sn.able)
	for i := range sn.eligible {
		sum += uint64(sn.eligible[i].n)
	}
	each := uint64(len(sn.eligible)+1) * uint64(s.p.Attachments)
	return uint32(max(sum*uint64(sn.roster.Usable())/each, uint64(sn.able)))
}

// tierView is the tier as this supernode sees it.
func (s *step) tierView() wire.Tier {
	sn := s.env.Super
	if s.now.Sub(sn.viewAt) >= tierFresh || sn.view.Alive == 0 {
		sn.viewAt = s.now
		sn.view = wire.Tier{Alive: uint32(sn.roster.Usable()), Eligible: s.eligible()}
		sn.view.Util = uint8(sn.sampler.Mean(tier.Load(s.load()), sn.roster.Usable(), s.now))
	}
	return sn.view
}

// scalingDue appoints, and considers stepping down.
func (s *step) scalingDue() {
	sn := s.env.Super
	if s.storm() > 0 {
		sn.stormAt = s.now
	}
	if sn.leaveBy != vtime.Never {
		s.leaveDue()
		return
	}
	if s.quits() {
		s.collapse()
		return
	}
	if s.now >= sn.standbyAt {
		sn.standbyAt = s.now.Add(s.p.ScalePeriod)
		s.standbysDue()
	}
	if sn.roster.Usable() < s.p.MinTier {
		s.appoint()
	} else {
		sn.appoint, sn.appointAt = tier.Appointer{}, vtime.Never
	}
	if s.now < sn.scaleAt {
		return
	}
	sn.scaleAt = s.now.Add(s.p.ScalePeriod)
	if s.n.role == RoleSupernode {
		return
	}
	st := tier.Station{
		Util: tier.Load(s.tierView().Util), Own: tier.Load(s.load()), Supernodes: sn.roster.Usable(),
		Last: s.lastByID(), Since: sn.since, Storm: sn.stormAt,
	}
	if s.tierPolicy().Demote(st, s.now).Draw(&s.n.rng) {
		s.superLeave()
	}
}

// rank returns how many supernodes rank before this one by ID.
func (s *step) rank() int {
	sn := s.env.Super
	id := s.env.Book.ID(s.n.self)
	if id == 0 {
		return 0
	}
	return sn.roster.Count(0, id-1, sn.roster.Usable())
}

func (s *step) lastByID() bool { return s.rank() == s.env.Super.roster.Usable()-1 }

// appoint calls nodes to serve while the tier is too small.
func (s *step) appoint() {
	sn := s.env.Super
	c := tier.Census{Supernodes: sn.roster.Usable(), Rank: s.rank(), Eligible: sn.able}
	n := sn.appoint.Due(s.tierPolicy(), c, s.now, &s.n.rng)
	sn.appointAt = sn.appoint.Next(c.Rank)
	if c.Eligible == 0 {
		sn.appointAt = vtime.Never // a keepalive that says otherwise wakes it
	}
	if n == 0 {
		return
	}
	m := wire.Appoint{Tier: s.tierView()}
	start := s.n.rng.Intn(len(sn.held))
	for i := range sn.held {
		h := &sn.held[(start+i)%len(sn.held)]
		if n > 0 && h.able {
			s.out.send(h.peer, m.Append(s.out.begin(), s.env.Book), false)
			n--
		}
	}
}

func (s *step) onVerify() {
	sn := s.env.Super
	var m wire.Verify
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	if _, ok := sn.find(s.in.From); !ok {
		s.sayNotAttached(0)
		return
	}
	var to wire.Peers
	for range s.tierPolicy().WantDialBacks(sn.roster.Usable()) {
		to.Add(s.pickBut(s.in.From, &to))
	}
	if len(to.All()) == 0 {
		s.dialBack(s.in.From, m.Nonce)
		return
	}
	r := wire.DialBackRequest{Nonce: m.Nonce, Target: s.in.From}
	for _, h := range to.All() {
		s.out.send(h, r.Append(s.out.begin(), s.env.Book), false)
	}
}

// pickBut draws a supernode that is neither h nor in list.
func (s *step) pickBut(h ident.Handle, list *wire.Peers) ident.Handle {
	var buf [wire.MaxPeers + 1]ident.Handle
	not := append(append(buf[:0], h), list.All()...)
	return s.env.Super.roster.Pick(&s.n.rng, not...)
}

func (s *step) onDialBackRequest() {
	var m wire.DialBackRequest
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	// Only a member may send us to an address, and one packet of 10 bytes goes there.
	if !s.env.Super.roster.Has(s.in.From) || m.Target == s.n.self {
		s.n.bad++
		return
	}
	s.dialBack(m.Target, m.Nonce)
}

func (s *step) dialBack(to ident.Handle, nonce uint64) {
	m := wire.DialBack{Nonce: nonce}
	s.out.push(Effect{Kind: EffectSend, Peer: to, Plain: true, Elsewhere: true}, m.Append(s.out.begin(), s.env.Book))
}

// collapse is what a supernode of 2010 did under load: it quit.
func (s *step) collapse() {
	sn := s.env.Super
	for i := range sn.held {
		s.out.add(Effect{Kind: EffectForget, Peer: sn.held[i].peer})
	}
	sn.held, sn.peers = nil, nil
	s.demote()
}
