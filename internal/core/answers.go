package core

import (
	"github.com/ada420b6/overlay/internal/attach"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// What a node that seeks a supernode is answered (PROTOCOL.md section 5): offers of slots,
// the word on its attach, and lists of whom else to ask.

// Awaits reports whether b is an Offer that answers the latest round of probes, while no
// slot of it has come. Only such a one is looked into: it comes from outside of any
// session, and the peers and addresses in it are believed.
func (n *Node) Awaits(b []byte) bool {
	open := n.seek.Phase == attach.Asking || n.seek.Phase == attach.Holding
	return wire.KindOf(b) == wire.KindOffer && open && wire.NonceOf(b) == n.seek.Nonce
}

func (s *step) onOffer() {
	var m wire.Offer
	if !s.n.Awaits(s.in.Bytes) || !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	n := s.n
	s.learn(m.Peers.All())
	if m.Status != wire.OfferSlot {
		if m.Status == wire.OfferNotServing {
			attach.Cache(s.env.Cache).Bad(s.in.From)
			s.askInstead(m.Peers.All())
		} else {
			s.suggest(m.Peers.All())
		}
		n.seek.Denied(s.in.From, m.Nonce, min(m.Wait, s.p.FullWait), s.now)
		return
	}
	if n.lasting() > 0 && (m.Wait > s.p.SecondWait || m.Load >= s.p.SecondBelow) {
		n.seek.Denied(s.in.From, m.Nonce, 1, s.now)
		return
	}
	s.learn([]ident.Handle{s.in.From})
	wait := min(m.Wait, s.p.SlotHorizon)
	o := attach.Offer{Peer: s.in.From, Slot: m.Slot, Cookie: m.Cookie, At: s.now.Add(wait), Load: m.Load}
	if wait > s.p.OfferTie {
		s.suggest(m.Peers.All()) // should there be no other offer to choose from
	}
	n.seek.Offered(o, m.Nonce, s.now, s.p.OfferTie, &n.rng)
}

// askInstead asks one of peers in the round under way, in the place of the one who has
// named them and serves no more; else in the next round.
func (s *step) askInstead(peers []ident.Handle) {
	n := s.n
	if len(peers) == 0 {
		return
	}
	h := peers[n.rng.Intn(len(peers))]
	if h == n.self || n.holds(h) >= 0 {
		return
	}
	if n.budget.Left(s.now, s.p.PacketBudget) <= 1 { // one is kept for the attach
		s.suggest(peers)
		return
	}
	s.askAlso(h)
}

// suggest keeps the first of peers, which was drawn by how much it can hold, to be asked
// next: the first that has not been asked in this round.
func (s *step) suggest(peers []ident.Handle) {
	n := s.n
	for _, h := range peers {
		none := n.hint == ident.None || n.seek.HasAsked(n.hint)
		if none && h != n.self && n.holds(h) < 0 && !n.seek.HasAsked(h) {
			n.hint = h
		}
	}
}

func (s *step) onAccept() {
	var m wire.Accept
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	n := s.n
	if !n.seek.Joins(s.in.From, m.Nonce) || m.Member.Peer != s.in.From || s.env.Super != nil {
		// It comes too late: the node has gone elsewhere, or serves itself. Whoever holds
		// it must not go on thinking so.
		if i := n.holds(s.in.From); i < 0 || n.at[i].token != m.Token {
			s.goodbye(s.in.From, m.Token, wire.FarewellReplaced)
		}
		return
	}
	n.seek.Stop()
	n.seek.Heard()
	attach.Cache(s.env.Cache).Good(s.in.From)
	n.first, n.fruitless = false, 0
	n.tickets.keep(Ticket{s.in.From, m.Ticket})
	s.learn(m.Peers.All())
	s.suggest(m.Peers.All())
	s.adopt(attachment{peer: s.in.From, token: m.Token, thin: m.Thin})
	s.heardTier(m.Storm, m.Tier)
	s.out.add(Effect{Kind: EffectSave})
}

func (s *step) onRefuse() {
	var m wire.Refuse
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	n := s.n
	if !n.seek.Joins(s.in.From, m.Nonce) {
		return
	}
	s.learn(m.Peers.All())
	s.suggest(m.Peers.All())
	if m.Reason == wire.RefusedClosed || m.Reason == wire.RefusedFull {
		attach.Cache(s.env.Cache).Bad(s.in.From)
	}
	wait := min(m.Wait, s.p.FullWait) // a hostile one would name a year
	if wait == 0 || len(m.Peers.All()) > 0 {
		wait = vtime.Duration(n.rng.Between(0, int64(s.p.BackoffMin)))
	}
	n.seek.Rest(s.now.Add(wait))
}

// learn enters supernodes that somebody named into the host cache.
func (s *step) learn(peers []ident.Handle) {
	n, learned := s.n, false
	for _, h := range peers {
		if h != n.self && attach.Cache(s.env.Cache).Learn(h, s.env.Book, &n.rng) {
			learned = true
		}
	}
	if learned {
		s.out.add(Effect{Kind: EffectSave})
	}
	// A search that found nobody to ask goes on as soon as there is somebody. The pause
	// keeps those who heard of a new supernode together from coming together.
	waits := n.seek.Phase == attach.Resting || n.seek.Phase == attach.Asking && len(n.seek.Asked()) == 0
	if learned && n.dry && waits {
		n.dry = false
		n.seek.Rest(s.now.Add(vtime.Duration(n.rng.Between(0, int64(s.p.BackoffMin)))))
	}
}

// askList asks a login server who the supernodes are: the last resort.
func (s *step) askList() {
	n := s.n
	n.login.listNonce = uint32(n.rng.Uint32()) | 1
	m := wire.ListRequest{Nonce: uint64(n.login.listNonce), Willing: n.role != RoleNode}
	to := s.env.Logins[n.rng.Intn(len(s.env.Logins))]
	s.out.send(to, m.Append(s.out.begin(), s.env.Book), n.seek.Quiet() > 0)
	n.budget.Spend(1)
}

func (s *step) onList() {
	var m wire.List
	if !s.known(s.in.From) || !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	n := s.n
	if s.env.Super != nil {
		s.superList(m.Peers.All())
		return
	}
	if !s.fromLogin() || n.login.listNonce == 0 || m.Nonce != uint64(n.login.listNonce) {
		return
	}
	n.login.listNonce = 0
	s.learn(m.Peers.All())
	if n.lasting() > 0 {
		return
	}
	if m.Start && n.role != RoleNode {
		s.promote()
		return
	}
	if len(m.Peers.All()) > 0 {
		// They are heard of lately: ask them now, whatever is under way.
		s.suggest(m.Peers.All())
		if n.seek.Phase == attach.Resting || n.seek.Phase == attach.Asking && len(n.seek.Asked()) == 0 {
			n.seek.Rest(s.now)
		}
		return
	}
	if m.Wait > 0 && n.seek.Phase == attach.Asking && len(n.seek.Asked()) == 0 {
		n.seek.Heard()
		n.seek.Rest(s.now.Add(m.Wait))
	}
}
