package core

import (
	"slices"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/sorted"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// Presence as a node sees it (PROTOCOL.md section 7). It hands the list of names that it
// watches to both of its supernodes, so that the death of one costs it nothing, and takes
// the newer of their words. What a supernode has said counts as long as the attachment
// stands. A node without an attachment knows nothing of anybody, and says so: a peer that
// has gone is told apart from a network that has.

// Presence is what is known of a watched name.
type Presence uint8

// The states.
const (
	PresenceNone    Presence = iota // nobody has said anything yet
	PresenceUnknown                 // this node is not attached
	PresenceGone                    // the owner of the name is not attached, or there is none
	PresenceHere                    // it is attached
)

// Watching is the names that a node watches, and what it knows of their owners. It hangs
// apart from Node because few watch anybody.
type Watching struct {
	names []ident.NameID // sorted
	seen  []seen         // of names
	by    [2]teller      // of the attachments
	spent vtime.Time     // moment up to which the budget has been spent
}

// seen is what is known of one name.
type seen struct {
	words [2]word // by attachment
	said  [2]bool
	shown Presence
}

// teller is a supernode that tells, or is to tell.
type teller struct {
	peer   ident.Handle
	token  uint32 // of the attachment
	serial uint32 // of the last message that came
	told   uint32 // of the last that was sent, as its keepalive says
	limit  uint32 // it may send none after this
	missed bool   // something was told that did not come
	asked  bool   // a list has been sent
	tries  uint8  // in a row
	askAt  vtime.Time
}

// A node's packets about presence, sent and received, are at most 30 in any minute, with up
// to 128 names: it says how many may be sent to it. Each supernode may have tellAhead in
// hand, so 6 of before; everything else is granted from a budget of budgetMost that gains
// one in budgetEvery: 9 and 15 in a minute and the half that a supernode may hold a node
// that it can't hear.
const (
	tellAhead   = 3
	budgetMost  = 9
	budgetEvery = 6 * vtime.Second
	// watchSoon is how long names that are watched are gathered before the list goes out.
	watchSoon = vtime.Second / 20
	// overdue is how long after a keepalive said so something may still be on its way.
	overdue = vtime.Second
	// watchMin and watchMax bound the pause before a list is sent again because something
	// is missing.
	watchMin = 2 * vtime.Second
	watchMax = 4 * vtime.Minute
)

// deadline is that of a node that does not serve: a supernode tells itself.
func (w *Watching) deadline() vtime.Time {
	t := vtime.Never
	for i := range w.by {
		if x := &w.by[i]; x.peer != ident.None && w.wanting(i) {
			t = vtime.Earlier(t, vtime.Later(x.askAt, w.allowedAt(w.cost(i))))
		}
	}
	return t
}

// allowedAt is when the budget has n packets.
func (w *Watching) allowedAt(n int) vtime.Time { return w.spent.Add(vtime.Duration(n) * budgetEvery) }

// left is how many packets the budget has.
func (w *Watching) left(now vtime.Time) int {
	return int(min(budgetMost, now.Sub(w.spent)/budgetEvery))
}

func (w *Watching) spend(n int, now vtime.Time) {
	w.spent = vtime.Later(w.spent, now.Add(-budgetMost*budgetEvery)).Add(vtime.Duration(n) * budgetEvery)
}

// wanting reports whether attachment i's supernode owes a word.
func (w *Watching) wanting(i int) bool {
	x := &w.by[i]
	if !x.asked || x.missed || x.told != x.serial {
		return true
	}
	for j := range w.seen {
		if !w.seen[j].said[i] {
			return true
		}
	}
	return false
}

// anew reports whether attachment i's supernode is to get the whole list: it has none, or
// something got lost. Else names were added, and are sent alone.
func (w *Watching) anew(i int) bool {
	x := &w.by[i]
	return !x.asked || x.missed || x.told != x.serial || x.tries > 0
}

// cost is what asking it takes of the budget: the messages of the list, and a first grant
// with one that begins anew.
func (w *Watching) cost(i int) int {
	if w.anew(i) {
		return parts(len(w.names)) + tellAhead
	}
	n := 0
	for j := range w.seen {
		if !w.seen[j].said[i] {
			n++
		}
	}
	return parts(n)
}

// parts is how many messages take n names.
func parts(n int) int { return (n + wire.MaxNames - 1) / wire.MaxNames }

// watchName takes the application's wish to be told of a name.
func (s *step) watchName() {
	if s.env.Watching == nil {
		s.env.Watching = &Watching{spent: s.now.Add(-budgetMost * budgetEvery)}
	}
	w := s.env.Watching
	j, ok := sorted.Hash(w.names, s.in.Name)
	if ok || s.in.Name == 0 || len(w.names) == MaxWatched {
		return
	}
	w.names = slices.Insert(w.names, j, s.in.Name)
	w.seen = slices.Insert(w.seen, j, seen{})
	for i := range w.by {
		w.by[i].tries, w.by[i].askAt = 0, s.now.Add(watchSoon)
	}
	if w.by[0].peer == s.n.self {
		s.watchHere(s.in.Name)
	}
}

// unwatchName ends it. The supernodes learn of it with the next list.
func (s *step) unwatchName() {
	w := s.env.Watching
	if w == nil {
		return
	}
	if j, ok := sorted.Hash(w.names, s.in.Name); ok {
		w.names = slices.Delete(w.names, j, j+1)
		w.seen = slices.Delete(w.seen, j, j+1)
	}
	if s.env.Super != nil {
		s.watchNoMore(s.in.Name)
	}
	if len(w.names) == 0 {
		s.env.Watching = nil
	}
}

// watchNoMore ends what this supernode tells itself of a name.
func (s *step) watchNoMore(name ident.NameID) {
	p := &s.env.Super.presence
	if i, ok := p.listener(newListenerID(ident.None, forNodes)); ok {
		if j, ok := sorted.Hash(p.listeners[i].names, name); ok {
			p.unsubscribe(p.listeners[i], j)
		}
	}
}

// watchHere has this supernode tell itself.
func (s *step) watchHere(names ...ident.NameID) {
	m := wire.Subscribe{Mode: wire.SubscribeAlso}
	for _, name := range names {
		if !m.Names.Add(name) {
			s.listen(newListenerID(ident.None, forNodes), &m)
			m.Names = wire.Names{}
			m.Names.Add(name)
		}
	}
	s.listen(newListenerID(ident.None, forNodes), &m)
}

// watchDue follows the attachments, and asks the supernodes for what is missing.
func (s *step) watchDue() {
	w := s.env.Watching
	for i := range w.by {
		s.follow(i)
	}
	if s.n.count() == 0 && s.env.Super == nil {
		for j := range w.seen {
			s.show(j, PresenceUnknown)
		}
		return
	}
	if s.env.Super != nil {
		return
	}
	for i := range w.by {
		x := &w.by[i]
		if x.peer == ident.None || s.now < x.askAt || s.now < w.allowedAt(w.cost(i)) || !w.wanting(i) {
			continue
		}
		anew := w.anew(i)
		w.spend(w.cost(i), s.now)
		x.askAt = s.now.Add(min(watchMin<<x.tries, watchMax))
		x.tries = min(x.tries+1, 7)
		if anew {
			x.missed, x.asked = false, true
			x.serial += serialStep // what was sent to the list before counts no more
			x.serial -= x.serial % serialStep
			x.told, x.limit = x.serial, x.serial+tellAhead
		}
		s.sendList(i, anew)
	}
}

// follow makes attachment i's supernode the one that tells.
func (s *step) follow(i int) {
	w, at := s.env.Watching, &s.n.at[i]
	peer, token := at.peer, at.token
	if s.env.Super != nil {
		peer, token = ident.None, 0
		if i == 0 {
			peer = s.n.self
		}
	}
	if x := &w.by[i]; x.peer == peer && x.token == token {
		return
	}
	w.by[i] = teller{peer: peer, token: token, askAt: s.now.Add(watchSoon)}
	for j := range w.seen {
		w.seen[j].words[i], w.seen[j].said[i] = word{}, false
	}
	if peer == s.n.self {
		s.watchHere(w.names...)
		return
	}
	for j := range w.seen {
		s.judge(j)
	}
}

// serialStep is more than what is sent for one list in its time.
const serialStep = 1 << 20

// sendList subscribes to all names, or to those that were added since.
func (s *step) sendList(i int, anew bool) {
	w, x := s.env.Watching, &s.env.Watching.by[i]
	m := wire.Subscribe{Mode: wire.SubscribeAlso}
	if anew {
		m = wire.Subscribe{Mode: wire.SubscribeAnew, Serial: x.serial, Limit: x.limit}
	}
	for j, name := range w.names {
		if !anew && w.seen[j].said[i] {
			continue
		}
		if !m.Names.Add(name) {
			s.out.send(x.peer, m.Append(s.out.begin(), s.env.Book), false)
			m = wire.Subscribe{Mode: wire.SubscribeAlso}
			m.Names.Add(name)
		}
	}
	s.out.send(x.peer, m.Append(s.out.begin(), s.env.Book), false)
}
