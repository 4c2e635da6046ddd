package core

import (
	"slices"

	"github.com/ada420b6/overlay/internal/directory"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/sorted"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// How subscriptions come and go at a supernode, and what comes of its own.

// onSubscribe takes what a node that is attached here, or a supernode, wants to be told.
func (s *step) onSubscribe() {
	sn := s.env.Super
	var m wire.Subscribe
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	if m.Mode == wire.SubscribeAnew || m.Mode == wire.SubscribeAlso {
		if _, ok := sn.find(s.in.From); !ok {
			s.sayNotAttached(0)
			return
		}
		s.listen(newListenerID(s.in.From, forNodes), &m)
		return
	}
	if !sn.roster.Has(s.in.From) {
		s.n.bad++
		s.meet(s.in.From) // it may be a supernode that this one has not heard of
		return
	}
	kind := forMembers
	if m.Mode == wire.SubscribeHeld {
		kind = forReplica
	}
	s.listen(newListenerID(s.in.From, kind), &m)
}

// listen enters a subscription.
func (s *step) listen(id listenerID, m *wire.Subscribe) {
	p := &s.env.Super.presence
	i, ok := p.listener(id)
	if !ok {
		l := &listener{id: id, dueAt: vtime.Never, again: vtime.Never, added: s.now.Add(-MaxWatched * nameEvery)}
		p.listeners = slices.Insert(p.listeners, i, l)
	}
	l := p.listeners[i]
	if m.Mode == wire.SubscribeAnew { // what is not named again ends
		if ok && l.list == m.Serial {
			return // a copy, late: what was told since would be told again under numbers that are used up
		}
		l.list, l.serial, l.limit = m.Serial, m.Serial, m.Serial+min(m.Limit-m.Serial, tellAhead)
		for j := range l.subs {
			l.subs[j].until = s.now.Add(anewWithin)
		}
	}
	for _, name := range m.Names.All() {
		s.subscribe(l, name)
	}
	s.dueIn(l, firstPause)
}

// subscribe enters one name of a listener, or renews it: it is told in any case.
func (s *step) subscribe(l *listener, name ident.NameID) {
	p := &s.env.Super.presence
	until := vtime.Never
	if l.id.kind() != forNodes {
		until = s.now.Add(3 * s.p.RecordRefresh)
	}
	j, ok := sorted.Hash(l.names, name)
	if ok {
		l.subs[j].until, l.subs[j].sent, l.subs[j].sure = until, false, false
		return
	}
	if name == 0 || !p.room(l) || !l.mayAdd(s.now) {
		return
	}
	i, ok := p.find(name)
	if !ok {
		if len(p.names) == 0 {
			p.walkAt = s.now.Add(walkEvery)
		}
		p.names = slices.Insert(p.names, i, name)
		p.topics = slices.Insert(p.topics, i, &topic{})
	}
	l.names = slices.Insert(l.names, j, name)
	l.subs = slices.Insert(l.subs, j, subscription{until: until})
	p.topics[i].listeners = append(p.topics[i].listeners, l.id)
	p.subs++
	p.touched(name)
}

// mayAdd reports whether a node may have a name looked after that it has not lately: each is
// asked about at several supernodes.
func (l *listener) mayAdd(now vtime.Time) bool {
	if l.id.kind() != forNodes {
		return true
	}
	l.added = vtime.Later(l.added, now.Add(-MaxWatched*nameEvery))
	if l.added.Add(nameEvery) > now {
		return false
	}
	l.added = l.added.Add(nameEvery)
	return true
}

// room reports whether l may have one name more.
func (p *presence) room(l *listener) bool {
	if l.id.kind() == forNodes {
		return len(l.names) < MaxWatched && p.subs < maxSubs && len(p.names) < maxTopics
	}
	most := maxMemberSubs
	if p.subs >= maxSubs*3/8 || len(p.names) >= maxTopics*3/8 {
		most /= 4
	}
	return len(l.names) < most && p.subs < maxSubs/2 && len(p.names) < maxTopics/2
}

// onPresence takes the word of one who was asked.
func (s *step) onPresence() {
	sn := s.env.Super
	if sn == nil || !sn.roster.Has(s.in.From) {
		s.n.bad++
		return
	}
	var m wire.Presence
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	for _, w := range m.Words.All() {
		t := sn.presence.topic(w.Name)
		if t == nil {
			continue // nobody wants to know any more
		}
		for i := range t.sources {
			if x := &t.sources[i]; x.peer == s.in.From && x.held == m.Held {
				x.word, x.said, x.tries = word{w.Seq, w.Here}, true, 0
				x.askAt = s.renewAt()
				sn.presence.touched(w.Name)
			}
		}
	}
	a := wire.PresenceAck{Serial: m.Serial, Held: m.Held}
	s.out.send(s.in.From, a.Append(s.out.begin(), s.env.Book), false)
}

// renewAt is when a subscription is renewed: it lasts three times as long. Those of one
// renewTogether go out together.
func (s *step) renewAt() vtime.Time {
	each := s.p.RecordRefresh
	at := s.now.Add(vtime.Duration(s.n.rng.Between(int64(each-each/5), int64(each+each/5))))
	return at.Add(-(at.Sub(s.env.Super.since) % renewTogether))
}

// onPresenceAck takes the confirmation of a supernode.
func (s *step) onPresenceAck() {
	p := &s.env.Super.presence
	var m wire.PresenceAck
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	kind := forMembers
	if m.Held {
		kind = forReplica
	}
	i, ok := p.listener(newListenerID(s.in.From, kind))
	if !ok {
		return
	}
	l := p.listeners[i]
	l.tries = 0
	for j := range l.subs {
		if x := &l.subs[j]; x.sent && x.serial == m.Serial {
			x.sure = true
		}
	}
}

// lapse ends subscriptions that were not renewed, of a part of the listeners.
func (s *step) lapse() {
	p := &s.env.Super.presence
	for range len(p.listeners)/lapsePart + 1 {
		if len(p.listeners) == 0 {
			return
		}
		p.lapse = (p.lapse + 1) % len(p.listeners)
		l := p.listeners[p.lapse]
		for j := len(l.names) - 1; j >= 0; j-- {
			if l.subs[j].until <= s.now {
				p.unsubscribe(l, j)
			}
		}
		if len(l.names) == 0 && l.id.kind() != forNodes {
			p.listeners = slices.Delete(p.listeners, p.lapse, p.lapse+1)
		}
	}
}

// deaf forgets a listener: it is attached here no longer.
func (s *step) deaf(id listenerID) {
	p := &s.env.Super.presence
	i, ok := p.listener(id)
	if !ok {
		return
	}
	for _, name := range p.listeners[i].names {
		p.dropFrom(name, id)
	}
	p.listeners = slices.Delete(p.listeners, i, i+1)
}

// unsubscribe takes the j-th name of a listener away.
func (p *presence) unsubscribe(l *listener, j int) {
	p.dropFrom(l.names[j], l.id)
	l.names = slices.Delete(l.names, j, j+1)
	l.subs = slices.Delete(l.subs, j, j+1)
}

// dropFrom takes a listener from a topic, and the topic away when it was the last.
func (p *presence) dropFrom(name ident.NameID, id listenerID) {
	i, ok := p.find(name)
	if !ok {
		return
	}
	t := p.topics[i]
	t.listeners = slices.DeleteFunc(t.listeners, func(x listenerID) bool { return x == id })
	p.subs--
	if len(t.listeners) == 0 {
		p.names = slices.Delete(p.names, i, i+1)
		p.topics = slices.Delete(p.topics, i, i+1)
	} else if nodes, _ := t.listensFor(); !nodes {
		t.to, t.ranked = directory.Ranking{}, false
	}
}
