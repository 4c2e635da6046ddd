package core

import (
	"github.com/ada420b6/overlay/internal/attach"
	"github.com/ada420b6/overlay/internal/directory"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/roster"
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/tier"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// Growth makes a network that has stood for a while: a rehearsal begins amid its life, and
// a simulator that had to carry out how ten million nodes came together would do nothing
// else for an hour. What is entered is what the messages would have left behind, and every
// part that decides finds it as it would have: who is attached to whom, the rosters, the
// directory, who has been proven reachable, who stands by. No decision of the protocol is
// made here, and the runtime does not come here.
type Growth struct {
	env   Env
	now   vtime.Time
	posts []post
	place map[ident.Handle]int
	tier  []ident.Handle
	ranks map[ident.Zone]directory.Ranking // the same at all supernodes, which know the same
}

// post is a supernode, as one that nodes are attached to.
type post struct {
	n   *Node
	env Env
}

// NewGrowth begins with the supernodes, which have just started (Start.Serving) and serve.
// It makes them known to each other.
func NewGrowth(env *Env, now vtime.Time, nodes []*Node, supers []*Supernode) *Growth {
	g := &Growth{env: Env{Policy: env.Policy, Book: env.Book, Logins: env.Logins}, now: now, place: make(map[ident.Handle]int), ranks: make(map[ident.Zone]directory.Ranking)}
	for k, n := range nodes {
		g.posts = append(g.posts, post{n: n, env: g.env})
		g.posts[k].env.Super = supers[k]
		g.place[n.self] = k
		g.tier = append(g.tier, n.self)
	}
	for k := range g.posts {
		s := g.at(k)
		for j := range g.posts {
			if j != k {
				other := g.posts[j].n
				s.env.Super.roster.Load(roster.Member{Peer: other.self, ID: env.Book.ID(other.self), Inc: other.inc}, now)
				s.noteLarge(other.self)
			}
		}
		s.env.Super.fresh.Reset() // its own record goes to others than when it knew nobody
		s.env.Super.ranks.Reset()
	}
	return g
}

// at is a step of the k-th supernode that sends nothing.
func (g *Growth) at(k int) *step {
	p := &g.posts[k]
	return &step{n: p.n, env: &p.env, p: g.env.Policy, now: g.now}
}

// Settle makes n, which has just started, a node that attached some time ago. reachable
// says whether it has been dialled back.
func (g *Growth) Settle(n *Node, cache []CacheEntry, reachable bool) {
	env := g.env
	env.Cache = cache
	s := step{n: n, env: &env, p: env.Policy, now: g.now}
	n.seek.Stop()
	n.first = false
	n.rise.reach.Settle(reachable, g.now, &n.rng)
	if n.rise.able = reachable; reachable {
		n.rise.draw.Start(s.tierPolicy(), g.now, &n.rng)
	}
	attach.Cache(cache).Fill(g.tier, &n.rng)
	first := -1
	for k := range min(len(n.at), s.p.Attachments, len(g.posts)) {
		first = g.draw(n, first)
		p := g.at(first)
		attach.Cache(cache).Good(p.n.self)
		n.tickets.keep(Ticket{Peer: p.n.self, Mark: p.ticketFor(env.Book.ID(n.self))})
		a := &n.at[k]
		*a = attachment{peer: p.n.self, token: n.rng.Uint32() | 1}
		for 2*vtime.Second<<a.early < s.p.Keepalive {
			a.early++
		}
		a.alive.Start(g.now, s.watchOf(k), &n.rng)
		_, wait, _ := a.alive.Last()
		a.alive.Foretell(g.now.Add(-vtime.Duration(n.rng.Between(0, int64(wait)))), wait, 0)
	}
	record := s.recordWith(ident.None)
	for k := range n.at {
		if n.at[k].peer != ident.None {
			g.hold(n, k, record)
		}
	}
	g.publish(record, &n.rng)
}

// draw chooses a supernode for n: of two, not the one that n has, the one with more room,
// in the way in which nodes choose between two offers.
func (g *Growth) draw(n *Node, not int) (best int) {
	best = -1
	room := func(k int) int { return int(g.posts[k].n.slots) - len(g.posts[k].env.Super.held) }
	for range 2 {
		k := n.rng.Intn(len(g.posts))
		for k == not {
			k = n.rng.Intn(len(g.posts))
		}
		if best < 0 || room(k) > room(best) {
			best = k
		}
	}
	return best
}

// hold enters attachment k of n at its supernode.
func (g *Growth) hold(n *Node, k int, r wire.Record) {
	s := g.at(g.place[n.at[k].peer])
	sn := s.env.Super
	if r.Name != 0 {
		sn.nameTo(r.Name, n.self)
	}
	h := sn.take(n.self, g.now)
	heard, _, _ := n.at[k].alive.Last()
	h.token, h.record, h.heard = n.at[k].token, r, heard
	sn.setAble(h, n.able())
	sn.full++
}

// publish enters a record in the directory, put there at some moment of the last interval.
func (g *Growth) publish(r wire.Record, rnd *seed.Rand) {
	if r.Name == 0 || r.At[0] == ident.None {
		return
	}
	first := g.at(g.place[r.At[0]])
	ranking, ok := g.ranks[r.Name.Zone()]
	if !ok {
		ranking = directory.Rank(r.Name.Zone(), first.view())
		g.ranks[r.Name.Zone()] = ranking
	}
	ago := vtime.Duration(rnd.Between(0, int64(g.env.Policy.RecordRefresh)))
	first.env.Super.fresh.Settle(r.Name, ranking, g.now.Add(g.env.Policy.RecordRefresh-ago))
	for _, h := range ranking.All() {
		s := g.at(g.place[h])
		s.env.Super.store.Put(directory.Record(r), s.ranksFor, g.now.Add(-ago))
	}
}

// Finish ends it, when every node is settled: supernodes know the loads of others, they
// have chosen their standbys, and their nodes have been told.
func (g *Growth) Finish(node func(h ident.Handle) *Node) {
	for k := range g.posts {
		g.sample(g.at(k))
	}
	for k := range g.posts {
		s := g.at(k)
		sn := s.env.Super
		sn.synced = true
		for r := range min(s.p.Standbys, len(sn.standbys)) {
			if i := s.chooseStandby(); i >= 0 {
				sn.standbys[r] = sn.held[i].peer
			}
		}
		view := s.tierView()
		for j := range sn.held {
			n := node(sn.held[j].peer)
			n.tier = view
			m := s.standbyFor(&sn.held[j])
			if i := n.holds(s.n.self); len(m.Peers.All()) > 0 {
				n.heirs[i] = m.Peers.All()[0]
			}
			if m.Rank > 0 {
				n.standby = m.Rank
				for i := range n.at { // it looks closely
					n.at[i].alive.Start(g.now, (&step{n: n, p: s.p}).watchOf(i), &n.rng)
				}
			}
		}
	}
}

// sample lets a supernode have heard from as many others as it remembers the loads of.
func (g *Growth) sample(s *step) {
	n := len(g.posts)
	start := s.n.rng.Intn(n)
	for k := range min(tier.Samples, n) {
		other := g.at((start + k*max(1, n/tier.Samples)) % n)
		if other.n != s.n {
			s.sampled(other.n.self, other.load(), uint16(min(other.ownEligible(), 1<<16-1)))
		}
	}
	s.env.Super.view = wire.Tier{} // of before
}
