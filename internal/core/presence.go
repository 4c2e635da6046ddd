package core

import (
	"cmp"
	"slices"

	"github.com/ada420b6/overlay/internal/directory"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/sorted"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// Presence at a supernode (PROTOCOL.md section 7): who wants to be told whether the owner
// of a name is there, and how this supernode knows. Three may ask, one after the other:
//
//	a node -> its supernodes -> the first replicas of the name -> who holds the owner
//
// Each link is a subscription with the same two messages, each answer a word: the number
// of the newest record, and whether its owner is there. Who holds the owner says what it
// sees; a replica says what the record in its store says, unless all whom that lists say
// otherwise or are believed dead; a node's supernode says the newest of what the replicas
// say. Nobody is told what a subscriber has said, so that no two can keep a word alive
// between them.
//
// Nothing of it is kept for good. A subscription ends when it is not renewed; everything
// that a topic rests on is looked at again every few seconds, and what it takes to be told
// is asked for until it is answered. So whoever dies, comes late, or forgets is made up
// for in the same way. What is told to nodes is paced for each of them (listener.go).

// word is what is known of the owner of a name; the zero word is that of a name that
// nobody has seen a record of.
type word struct {
	seq  uint64
	here bool
}

// newer reports whether w overrules x: of one record, that its owner has gone, since who
// goes comes back with another.
func (w word) newer(x word) bool {
	return w.seq > x.seq || w.seq == x.seq && x.here && !w.here
}

// The words of a topic, by whom they are for.
const (
	forMembers = iota // supernodes that take this one for a replica
	forReplica        // replicas that ask whether this one holds the owner
	forNodes          // nodes that are attached here, and this one itself
	wordKinds
)

// topic is a name that somebody wants to be told of.
type topic struct {
	listeners []listenerID
	sources   []source
	to        directory.Ranking // of the name, while a node is among the listeners
	words     [wordKinds]word
	known     bool // the word for nodes means something
	ranked    bool // to is what the present roster says
	fresh     bool // in presence.fresh
}

// source is one whom this supernode asks about a topic.
type source struct {
	peer  ident.Handle
	inc   uint32 // as it was asked: a later one may have rebooted, and know nothing of it
	word  word
	askAt vtime.Time
	tries uint8
	held  bool // it is asked whether it holds the owner, else what it knows as a replica
	said  bool
}

// presence is all topics of a supernode.
type presence struct {
	names  []ident.NameID // sorted
	topics []*topic       // of names
	fresh  []ident.NameID // to be looked at now
	walk   int            // where the look-through goes on
	walkAt vtime.Time     // when it does
	ranks  int            // rankings that may still be worked out in this step
	asks   []ask          // what is to be asked at the end of this step
	moving []moving

	listeners []*listener // sorted by id
	tellAt    vtime.Time  // when somebody is to be told
	subs      int         // subscriptions of all listeners
	lapse     int         // the listener whose subscriptions are looked at next
	pace      vtime.Time  // moment up to which the pace has been spent
}

// ask is a name and whom to ask about it.
type ask struct {
	name ident.NameID
	peer ident.Handle
	held bool
}

// kind is the kind of word that is asked for.
func (a ask) kind() int {
	if a.held {
		return forReplica
	}
	return forMembers
}

const (
	// MaxWatched bounds the names that one node watches: four messages for the list.
	MaxWatched = 512
	// maxTopics and maxSubs bound a supernode's: 65 536 x 368 B = 24 MB, 262 144 x 48 B =
	// 13 MB. 400 nodes with 100 contacts each are 40 000 topics where no two know the same
	// people. Supernodes get half of either, so that nodes find room.
	maxTopics, maxSubs = 1 << 16, 1 << 18
	// maxMemberSubs bounds those of one supernode, of either kind; a quarter of it once three
	// quarters of what supernodes may have is taken, so that none of them takes all.
	maxMemberSubs = 1 << 14

	// nearest is how many of a name's replicas are asked. Two of them tell what the
	// third is too new to know.
	nearest = 3
	// walkEvery and walkPart set how fast topics are looked through: all within 2 s, and up
	// to walkLeast each time.
	walkEvery = vtime.Second / 2
	walkPart  = 4
	walkLeast = 256
	// rankBudget bounds the scores that are worked out in one step: 64 rankings of 25 000
	// members, 6 ms.
	rankBudget = 1_600_000
	// renewTogether is the rhythm in which subscriptions are renewed: 10 000 in 10 min, by
	// way of 15 others, are 20 names a message.
	renewTogether = 20 * vtime.Second
	// askMin and askMax bound the pause before a question is repeated that is not
	// answered.
	askMin = vtime.Second
	askMax = 32 * vtime.Second
	// presenceRate is how many messages a second are sent about presence in calm; a
	// quarter at each storm level above.
	presenceRate = 256
)

func (p *presence) find(name ident.NameID) (int, bool) { return sorted.Hash(p.names, name) }

func (p *presence) topic(name ident.NameID) *topic {
	if i, ok := p.find(name); ok {
		return p.topics[i]
	}
	return nil
}

func (p *presence) deadline() vtime.Time {
	if len(p.names)+len(p.listeners) == 0 {
		return vtime.Never
	}
	return vtime.Earlier(p.walkAt, p.tellAt)
}

// touched has a name looked at in this step: something has happened to it.
func (p *presence) touched(name ident.NameID) {
	if t := p.topic(name); t != nil && !t.fresh {
		t.fresh = true
		p.fresh = append(p.fresh, name)
	}
}

// joined and left say that the roster has changed.
func (p *presence) joined(id ident.ID) {
	for i, t := range p.topics {
		if t.ranked && t.to.Admits(directory.Score(epoch, id, p.names[i].Zone())) {
			t.ranked = false
		}
	}
}

func (p *presence) left(h ident.Handle) {
	for _, t := range p.topics {
		if t.to.Has(h) {
			t.ranked = false
		}
	}
}

// mayTell reports whether the pace allows one more message, two seconds' worth at once.
func (s *step) mayTell() bool {
	p := &s.env.Super.presence
	each := vtime.Second / presenceRate << (2 * s.storm())
	p.pace = vtime.Later(p.pace, s.now.Add(-2*vtime.Second))
	if p.pace.Add(each) > s.now {
		return false
	}
	p.pace = p.pace.Add(each)
	return true
}

// presenceDue looks at topics, asks what there is to ask, and tells who is to be told.
func (s *step) presenceDue() {
	p := &s.env.Super.presence
	if len(p.names)+len(p.listeners)+len(p.fresh) == 0 {
		return
	}
	p.ranks = max(1, rankBudget/(s.env.Super.roster.Usable()+1))
	for len(p.fresh) > 0 {
		name := p.fresh[len(p.fresh)-1]
		p.fresh = p.fresh[:len(p.fresh)-1]
		if t := p.topic(name); t != nil {
			t.fresh = false
			s.consider(name, t)
		}
	}
	if s.now >= p.walkAt {
		p.walkAt = s.now.Add(walkEvery)
		for range min(len(p.names), max(walkLeast, len(p.names)/walkPart)) {
			p.walk = (p.walk + 1) % len(p.names)
			s.consider(p.names[p.walk], p.topics[p.walk])
		}
		s.lapse()
	}
	s.askAll()
	if s.now >= p.tellAt {
		s.tellListeners()
	}
}

// askAll sends what was found to be asked in this step, many names in a message.
func (s *step) askAll() {
	p := &s.env.Super.presence
	slices.SortStableFunc(p.asks, func(a, b ask) int {
		return cmp.Compare(newListenerID(a.peer, a.kind()), newListenerID(b.peer, b.kind()))
	})
	for i := 0; i < len(p.asks); {
		first := p.asks[i]
		m := wire.Subscribe{Mode: wire.SubscribeReplica}
		if first.held {
			m.Mode = wire.SubscribeHeld
		}
		for i < len(p.asks) && p.asks[i].peer == first.peer && p.asks[i].held == first.held && m.Names.Add(p.asks[i].name) {
			i++
		}
		if s.mayTell() { // else it is asked again in its time
			s.out.send(first.peer, m.Append(s.out.begin(), s.env.Book), false)
		}
	}
	p.asks = p.asks[:0]
}

func (p *presence) refer(mark func(ident.Handle)) {
	for _, t := range p.topics {
		for i := range t.sources {
			mark(t.sources[i].peer)
		}
		for _, h := range t.to.All() {
			mark(h)
		}
	}
	for _, l := range p.listeners {
		mark(l.id.peer())
	}
}
