package core

import (
	"github.com/ada420b6/overlay/internal/attach"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/liveness"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// attachment is a live session with a supernode, over which the node can be found and
// called.
type attachment struct {
	peer    ident.Handle
	token   uint32
	thin    bool
	early   uint8 // early checks made
	parting bool  // the supernode has said that it is about to leave: a replacement is sought
	alive   liveness.Keepalive
}

// count returns how many attachments stand, parting ones included.
func (n *Node) count() (k int) {
	for i := range n.at {
		if n.at[i].peer != ident.None {
			k++
		}
	}
	return k
}

// lasting returns how many attachments stand and are not about to end.
func (n *Node) lasting() (k int) {
	for i := range n.at {
		if n.at[i].peer != ident.None && !n.at[i].parting {
			k++
		}
	}
	return k
}

func (n *Node) holds(h ident.Handle) int {
	for i := range n.at {
		if h != ident.None && n.at[i].peer == h {
			return i
		}
	}
	return -1
}

// adopt enters a new attachment, in the place of a parting one if there is no other:
// make before break (rule R7).
func (s *step) adopt(a attachment) {
	n := s.n
	i := n.holds(a.peer)
	for _, free := range []func(*attachment) bool{
		func(x *attachment) bool { return x.peer == ident.None },
		func(x *attachment) bool { return x.parting },
	} {
		for j := range n.at {
			if i < 0 && free(&n.at[j]) {
				i = j
			}
		}
	}
	if i < 0 { // both places are taken by now: it is not needed any more
		s.goodbye(a.peer, a.token, wire.FarewellReplaced)
		return
	}
	if old := n.at[i]; old.peer != ident.None && old.peer != a.peer {
		s.goodbye(old.peer, old.token, wire.FarewellReplaced)
		s.out.add(Effect{Kind: EffectDetached, Peer: old.peer, Count: uint8(n.count() - 1)})
	}
	if n.at[i].peer != a.peer {
		n.heirs[i] = ident.None
	}
	n.standby = 0 // who still counts on it says so again
	n.at[i] = a
	n.at[i].alive.Start(s.now, s.watchOf(i), &n.rng)
	s.checkEarly(i)
	s.out.add(Effect{Kind: EffectAttached, Peer: a.peer, Count: uint8(n.count())})
	if n.pub.overtaken { // what others have by that number does not list this attachment
		n.seq++
		s.publish(ident.None)
	} else {
		s.publish(a.peer)
	}
	if s.env.Calls != nil {
		s.env.Calls.hurry(s.now)
	}
}

// drop removes attachment i and tells the other supernode where the node is now.
func (s *step) drop(i int) {
	n := s.n
	peer := n.at[i].peer
	n.at[i] = attachment{}
	s.out.add(Effect{Kind: EffectDetached, Peer: peer, Count: uint8(n.count())})
	s.out.add(Effect{Kind: EffectForget, Peer: peer})
	n.seq++
	s.publish(ident.None)
	if n.count() == 0 {
		attach.Cache(s.env.Cache).Doubt()
	}
	// An attachment that breaks is need: whatever the search was resting for, it was
	// for less.
	n.seek.Hurry(s.now)
}

func (s *step) goodbye(to ident.Handle, token uint32, why wire.Farewell) {
	m := wire.Goodbye{Token: token, Reason: why}
	s.out.send(to, m.Append(s.out.begin(), s.env.Book), false)
}

// keepalivesDue checks the attachments that have been silent.
func (s *step) keepalivesDue() {
	for i := range s.n.at {
		a := &s.n.at[i]
		if a.peer == ident.None || s.now < a.alive.Next() {
			continue
		}
		switch a.alive.Due(s.now, s.watchOf(i), &s.n.rng) {
		case liveness.Send:
			s.check(i)
		case liveness.Gone:
			attach.Cache(s.env.Cache).Bad(a.peer)
			s.drop(i)
			// What killed it may have killed the other one too.
			s.n.at[1-i].alive.Doubt(s.now)
		}
	}
}

// check asks the other end of attachment i whether it lives.
func (s *step) check(i int) {
	a, cache := &s.n.at[i], attach.Cache(s.env.Cache)
	// Whoever knows all that there are is told of the next one when there is one more.
	thirsty := cache.Len() < min(len(cache), max(int(s.n.tier.Alive), 1))
	m := wire.Keepalive{Token: a.token, Able: s.n.able(), Thirsty: thirsty, Heirless: s.n.heirless(i), Limit: s.allow(i)}
	s.out.send(a.peer, m.Append(s.out.begin(), s.env.Book), false)
}

// wellKnown is how many supernodes a node should remember before it can wait for the
// regular checks to learn of more: with four of five gone, one of 8 is left in 83 % of
// cases.
const wellKnown = 8

// checkEarly has an attachment checked before its time while the node remembers few
// supernodes: a check brings more. In a network that is only just forming they come
// into being in these seconds.
func (s *step) checkEarly(i int) {
	a, cache := &s.n.at[i], attach.Cache(s.env.Cache)
	if s.n.able() && s.n.tier.Util > s.p.PromoteAbove && s.p.ScalePeriod < s.watchOf(i).Interval {
		// The tier is full and this node could help: it hears of it in the rhythm in
		// which it decides.
		a.alive.Start(s.now, liveness.KeepaliveParams{Interval: s.p.ScalePeriod, Step: s.p.CheckStep}, &s.n.rng)
		return
	}
	wait := 2 * vtime.Second << a.early
	if s.n.standby > 0 || cache.Len() >= wellKnown || wait >= s.p.Keepalive {
		return
	}
	a.early++
	a.alive.Start(s.now, liveness.KeepaliveParams{Interval: wait, Step: s.p.CheckStep}, &s.n.rng)
}

// watch is how an attachment is watched.
func (s *step) watch(thin bool) liveness.KeepaliveParams {
	if thin {
		return liveness.KeepaliveParams{Interval: s.p.KeepaliveThin, Step: s.p.CheckStep}
	}
	return liveness.KeepaliveParams{Interval: s.p.Keepalive, Step: s.p.CheckStep}
}

// heard notes that an attachment's other end lives, and has heard from this node: only an
// answer says so. Whoever were content with what it is told unasked would ask no more, and
// be dropped for its silence.
func (s *step) heard(i int) { s.n.at[i].alive.Heard(s.now) }

func (s *step) onKeepaliveAck() {
	var m wire.KeepaliveAck
	i := s.n.holds(s.in.From)
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) || i < 0 || s.n.at[i].token != m.Token {
		return
	}
	if !m.Unasked && s.n.at[i].alive.Asked() {
		s.heard(i)
		s.letGo(i)
	}
	s.toldOften(i, m.Told)
	s.learn(m.Peers.All())
	s.heardTier(m.Storm, m.Tier)
	s.called(m.Storm)
	if s.n.holds(s.in.From) == i { // it may have been promoted at that word
		s.checkEarly(i)
	}
}

