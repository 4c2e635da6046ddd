package core

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/liveness"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// Hot standbys (PROTOCOL.md section 6). Every supernode chooses two of its nodes that can
// serve, and each of its nodes knows one of them. When all supernodes that a node
// remembers die together, nobody is left who could name a living one, and the login
// servers may be dead as well: but a standby notices within seconds, starts to serve, and
// is asked by those who were told of it. So a network outlives all of its supernodes.
//
// A standby that has another attachment left does nothing: the tier has not died, and
// what it lacks is replaced by promotion.

// standbys are those of one supernode, by rank; None where there is none.
type standbys [wire.MaxStandbys]ident.Handle

func (b *standbys) rank(h ident.Handle) uint8 {
	for i := range b {
		if b[i] == h && h != ident.None {
			return uint8(i + 1)
		}
	}
	return 0
}

// standbysDue fills the places of standbys that have gone, and repeats to the others what
// they are: that message may have been lost.
func (s *step) standbysDue() {
	sn := s.env.Super
	for k := range min(s.p.Standbys, len(sn.standbys)) {
		if i, ok := sn.find(sn.standbys[k]); ok && sn.held[i].able {
			s.sayStandby(&sn.held[i])
			continue
		}
		sn.standbys[k] = ident.None
		if i := s.chooseStandby(); i >= 0 {
			sn.standbys[k] = sn.held[i].peer
			s.sayStandby(&sn.held[i])
			sn.tellHeirs.soon(s.now).heirs |= 1 << k // who is told of it
		}
	}
}

// standbysSoon has the standbys looked after soon, if there is a place to fill and perhaps
// somebody to fill it.
func (s *step) standbysSoon() {
	sn := s.env.Super
	for _, h := range sn.standbys[:min(s.p.Standbys, len(sn.standbys))] {
		if i, ok := sn.find(h); h == ident.None || !ok || !sn.held[i].able {
			sn.standbyAt = vtime.Earlier(sn.standbyAt, s.now.Add(standbyPause))
		}
	}
}

// standbyPause is how soon a place is filled: those who come together are looked at
// together.
const standbyPause = vtime.Second

// chooseStandby returns the place of the node that serves best in this one's stead: in
// another address group if there is one, so that one power cut does not take both, and
// held for longest, since who has stayed long is likelier to stay; -1 for none.
func (s *step) chooseStandby() int {
	sn := s.env.Super
	best, apart := -1, false
	own := s.env.Book.Group(s.n.self)
	for i := range sn.held {
		h := &sn.held[i]
		if !h.able || sn.standbys.rank(h.peer) > 0 {
			continue
		}
		far := s.env.Book.Group(h.peer) != own
		if best < 0 || far && !apart || far == apart && h.since < sn.held[best].since {
			best, apart = i, far
		}
	}
	return best
}

// calledBy is how many orphans must ask a node that could serve before it thinks of it.
const calledBy = 3

// askedByOrphan notes that an orphan takes this node for one that serves: it was named as a
// standby, or it served before it rebooted. When many supernodes die and a few live, the
// standbys find these first, and have no cause to serve, while everybody else waits at them
// for a slot; so who is asked again and again asks its own supernodes at once whether there
// is a storm. Their word it must be: orphans cost whoever wants to call nodes to serve
// nothing.
func (s *step) askedByOrphan() {
	n := s.n
	if !n.able() || n.count() == 0 || n.asked >= calledBy {
		return
	}
	if n.asked++; n.asked < calledBy {
		return
	}
	for i := range n.at {
		if n.at[i].peer != ident.None {
			s.check(i)
		}
	}
}

// called lets a node serve that orphans have asked, since its supernodes tell of a storm.
func (s *step) called(storm uint8) {
	n := s.n
	if n.asked >= calledBy && storm > 0 && n.able() && s.env.Super == nil {
		s.promote()
	}
	n.asked = 0
}

