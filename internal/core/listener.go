package core

import (
	"slices"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/sorted"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// Who is told. What changes within tellPause is told together. A supernode confirms what
// it is told, and is told again until it has. A node does not: its packets are counted,
// since in a storm all of its contacts come and go. It says itself how often it may be told
// (watching.go), and how often it was is in each answer to its keepalives, so that it asks
// again when it has missed something.

// listenerID is a peer with the kind of word that it is told. None is this node itself.
type listenerID uint64

func newListenerID(peer ident.Handle, kind int) listenerID {
	return listenerID(peer)<<2 | listenerID(kind)
}

func (id listenerID) peer() ident.Handle { return ident.Handle(id >> 2) }
func (id listenerID) kind() int          { return int(id & 3) }

// listener is one who is told, and of what.
type listener struct {
	id     listenerID
	names  []ident.NameID // sorted
	subs   []subscription // of names
	serial uint32         // of the last message to it
	list   uint32         // of a node: the number that its list began with
	dueAt  vtime.Time     // when it is told next, Never when there is nothing to tell
	limit  uint32         // of a node: the last serial that it allows
	added  vtime.Time     // of a node: moment up to which its allowance of new names has been spent
	again  vtime.Time     // of a supernode: when what it has not confirmed is repeated
	tries  uint8          // repetitions in a row
}

// subscription is one name of a listener.
type subscription struct {
	until  vtime.Time // Never for a node: its attachment ends it, or another list
	told   word
	serial uint32 // of the message that said so
	sent   bool   // told has been sent
	sure   bool   // and confirmed
}

const (
	tellPause = vtime.Second / 10
	// firstPause is how long a new subscription is not answered: by then who holds the
	// owner has said so.
	firstPause = 3 * tellPause
	// nameEvery is how often a node may have another name looked after, once it has had
	// MaxWatched.
	nameEvery = vtime.Second
	// anewWithin is how long the other parts of a list that begins anew may take.
	anewWithin = 10 * vtime.Second
	// lapsePart is what part of the listeners is looked at in each walkEvery.
	lapsePart = 16
)

func (p *presence) listener(id listenerID) (int, bool) {
	return slices.BinarySearchFunc(p.listeners, id, func(l *listener, id listenerID) int {
		switch {
		case l.id < id:
			return -1
		case l.id > id:
			return 1
		}
		return 0
	})
}

// tellSoon has the listeners of a topic told of what has changed.
func (s *step) tellSoon(t *topic) {
	p := &s.env.Super.presence
	for _, id := range t.listeners {
		if i, ok := p.listener(id); ok {
			s.dueIn(p.listeners[i], tellPause)
		}
	}
}

// dueIn has a listener told within d, unless it is in its time already.
func (s *step) dueIn(l *listener, d vtime.Duration) {
	p := &s.env.Super.presence
	l.dueAt = vtime.Earlier(l.dueAt, s.now.Add(d))
	p.tellAt = vtime.Earlier(p.tellAt, l.dueAt)
}

// tellListeners tells all whose time has come.
func (s *step) tellListeners() {
	p := &s.env.Super.presence
	p.tellAt = vtime.Never
	for _, l := range p.listeners {
		if s.now >= l.dueAt {
			l.dueAt = vtime.Never
			s.tellListener(l)
		}
		p.tellAt = vtime.Earlier(p.tellAt, l.dueAt)
	}
}

// tellListener sends one message with what a listener does not know yet.
func (s *step) tellListener(l *listener) {
	kind := l.id.kind()
	m := wire.Presence{Serial: l.serial + 1, Held: kind == forReplica}
	more, unsure := false, false
	for j, name := range l.names {
		t, x := s.env.Super.presence.topic(name), &l.subs[j]
		w := t.words[kind]
		if kind == forNodes && !t.known || x.knows(w, kind) {
			continue
		}
		if kind != forNodes && x.sent && x.told == w && s.now < l.again {
			unsure = true
			continue
		}
		if !m.Words.Add(wire.Word{Name: name, Seq: w.seq, Here: w.here}) {
			more = true
			break
		}
	}
	if len(m.Words.All()) == 0 {
		if unsure {
			l.dueAt = l.again
		}
		return
	}
	if l.id.peer() == ident.None {
		s.tellSelf(&m)
	} else if kind == forNodes && l.serial == l.limit {
		return // until it raises the limit
	} else if kind != forNodes && !s.believed(l.id.peer()) {
		l.dueAt = s.now.Add(askMax) // should the tier be wrong
		return
	} else if !s.mayTell() {
		l.dueAt = s.now.Add(vtime.Duration(s.n.rng.Between(int64(vtime.Second/4), int64(vtime.Second))))
		return
	} else {
		s.out.send(l.id.peer(), m.Append(s.out.begin(), s.env.Book), false)
	}
	l.serial++
	for _, w := range m.Words.All() {
		j, _ := sorted.Hash(l.names, w.Name)
		l.subs[j].told, l.subs[j].serial, l.subs[j].sent, l.subs[j].sure = word{w.Seq, w.Here}, l.serial, true, false
	}
	if kind != forNodes {
		if !unsure || s.now >= l.again {
			l.again = s.now.Add(min(askMin<<l.tries, askMax))
			l.tries = min(l.tries+1, 6)
		}
		l.dueAt = l.again
	}
	if more {
		l.dueAt = s.now.Add(tellPause)
	}
}

// knows reports whether a listener need not be told w. A node is told who comes and goes,
// not of every record in between: both of its supernodes end at the same word.
func (x *subscription) knows(w word, kind int) bool {
	if kind == forNodes {
		return x.sent && x.told.here == w.here
	}
	return x.sent && x.sure && x.told == w
}

// raise takes a node's word on how often it may be told: the lowest byte of the limit, which
// is little above what was sent.
func (s *step) raise(peer ident.Handle, limit uint8) {
	p := &s.env.Super.presence
	if len(p.listeners) == 0 {
		return
	}
	i, ok := p.listener(newListenerID(peer, forNodes))
	if !ok {
		return
	}
	l := p.listeners[i]
	ahead := limit - uint8(l.serial)
	if more := l.serial + uint32(ahead); ahead <= tellAhead && int32(more-l.limit) > 0 {
		l.limit = more
		s.dueIn(l, tellPause)
	}
}

// toldOf returns how often a node that is attached here was told.
func (s *step) toldOf(peer ident.Handle) uint32 {
	p := &s.env.Super.presence
	if len(p.listeners) == 0 {
		return 0
	}
	if i, ok := p.listener(newListenerID(peer, forNodes)); ok {
		return p.listeners[i].serial
	}
	return 0
}
