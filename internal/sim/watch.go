package sim

import (
	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// watcher is a node's application that watches names. It does so again whenever its
// process comes up.
type watcher struct {
	names []ident.NameID
	seen  map[ident.NameID]core.Presence
	tell  func(name ident.NameID, p core.Presence)

	// The moments of its packets about presence in the last minute.
	packets []vtime.Time
	most    int
}

// WatchNames lets node i watch names, as long as the simulation lasts. tell, if it is not nil,
// is called with each change.
func (s *Sim) WatchNames(i int, tell func(name ident.NameID, p core.Presence), names ...string) {
	w := s.watchers[s.node(i)]
	if w == nil {
		w = &watcher{seen: make(map[ident.NameID]core.Presence)}
		s.watchers[s.node(i)] = w
	}
	w.tell = tell
	for _, name := range names {
		w.names = append(w.names, ident.HashName(name))
	}
	s.watchAgain(s.node(i))
}

// Seen returns what node i was told last of a name that it watches.
func (s *Sim) Seen(i int, name string) core.Presence {
	if w := s.watchers[s.node(i)]; w != nil {
		return w.seen[ident.HashName(name)]
	}
	return core.PresenceNone
}

// PresencePackets returns the most packets about presence that node i has sent and
// received in any minute as an ordinary node.
func (s *Sim) PresencePackets(i int) int {
	if w := s.watchers[s.node(i)]; w != nil {
		return w.most
	}
	return 0
}

// watchAgain has the machine of host i watch what its application wants.
func (s *Sim) watchAgain(i uint32) {
	w := s.watchers[i]
	if w == nil || !s.hosts[i].is(hostUp) {
		return
	}
	w.packets = w.packets[:0] // the bound is a process's, as that of healing packets
	for _, name := range w.names {
		s.in = core.Input{Kind: core.InputWatch, Name: name}
		s.step(i)
	}
}

// presence takes what a machine tells its application.
func (s *Sim) presence(i uint32, f *core.Effect) {
	if w := s.watchers[i]; w != nil {
		w.seen[f.Record.Name] = core.Presence(f.Status)
		if w.tell != nil {
			w.tell(f.Record.Name, core.Presence(f.Status))
		}
	}
}

// countPresence counts a message that host i sends or is handed as a node that watches.
func (s *Sim) countPresence(i uint32, b []byte) {
	if len(s.watchers) == 0 {
		return
	}
	w := s.watchers[i]
	if w == nil || s.hosts[i].is(hostServing) {
		return
	}
	switch wire.KindOf(b) {
	case wire.KindSubscribe:
	case wire.KindPresence:
		// What is told to supernodes is counted from 1: it was one a moment ago.
		var m wire.Presence
		if m.Parse(b, s.book) == nil && m.Serial < 1<<20 {
			return
		}
	default:
		return
	}
	old := 0
	for old < len(w.packets) && s.now.Sub(w.packets[old]) >= vtime.Minute {
		old++
	}
	w.packets = append(w.packets[:copy(w.packets, w.packets[old:])], s.now)
	w.most = max(w.most, len(w.packets))
}
