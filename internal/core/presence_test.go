package core

import (
	"testing"
	"unsafe"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// pair is a network in which a supernode holds a node, and another node watches nobody yet.
func pair(t *testing.T) (l *lab, super, node, other ident.Handle) {
	l = newLab(t, 12)
	for i := range 12 {
		l.start(ident.Handle(i+1), 0)
	}
	l.run(3 * vtime.Minute)
	for _, h := range l.upAll() {
		if x := l.host(h); x.env.Super == nil && x.node.count() > 0 {
			node, other = h, node
			super = x.node.at[0].peer
		}
	}
	if node == ident.None || other == ident.None {
		t.Fatalf("no two ordinary nodes: %s", l.describe())
	}
	return l, super, node, other
}

func (l *lab) nameOf(h ident.Handle) ident.NameID { return l.host(h).node.name }

func (l *lab) watches(h ident.Handle, names ...ident.NameID) {
	for _, name := range names {
		l.step(h, Input{Kind: InputWatch, Name: name})
	}
}

// subscribe is a message that asks for names.
func subscribe(mode wire.SubscribeMode, names ...ident.NameID) []byte {
	m := wire.Subscribe{Mode: mode, Limit: 1 << 10}
	for _, name := range names {
		m.Names.Add(name)
	}
	return m.Append(nil, labBook{})
}

// TestWhoMaySubscribe: a supernode listens to nodes that it holds and to supernodes that it
// knows, to each in their own way, and to nobody else.
func TestWhoMaySubscribe(t *testing.T) {
	l, super, node, other := pair(t)
	p := &l.host(super).env.Super.presence
	var stranger, member ident.Handle
	for _, h := range l.upAll() {
		switch x := l.host(h); {
		case x.env.Super != nil && h != super:
			member = h
		case x.env.Super == nil && !l.host(super).env.Super.Holds(h):
			stranger = h
		}
	}
	for _, try := range []struct {
		from ident.Handle
		mode wire.SubscribeMode
		subs int
	}{
		{stranger, wire.SubscribeAnew, 0},
		{stranger, wire.SubscribeAlso, 0},
		{stranger, wire.SubscribeReplica, 0},
		{stranger, wire.SubscribeHeld, 0},
		{node, wire.SubscribeReplica, 0},
		{node, wire.SubscribeHeld, 0},
		{member, wire.SubscribeAnew, 0},
		{node, wire.SubscribeAnew, 1},
		{member, wire.SubscribeReplica, 2},
		{member, wire.SubscribeHeld, 3},
	} {
		if try.from == ident.None {
			continue // there is none of this kind in so small a network
		}
		l.hears(super, try.from, false, subscribe(try.mode, l.nameOf(other)))
		if p.subs != try.subs {
			t.Errorf("%d subscriptions after mode %d of %d, want %d", p.subs, try.mode, try.from, try.subs)
		}
	}
	if member == ident.None {
		t.Error("there is one supernode only")
	}
}

// TestSubscriptionsAreBounded: what a node or a supernode asks for beyond its share is not
// entered, and what is not renewed ends.
func TestSubscriptionsAreBounded(t *testing.T) {
	l, super, node, _ := pair(t)
	p := &l.host(super).env.Super.presence
	var member ident.Handle
	for _, h := range l.upAll() {
		if l.host(h).env.Super != nil && h != super {
			member = h
		}
	}
	ask := func(from ident.Handle, mode wire.SubscribeMode, n int) {
		for k := 0; k < n; k += wire.MaxNames {
			var names []ident.NameID
			for j := range wire.MaxNames {
				names = append(names, ident.NameID(k+j+1)*0x9e3779b97f4a7c15)
			}
			l.hears(super, from, false, subscribe(mode, names...))
		}
	}
	ask(node, wire.SubscribeAlso, 2*MaxWatched)
	if p.subs != MaxWatched {
		t.Errorf("a node has %d subscriptions, at most %d are allowed", p.subs, MaxWatched)
	}
	ask(member, wire.SubscribeHeld, maxMemberSubs+wire.MaxNames)
	if p.subs != MaxWatched+maxMemberSubs {
		t.Errorf("%d subscriptions with those of a supernode, at most %d are allowed", p.subs, MaxWatched+maxMemberSubs)
	}
	l.crash(node)
	l.crash(member)
	l.run(65 * vtime.Minute) // theirs end after 30 min, and those that these led to as long after
	if p.subs != 0 || len(p.names) != 0 || len(p.listeners) != 0 {
		t.Errorf("%d subscriptions to %d names of %d listeners are left of those that are gone", p.subs, len(p.names), len(p.listeners))
	}
}

// TestOneSupernodeLeavesRoom: a supernode that asks for all that it may does not keep
// another one from asking.
func TestOneSupernodeLeavesRoom(t *testing.T) {
	l, super, _, _ := pair(t)
	p := &l.host(super).env.Super.presence
	var members []ident.Handle
	for _, h := range l.upAll() {
		if l.host(h).env.Super != nil && h != super {
			members = append(members, h)
		}
	}
	if len(members) < 2 {
		t.Fatal("too few supernodes")
	}
	next := 0
	ask := func(from ident.Handle, mode wire.SubscribeMode, n int) {
		for range n / wire.MaxNames {
			var names []ident.NameID
			for range wire.MaxNames {
				next++
				names = append(names, ident.NameID(next)*0x9e3779b97f4a7c15)
			}
			l.hears(super, from, false, subscribe(mode, names...))
		}
	}
	ask(members[0], wire.SubscribeHeld, 2*maxMemberSubs)
	ask(members[0], wire.SubscribeReplica, 2*maxMemberSubs)
	had := p.subs
	const wanted = 8 * wire.MaxNames
	ask(members[1], wire.SubscribeReplica, wanted)
	if got := p.subs - had; got != wanted || had < maxMemberSubs {
		t.Errorf("%d of %d names are taken beside %d of one other supernode", got, wanted, had)
	}
}

// TestPresenceIsGranted: a supernode sends a node no more about its contacts than that has
// granted, however often they come and go; nor more than a node ever grants at once, or
// who grants without end would have all that supernodes send about presence.
func TestPresenceIsGranted(t *testing.T) {
	for _, limit := range []uint32{103, 1 << 30, 99} {
		l, super, node, other := pair(t)
		m := wire.Subscribe{Mode: wire.SubscribeAnew, Serial: 100, Limit: limit}
		m.Names.Add(l.nameOf(other))
		l.hears(super, node, false, m.Append(nil, labBook{}))
		told := 0
		l.lose = func(from, to ident.Handle, b []byte) bool {
			if from == super && to == node && wire.KindOf(b) == wire.KindPresence {
				told++
			}
			return false
		}
		for range 10 {
			l.crash(other)
			l.run(vtime.Minute)
			l.start(other, 0)
			l.run(vtime.Minute)
		}
		if told != 3 {
			t.Errorf("told %d times with a limit of %d, 3 were granted", told, limit)
		}
	}
}

// TestUnaskedPresence: the word of who was not asked counts for nothing, at a node and at a
// supernode.
func TestUnaskedPresence(t *testing.T) {
	l, super, node, other := pair(t)
	name := l.nameOf(other)
	l.watches(node, name)
	l.run(5 * vtime.Second)
	lie := wire.Presence{Serial: 1 << 20}
	lie.Words.Add(wire.Word{Name: name, Seq: 1 << 60})
	b := lie.Append(nil, labBook{})
	w := l.host(node).env.Watching
	for serial := uint32(1); serial < 40; serial++ {
		m := lie
		m.Serial = w.by[0].serial + serial
		l.hears(node, other, false, m.Append(nil, labBook{}))
	}
	for _, h := range []ident.Handle{node, other} {
		l.hears(super, h, false, b)
	}
	l.run(5 * vtime.Second)
	if x := w.seen[0]; x.shown != PresenceHere {
		t.Errorf("seen as %d after lies of those who have no say: %+v", x.shown, x)
	}
}

// TestLookingThroughDoesNotAllocate: what a supernode does for presence every half second
// takes no memory as long as nothing changes.
func TestLookingThroughDoesNotAllocate(t *testing.T) {
	l, super, node, other := pair(t)
	l.watches(node, l.nameOf(other), l.nameOf(node), l.nameOf(super), 12345)
	l.run(10 * vtime.Second)
	x := l.host(super)
	if len(x.env.Super.presence.names) < 4 {
		t.Fatalf("%d topics", len(x.env.Super.presence.names))
	}
	s := step{n: &x.node, env: &x.env, p: x.env.Policy, now: l.now, out: &x.out}
	if n := testing.AllocsPerRun(100, func() {
		x.out.Reset()
		x.env.Super.presence.walkAt = s.now
		s.presenceDue()
	}); n > 0 {
		t.Errorf("%.1f allocations each time", n)
	}
}

// TestNewNamesArePaced: a node that has new names looked after all the time gets MaxWatched
// at once, and one a second; the network is not asked more for it.
func TestNewNamesArePaced(t *testing.T) {
	l, super, node, _ := pair(t)
	p := &l.host(super).env.Super.presence
	next, seen := ident.NameID(1), make(map[ident.NameID]bool)
	for range 60 {
		for mode := range wire.SubscribeReplica { // anew, and also
			var names []ident.NameID
			for range wire.MaxNames {
				names = append(names, next*0x9e3779b97f4a7c15)
				next++
			}
			l.hears(super, node, false, subscribe(mode, names...))
		}
		l.run(vtime.Second)
		for _, name := range p.names {
			seen[name] = true
		}
	}
	if n := len(seen); n < MaxWatched || n > MaxWatched+80 {
		t.Errorf("%d names were looked after in a minute", n)
	}
}

// TestWatchesItself: a supernode watches too, and what it does not watch any more makes room.
func TestWatchesItself(t *testing.T) {
	l, super, _, other := pair(t)
	for k := range 3 * MaxWatched {
		name := ident.NameID(k+1) * 0x9e3779b97f4a7c15
		l.step(super, Input{Kind: InputWatch, Name: name})
		l.step(super, Input{Kind: InputUnwatch, Name: name})
	}
	l.run(20 * vtime.Second)
	l.watches(super, l.nameOf(other))
	l.run(vtime.Second)
	if x := l.host(super); len(x.env.Super.presence.listeners) == 0 || x.env.Watching.seen[0].shown != PresenceHere {
		t.Errorf("seen as %d", x.env.Watching.seen[0].shown)
	}
	p := &l.host(super).env.Super.presence
	if i, ok := p.listener(newListenerID(ident.None, forNodes)); !ok || len(p.listeners[i].names) != 1 {
		t.Errorf("what is watched no more is not forgotten: %+v", p.listeners)
	}
}

// TestPresenceIsPutOff: a storm level of one or two leaves a quarter of the messages each.
func TestPresenceIsPutOff(t *testing.T) {
	l, super, node, _ := pair(t)
	x := l.host(super)
	s := step{n: &x.node, env: &x.env, p: x.env.Policy, now: l.now, out: &x.out}
	inASecond := func() (n int) {
		for s.mayTell() {
		}
		for range 1000 {
			if s.now = s.now.Add(vtime.Millisecond); s.mayTell() {
				n++
			}
		}
		return n
	}
	calm := inASecond()
	for level := uint8(1); level <= 2; level++ {
		for k := uint64(0); s.storm() < level && k < 5000; k++ {
			l.now = s.now.Add(vtime.Millisecond) // levels are looked at as time passes
			s.now = l.now
			m := wire.Probe{Nonce: k + 1, Class: wire.ClassOrphan}
			l.step(super, Input{Kind: InputMessage, Plain: true, From: node, Origin: k, Bytes: m.Append(nil, labBook{})})
		}
		if s.storm() != level {
			t.Fatalf("storm level %d after so many asked", s.storm())
		}
		if n := inASecond(); n > calm>>(2*level)+1 || n < calm>>(2*level)-1 {
			t.Errorf("%d messages a second at storm level %d, %d in calm", n, level, calm)
		}
	}
}

// TestTopicSize is what the bounds of presence are worked out from.
func TestTopicSize(t *testing.T) {
	topicBytes := unsafe.Sizeof(topic{}) + (nearest+2)*unsafe.Sizeof(source{}) + 2*unsafe.Sizeof(listenerID(0)) + 16
	subBytes := unsafe.Sizeof(subscription{}) + 8 + unsafe.Sizeof(listenerID(0))
	t.Logf("a topic takes %d bytes with all sources, a subscription %d", topicBytes, subBytes)
	if topicBytes > 400 || subBytes > 64 {
		t.Errorf("a topic takes %d bytes, a subscription %d", topicBytes, subBytes)
	}
}

// TestListComesTwice: a copy of a list that comes late changes nothing. Were the numbers of
// what is told to begin once more, a node would take the next for what it has.
func TestListComesTwice(t *testing.T) {
	l, super, node, other := pair(t)
	m := wire.Subscribe{Mode: wire.SubscribeAnew, Serial: 100, Limit: 103}
	m.Names.Add(l.nameOf(other))
	last := uint32(0)
	l.lose = func(from, to ident.Handle, b []byte) bool {
		var p wire.Presence
		if from == super && to == node && p.Parse(b, labBook{}) == nil {
			if p.Serial <= last {
				t.Errorf("number %d is told after %d", p.Serial, last)
			}
			last = p.Serial
		}
		return false
	}
	for range 2 {
		l.hears(super, node, false, m.Append(nil, labBook{}))
		l.run(vtime.Second)
	}
	l.crash(other)
	l.run(vtime.Minute)
	if last < 102 {
		t.Errorf("the last number is %d, and two things were to be told", last)
	}
}
