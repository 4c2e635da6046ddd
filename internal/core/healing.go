package core

import (
	"github.com/ada420b6/overlay/internal/attach"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// How an orphan becomes attached (PROTOCOL.md section 5): ask a few supernodes for a
// slot, take the earliest, come at the slot. This file is the only place from which a
// node sends probes and attaches.

// want says what for the node seeks an attachment, if it does.
func (s *step) want() (wire.Class, bool) {
	n := s.n
	if !n.certified || n.leaving || s.env.Super != nil || n.login.phase != enrolled && s.p.LoginFirst {
		return 0, false
	}
	switch lasting := n.lasting(); {
	case lasting == 0:
		return wire.ClassOrphan, true
	case lasting < s.p.Attachments:
		return wire.ClassSecond, true
	}
	return 0, false
}

// seekDue lets the search go on when its time has come.
func (s *step) seekDue() {
	n := s.n
	class, wanted := s.want()
	if !wanted {
		n.seek.Stop()
		return
	}
	if n.seek.Phase == attach.Idle {
		n.seek.Rest(s.now)
	}
	if n.seek.Far(s.now, s.p.OfferTie) && s.seekNearer(class) {
		return
	}
	// A round can fail at once, and the next one begin at once, but each begun round
	// has a deadline in the future: this ends.
	for range 4 {
		switch n.seek.Due(s.now, s.p.Patience/vtime.Duration(s.p.JoinTries), s.p.JoinTries) {
		case attach.Nothing:
			return
		case attach.Round:
			s.round(class)
		case attach.Join:
			s.join()
		case attach.Failed:
			s.roundFailed(class)
		}
	}
}

// seekNearer lets a round go on that has brought slots far away only: the standbys of
// supernodes that this node has lost, and those who are named with the slots, are asked one
// after the other, as the budget allows, since supernodes that have only just begun have
// nothing to do while those whom everybody remembers are booked for seconds. The standbys
// come first: the few who have outlived a disaster name others of whom they have not
// noticed yet that they are dead. It reports whether this node serves now instead.
func (s *step) seekNearer(class wire.Class) bool {
	n := s.n
	for k := range n.heirs {
		if n.at[k].peer == ident.None && s.seekAt(n.heirs[k]) {
			return false
		}
	}
	h := n.hint
	if n.budget.Left(s.now, s.p.PacketBudget) > 1 {
		n.hint = ident.None
	}
	if s.seekAt(h) {
		return false
	}
	if class == wire.ClassOrphan && s.rejoin() {
		return true
	}
	if n.hint != ident.None { // there is somebody to ask, and no packet to ask with
		n.seek.Extend(vtime.Earlier(n.budget.Next(s.now, s.p.PacketBudget, roundLeast), n.seek.Held().At))
	}
	return false
}

// seekAt asks h as well and waits for its answer, and reports whether it does.
func (s *step) seekAt(h ident.Handle) bool {
	n := s.n
	if h == ident.None || n.holds(h) >= 0 || n.budget.Left(s.now, s.p.PacketBudget) <= 1 || !s.askAlso(h) {
		return false
	}
	n.seek.Longer(s.now)
	return true
}

// probeShare is the part of Patience that an answer to a probe is waited for: it takes
// two ways and no work.
const probeShare = 3

// roundLeast is what the budget must hold before a round begins: a probe and the attach
// that it may lead to. Who has little left asks one at a time, and two when nobody has
// answered for long: then it is a matter of asking many, and not of asking soon. A node
// that has just started, and was answered by nobody in a round of ProbeMax, has spent the
// budget and is back before everybody else, or cut off. From then on a round waits for more,
// a share of the minute's packets, 5 of 30: as many supernodes are asked a minute in half as
// many rounds, with fewer requests to login servers. Who ran when he lost his supernodes
// does not wait: most of the others run as well, and some of them serve by the next round.
const roundLeast, deafShare = 2, 6

// roundCost is what the budget must hold before the next round begins. The search for a
// second attachment leaves two thirds of it: what took one attachment may take the other.
func (n *Node) roundCost(env *Env) int {
	p := env.Policy
	switch {
	case n.lasting() > 0:
		return max(roundLeast, p.PacketBudget/3)
	case n.first && n.deserted(p):
		return max(roundLeast+1, p.PacketBudget/deafShare)
	case n.asksLogin(env), n.seek.Quiet() >= p.QuickRounds:
		return roundLeast + 1
	}
	return roundLeast
}

// deserted reports whether an orphan's round of ProbeMax was answered by nobody.
func (n *Node) deserted(p *Policy) bool {
	deaf := n.seek.Deaf()
	return deaf > 0 && n.lasting() == 0 && p.ProbeWidth<<min(deaf-1, 8) >= p.ProbeMax
}

// answerWait is how long a round waits for its first answer. Who is deserted has to wait
// for its budget anyway, and the one who lives may be far away: one in 2 000 measured
// round trips is longer than a second.
func (s *step) answerWait() vtime.Duration {
	if s.n.deserted(s.p) {
		return s.p.Patience
	}
	return s.p.Patience / probeShare
}

// listEvery is in how many fruitless rounds a login server is asked as well, once it is:
// were it each, a dead one would cost half of the packets that find the living. With the
// name of somebody who may serve in hand there is better use for a packet.
const listEvery = 2

// asksLogin reports whether the next round asks a login server as well.
func (n *Node) asksLogin(env *Env) bool {
	p := env.Policy
	lost := n.seek.Quiet() >= p.LoginRounds || n.fruitless >= uint8(p.LoginRounds) || attach.Cache(env.Cache).Len() == 0
	return n.lasting() == 0 && lost && n.hint == ident.None && int(n.fruitless)%listEvery == 0 && len(env.Logins) > 0
}

// stormSecond is the storm level from which nobody asks for a second attachment.
const stormSecond = 2

// secondPause is how long a node with one attachment waits before it asks for another.
func (s *step) secondPause() vtime.Duration {
	return s.p.SecondRetry + vtime.Duration(s.n.rng.Between(0, 2*int64(s.p.SecondRetry)))
}

// round asks some supernodes for a slot.
func (s *step) round(class wire.Class) {
	n := s.n
	if next := n.budget.Next(s.now, s.p.PacketBudget, n.roundCost(s.env)); next > s.now {
		n.seek.Rest(next)
		return
	}
	if class == wire.ClassSecond && n.storm >= stormSecond {
		n.seek.Rest(s.now.Add(s.secondPause()))
		return
	}
	left := n.budget.Left(s.now, s.p.PacketBudget) - 1 // one is kept for the attach
	if class == wire.ClassOrphan && s.resume() {
		return
	}
	if n.asksLogin(s.env) {
		s.askList()
		left--
	}
	width := s.p.ProbeWidth
	allAnswered := n.seek.Complete() && len(n.seek.Asked()) >= width // in the last round
	if class == wire.ClassOrphan && !allAnswered {
		width = min(s.p.ProbeMax, s.p.ProbeWidth<<min(n.seek.Deaf(), 8))
	}
	var buf [attach.MaxAsked]ident.Handle
	cands := s.candidates(buf[:0], min(width, left, attach.MaxAsked))
	n.dry = len(cands) == 0
	nonce := n.rng.Uint64()
	for _, h := range cands {
		m := s.probeFor(h, class, nonce)
		s.out.sendPlain(h, m.Append(s.out.begin(), s.env.Book))
	}
	n.budget.Spend(len(cands))
	n.seek.Ask(cands, uint8(class), nonce, s.now, s.answerWait())
}

// askAlso asks h in the round under way, and reports whether it does.
func (s *step) askAlso(h ident.Handle) bool {
	n := s.n
	if !n.seek.Also(h) {
		return false
	}
	m := s.probeFor(h, wire.Class(n.seek.Class), n.seek.Nonce)
	m.Within = n.seek.Within(s.now, s.p.OfferTie)
	s.out.sendPlain(h, m.Append(s.out.begin(), s.env.Book))
	n.budget.Spend(1)
	return true
}

// candidates draws whom to ask: whoever a leaving supernode has named, then from the
// host cache, in another address group than the attachment that stands if there is a
// choice.
func (s *step) candidates(dst []ident.Handle, want int) []ident.Handle {
	n := s.n
	avoid := [2]ident.Handle{n.at[0].peer, n.at[1].peer}
	if n.hint != ident.None && n.hint != avoid[0] && n.hint != avoid[1] && want > 0 {
		dst = append(dst, n.hint)
	}
	n.hint = ident.None
	if (n.seek.Quiet() > 0 || n.count() > 0) && (want > 1 || n.seek.Quiet()%2 > 0) {
		dst = s.heirs(dst, want)
	}
	anchors := 0
	if n.first && n.seek.Quiet() == 0 {
		anchors = s.p.Anchors
	}
	cache := attach.Cache(s.env.Cache)
	group := s.groupHeld()
	for range 3 {
		k := len(dst)
		dst = cache.Pick(dst, want, avoid, anchors, &n.rng)
		if group == 0 {
			break
		}
		kept := dst[:k]
		for _, h := range dst[k:] {
			if s.env.Book.Group(h) != group {
				kept = append(kept, h)
			}
		}
		if len(kept) == len(dst) || len(kept) >= want {
			break
		}
		if len(kept) > 0 {
			dst = kept
		}
	}
	return dst
}

// groupHeld is the address group of an attachment that stands.
func (s *step) groupHeld() ident.Group {
	for i := range s.n.at {
		if a := &s.n.at[i]; a.peer != ident.None && !a.parting {
			return s.env.Book.Group(a.peer)
		}
	}
	return 0
}

// join comes at the slot: it asks for the attachment with a record that lists it.
func (s *step) join() {
	n, o := s.n, s.n.seek.Held()
	if next := n.budget.Next(s.now, s.p.PacketBudget, 1); next > s.now {
		n.seek.Delay(next) // a slot in hand is worth more than another round
		return
	}
	n.budget.Spend(1)
	n.seq++
	n.pub.overtaken = false
	class := s.probeFor(o.Peer, wire.Class(n.seek.Class), 0).Class
	m := wire.Attach{Nonce: n.seek.Nonce, Class: class, Slot: o.Slot, Cookie: o.Cookie, Able: n.able(), Record: s.recordWith(o.Peer)}
	s.out.send(o.Peer, m.Append(s.out.begin(), s.env.Book), true)
}

// fullRounds is how many rounds in a row may meet full supernodes before the wait is taken
// that they name: each has named others, who may have room.
const fullRounds = 2

// leads is how many words in a row of those who serve no more are followed at once: they
// may name the dead.
const leads = 3

// roundFailed decides when to try again.
func (s *step) roundFailed(class wire.Class) {
	n, cache := s.n, attach.Cache(s.env.Cache)
	n.fruitless = min(n.fruitless+1, 254)
	if n.seek.Phase == attach.Joining {
		cache.Bad(n.seek.Held().Peer)
	}
	for i, h := range n.seek.Asked() {
		if n.seek.Phase == attach.Asking && n.seek.Silent(i) {
			cache.Bad(h)
		}
	}
	quiet, r := n.seek.Quiet(), &n.rng
	var wait vtime.Duration
	switch {
	case class != wire.ClassSecond && wire.Class(n.seek.Class) == wire.ClassSecond:
		// It was about a second attachment, and now there is none: whoever refused that
		// will not refuse this.
	case class == wire.ClassSecond && n.fruitless%(fullRounds+1) == 0:
		wait = s.secondPause()
	case n.seek.Wait() > 0 && n.fruitless > fullRounds:
		wait = n.seek.Wait()
	case s.p.RetryPause > 0:
		wait = s.p.RetryPause
	case n.hint != ident.None && n.fruitless%(leads+1) != 0:
		// Somebody who serves no more has answered, and named one who may: what was
		// silent until now may be there again.
		wait = vtime.Duration(r.Between(0, int64(s.p.BackoffMin)))
	case quiet > 0 && n.seek.Complete():
		most := int64(s.untilServed(quiet - n.seek.Deaf()))
		wait = vtime.Duration(r.Between(most/2, most))
	case quiet < s.p.QuickRounds:
		wait = vtime.Duration(r.Between(0, int64(s.p.BackoffMin)))
	default:
		wait = vtime.Duration(r.Between(int64(s.p.BackoffMin), int64(s.p.BackoffMax)))
	}
	n.seek.Rest(s.now.Add(wait))
}

// untilServed bounds the pause after rounds in which everybody has answered, and nobody
// serves: all have rebooted. They are the right ones to ask, one of them will serve or
// know who does in a moment. Such a round takes no time, so that its pause has to, half of
// the bound at least: with the short ones of a silent round the budget would be gone before
// the tier is back.
func (s *step) untilServed(rounds int) vtime.Duration {
	return min(s.p.BackoffMin<<min(max(0, rounds-2), 16), s.p.BackoffMax)
}