func (s *step) onNotAttached() {
	var m wire.NotAttached
	i := s.n.holds(s.in.From)
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) || i < 0 || m.Token != 0 && s.n.at[i].token != m.Token {
		return
	}
	if m.Token == 0 {
		s.n.at[i].alive.Doubt(s.now)
		return
	}
	s.drop(i)
	s.n.at[1-i].alive.Doubt(s.now)
}

// forgotten means that peer's machine knows nothing of the session: it has rebooted.
func (s *step) forgotten(peer ident.Handle) {
	if i := s.n.holds(peer); i >= 0 {
		s.drop(i)
		s.n.at[1-i].alive.Doubt(s.now)
	}
	if s.env.Calls != nil {
		s.relayForgot(peer)
	}
	if s.env.Super != nil {
		s.superForgotten(peer)
	}
}

// onGoodbye handles a supernode's farewell; one from a node is for the supernode part.
func (s *step) onGoodbye() bool {
	i := s.n.holds(s.in.From)
	if i < 0 {
		return s.env.Super == nil
	}
	var m wire.Goodbye
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) || s.n.at[i].token != m.Token {
		return true
	}
	s.learn(m.Peers.All())
	s.suggest(m.Peers.All())
	switch m.Reason {
	case wire.FarewellLeaving:
		// It serves until its nodes have found another: seek now, break later. A word that
		// is repeated does not shorten a wait that somebody has named since.
		if !s.n.at[i].parting {
			s.n.at[i].parting = true
			s.n.seek.Hurry(s.now)
			s.n.at[1-i].alive.Doubt(s.now) // if it answers, it is enough
		}
	default:
		attach.Cache(s.env.Cache).Drop(s.in.From)
		s.drop(i)
	}
	return true
}

// heardTier takes what a supernode says of the tier. The storm level is the highest
// that is told, until the one who told it says less.
func (s *step) heardTier(storm uint8, t wire.Tier) {
	n := s.n
	n.tier = t
	s.heardNeed(t)
	if storm = min(storm, 3); storm != n.storm {
		n.storm = storm
		s.out.add(Effect{Kind: EffectStorm, Count: storm})
	}
}

// leave ends the node's part gracefully.
func (s *step) leave() {
	n := s.n
	n.leaving = true
	if s.env.Super != nil {
		s.superLeave()
		return
	}
	for i := range n.at {
		if a := n.at[i]; a.peer != ident.None {
			s.goodbye(a.peer, a.token, wire.FarewellLeaving)
			n.at[i] = attachment{}
			s.out.add(Effect{Kind: EffectDetached, Peer: a.peer, Count: uint8(n.count())})
		}
	}
	s.out.add(Effect{Kind: EffectLeft})
}

// publication is the way of the newest record to the supernodes that do not have it.
type publication struct {
	until vtime.Time
	owed  uint8 // bit i: attachment i has not confirmed the newest record
	tries uint8
	// overtaken says that a later record was made while an attach is under way: the one
	// that this carries is not the newest any more.
	overtaken bool
}

func (p *publication) deadline() vtime.Time {
	if p.owed == 0 {
		return vtime.Never
	}
	return p.until
}