// sayStandby tells a node of the standby that it may turn to.
func (s *step) sayStandby(h *holding) {
	if m := s.standbyFor(h); m.Rank > 0 || len(m.Peers.All()) > 0 {
		s.out.send(h.peer, m.Append(s.out.begin(), s.env.Book), false)
	}
}

// standbyFor is what a node is told.
func (s *step) standbyFor(h *holding) wire.Standby {
	sn := s.env.Super
	m := wire.Standby{Token: h.token, Rank: sn.standbys.rank(h.peer)}
	if k := sn.standbyOf(h); k >= 0 {
		m.Peers.Add(sn.standbys[k])
	}
	return m
}

// standbyOf returns the place of the standby that a node is told of, -1 when there is none.
// Half of the nodes are told of each, so that the death of one does not strand all, and a
// standby of the other one.
func (sn *Supernode) standbyOf(h *holding) int {
	k := int(h.token>>1) % len(sn.standbys)
	if rank := sn.standbys.rank(h.peer); rank > 0 {
		k = 2 - int(rank)
	}
	for range sn.standbys {
		if p := sn.standbys[k]; p != ident.None && p != h.peer {
			return k
		}
		k = 1 - k
	}
	return -1
}

func (s *step) onStandby() {
	var m wire.Standby
	n := s.n
	i := n.holds(s.in.From)
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) || n.at[i].token != m.Token {
		return
	}
	if peers := m.Peers.All(); len(peers) > 0 && peers[0] != n.self {
		n.heirs[i] = peers[0]
	}
	if m.Rank > 0 && n.able() && n.standby != m.Rank {
		n.standby = m.Rank
		for j := range n.at { // from now on it looks closely
			if n.at[j].peer != ident.None {
				n.at[j].alive.Start(s.now, s.watchOf(j), &n.rng)
			}
		}
	}
}

// A standby checks its supernodes every Keepalive/10, and its checks follow each other
// three times as fast: it has noticed a death after 2 to 4 s.
const standbyRhythm, standbyHaste = 10, 3

// watchOf is how attachment i is watched.
func (s *step) watchOf(i int) liveness.KeepaliveParams {
	p := s.watch(s.n.at[i].thin)
	if s.n.standby > 0 {
		p.Interval, p.Step = min(p.Interval, s.p.Keepalive/standbyRhythm), s.p.CheckStep/standbyHaste
	}
	return p
}

// standsIn reports whether this node serves now although nobody called it: it was a
// supernode, or is the standby of one, and has asked in vain. A standby of the first rank
// waits for one round of silence, who was a supernode for ResumeRounds, and the second standby for
// three: it should have found the first by then.
func (n *Node) standsIn(p *Policy) bool {
	quiet := n.seek.Quiet()
	switch {
	case n.role == RoleNode:
		return false
	case n.standby > 0 && quiet >= 2*int(n.standby)-1:
		return true
	}
	return n.wasSuper && quiet >= p.ResumeRounds
}

// heirs appends one of the standbys of the supernodes that this node has lost, in turn if
// there are two: they may have rebooted with everybody else, and must not take the places
// of all others in every round. Who can ask one only is asked to call this every other round.
func (s *step) heirs(dst []ident.Handle, want int) []ident.Handle {
	n := s.n
	for k := range n.heirs {
		i := (n.seek.Quiet()/2 + k) % len(n.heirs)
		h := n.heirs[i]
		if h != ident.None && n.at[i].peer == ident.None && len(dst) < want && n.holds(h) < 0 && (len(dst) == 0 || dst[0] != h) {
			return append(dst, h)
		}
	}
	return dst
}

// heirless reports whether attachment i has not told who takes its place.
func (n *Node) heirless(i int) bool { return n.heirs[i] == ident.None }

// resume starts the tier from nothing: no login server is needed, only a node that was
// a supernode, or was to be one, and finds nobody. It reports whether the node serves now.
func (s *step) resume() bool {
	if !s.n.standsIn(s.p) {
		return false
	}
	s.promote()
	return true
}
