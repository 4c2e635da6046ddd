package core

import (
	"slices"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/liveness"
	"github.com/ada420b6/overlay/internal/roster"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// What a topic rests on, worked out anew from the facts each time that it is looked at: a
// change that was missed is found by the next look.

// consider works out a topic's words, has its listeners told where they have changed, and
// notes what is to be asked.
func (s *step) consider(name ident.NameID, t *topic) {
	before, known := t.words, t.known
	held, holds := s.heldWord(name)
	t.words[forReplica] = held
	rec, stored := s.env.Super.store.Get(name, s.now)
	s.chooseSources(name, t, wire.Record(rec), stored && !(holds && held.seq >= rec.Seq))
	t.words[forMembers] = held
	if !holds || stored && rec.Seq > held.seq {
		t.words[forMembers] = s.storedWord(t, wire.Record(rec), stored)
	}
	s.wordForNodes(t, holds)
	if t.words != before || t.known != known {
		s.tellSoon(t)
	}
}

// heldWord is what this supernode sees itself: whether it holds the owner of a name, who has
// shown itself lately. It goes on holding one that has not for some seconds more.
func (s *step) heldWord(name ident.NameID) (word, bool) {
	if rec, ok := s.recordOf(name); ok {
		here := !s.quiet(rec.Owner)
		return word{rec.Seq, here}, here
	}
	for _, x := range s.env.Super.presence.moving {
		if x.name == name && s.now < x.until {
			return word{x.seq, true}, true
		}
	}
	return word{}, false
}

// quiet reports whether a node that is held has been silent for longer than one that lives.
func (s *step) quiet(peer ident.Handle) bool {
	sn := s.env.Super
	i, ok := sn.find(peer)
	return ok && s.now.Sub(sn.held[i].heard) > liveness.Quiet(s.watch(sn.held[i].thin))
}

// moving is a node that has let go to serve itself: it is there, and the replicas will be
// told in a few seconds, when it knows who they are.
type moving struct {
	name  ident.NameID
	seq   uint64
	until vtime.Time
}

// moveTime is how long it takes at most: the roster comes in a round trip, the record is
// put in the 2 s after that, and again where this node was not known yet. maxMoving bounds
// those of one supernode.
const (
	moveTime  = 8 * vtime.Second
	maxMoving = 64
)

// moves notes that the owner of a record lets go to serve.
func (s *step) moves(r wire.Record) {
	p := &s.env.Super.presence
	p.moving = slices.DeleteFunc(p.moving, func(x moving) bool { return x.until <= s.now })
	if len(p.moving) < maxMoving && p.topic(r.Name) != nil {
		p.moving = append(p.moving, moving{r.Name, r.Seq, s.now.Add(moveTime)})
	}
}

// storedWord is what a record in the store is worth: its owner is there as long as one of
// the supernodes that it lists is believed alive, and has not said that the owner is gone.
func (s *step) storedWord(t *topic, rec wire.Record, stored bool) word {
	if !stored {
		return word{}
	}
	w := word{seq: rec.Seq}
	for _, h := range rec.At {
		if h == ident.None || h == s.n.self || !s.believed(h) {
			continue
		}
		x := t.source(h, true)
		w.here = w.here || x == nil || !x.said || x.word.here
	}
	return w
}

// believed reports whether h may be alive. A supernode that the tier does not know yet may
// be; one that has been suspect for unrefuted is not, though the tier gives it twice as
// long: whoever lives objects in a second or two, and the word is taken back when it does.
func (s *step) believed(h ident.Handle) bool {
	m, ok := s.env.Super.roster.Lookup(h)
	if !ok {
		return true
	}
	switch m.State {
	case roster.Suspect:
		return s.now.Sub(m.Since) < unrefuted
	case roster.Left: // it may be looking for an attachment
		return s.now.Sub(m.Since) < steppedDown
	}
	return m.State.Usable()
}

// unrefuted leaves some 15 s of the 30 in which a silent death is told for the suspicion to
// arise.
const unrefuted = 10 * vtime.Second

// steppedDown is how long a supernode that has stepped down may take to be attached.
const steppedDown = 5 * vtime.Second

// wordForNodes is the newest word that this supernode and the replicas have. That nobody
// has seen a record counts when most say so.
func (s *step) wordForNodes(t *topic, holds bool) {
	sn := s.env.Super
	best, none, all := t.words[forMembers], 0, 0
	for i, h := range t.to.All() {
		if i == nearest {
			break
		}
		all++
		if h == s.n.self {
			// Who has only just begun to serve ranks first for everything.
			if best.seq == 0 && (sn.synced || s.now.Sub(sn.since) >= newcomer) {
				none++
			}
			continue
		}
		x := t.source(h, false)
		switch {
		case x == nil || !x.said:
		case x.word.seq == 0:
			none++
		case x.word.newer(best):
			best = x.word
		}
	}
	if holds && t.words[forReplica].seq >= best.seq { // seen with its own eyes
		best = t.words[forReplica]
	}
	t.words[forNodes] = best
	t.known = best.seq > 0 || 2*none > all
}

func (t *topic) source(peer ident.Handle, held bool) *source {
	for i := range t.sources {
		if x := &t.sources[i]; x.peer == peer && x.held == held {
			return x
		}
	}
	return nil
}

// chooseSources makes the sources of a topic those that it needs now: the first replicas
// when a node wants to know, and who holds the owner when a record here says so and anybody
// goes by it. asksHolders is false when this supernode holds the owner by the newest record itself.
func (s *step) chooseSources(name ident.NameID, t *topic, rec wire.Record, asksHolders bool) {
	var wanted [nearest + len(rec.At)]source
	n := 0
	want := func(h ident.Handle, held bool) {
		if h == ident.None || h == s.n.self || !s.believed(h) {
			return
		}
		wanted[n] = source{peer: h, held: held, askAt: s.now}
		if x := t.source(h, held); x != nil {
			wanted[n] = *x
		}
		n++
	}
	nodes, others := t.listensFor()
	if nodes {
		s.rankTopic(name, t)
		for i, h := range t.to.All() {
			if i < nearest {
				want(h, false)
			}
		}
	}
	if asksHolders && (nodes || others) { // who asks whether the owner is held here needs no other's word
		want(rec.At[0], true)
		want(rec.At[1], true)
	}
	t.sources = append(t.sources[:0], wanted[:n]...)
	for i := range t.sources {
		s.askSource(name, &t.sources[i])
	}
}

// rankTopic works the replicas of a name out where the roster has changed.
func (s *step) rankTopic(name ident.NameID, t *topic) {
	p := &s.env.Super.presence
	if t.ranked || p.ranks == 0 {
		return
	}
	p.ranks--
	t.to, t.ranked = s.env.Super.ranks.Rank(name.Zone(), s.view()), true
}

// askSource notes that a source is to be asked: it has not answered, the subscription is
// to be renewed, or it may have rebooted.
func (s *step) askSource(name ident.NameID, x *source) {
	if m, ok := s.env.Super.roster.Lookup(x.peer); ok && m.Inc != x.inc {
		x.inc, x.askAt, x.tries = m.Inc, s.now, 0
	}
	if s.now < x.askAt {
		return
	}
	x.askAt = s.now.Add(min(askMin<<x.tries, askMax))
	x.tries = min(x.tries+1, 6)
	p := &s.env.Super.presence
	p.asks = append(p.asks, ask{name: name, peer: x.peer, held: x.held})
}

// listensFor reports whether nodes, this one included, are among the listeners, and
// supernodes that take this one for a replica.
func (t *topic) listensFor() (nodes, members bool) {
	for _, id := range t.listeners {
		nodes = nodes || id.kind() == forNodes
		members = members || id.kind() == forMembers
	}
	return nodes, members
}
