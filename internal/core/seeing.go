package core

import (
	"github.com/ada420b6/overlay/internal/sorted"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// What a node hears of those whom it watches, how often it may be told, and what it makes
// of it.

// onWords takes what a supernode tells this node.
func (s *step) onWords() {
	var m wire.Presence
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) || s.env.Watching == nil {
		return
	}
	i, w := s.n.holds(s.in.From), s.env.Watching
	if s.follow(i); m.Held {
		s.n.bad++
		return
	}
	x := &w.by[i]
	if n := int32(m.Serial - x.serial); !x.asked || n <= 0 || int32(m.Serial-x.limit) > 0 {
		return // of a list before; or overtaken, and then it counts as missed
	} else if n > 1 {
		x.missed = true
	}
	x.serial = m.Serial
	if int32(x.told-x.serial) < 0 {
		x.told = x.serial
	}
	s.heardWords(i, &m)
	if w.wanting(i) {
		x.askAt = vtime.Later(x.askAt, s.now.Add(overdue))
	} else {
		x.tries = 0
	}
}

func (s *step) heardWords(i int, m *wire.Presence) {
	w := s.env.Watching
	for _, x := range m.Words.All() {
		if j, ok := sorted.Hash(w.names, x.Name); ok {
			w.seen[j].words[i], w.seen[j].said[i] = word{x.Seq, x.Here}, true
			s.judge(j)
		}
	}
}

// tellSelf takes what this node tells itself as a supernode.
func (s *step) tellSelf(m *wire.Presence) {
	if s.env.Watching != nil {
		s.heardWords(0, m)
	}
}

// allow raises how often attachment i's supernode may tell this node, for a keepalive to
// say.
func (s *step) allow(i int) uint8 {
	w := s.env.Watching
	if w == nil || w.by[i].peer != s.n.at[i].peer || !w.by[i].asked {
		return 0
	}
	x := &w.by[i]
	if more := min(int(int32(x.told+tellAhead-x.limit)), w.left(s.now)); more > 0 {
		w.spend(more, s.now)
		x.limit += uint32(more)
	}
	return uint8(x.limit)
}

// toldOften hears from attachment i's supernode how often it has told this node.
func (s *step) toldOften(i int, told uint32) {
	if s.env.Watching == nil {
		return
	}
	x := &s.env.Watching.by[i]
	switch n := int32(told - x.told); {
	case !x.asked || n == 0:
		return
	case n < 0 || int32(told-x.limit) > 0: // it has not got the list, unless it is on its way
		x.missed = x.missed || s.now >= x.askAt
	default:
		x.told = told
	}
	x.askAt = vtime.Later(x.askAt, s.now.Add(overdue))
}

// judge takes the newer of the words on a name.
func (s *step) judge(j int) {
	x := &s.env.Watching.seen[j]
	var best word
	switch {
	case x.said[0] && x.said[1] && x.words[1].newer(x.words[0]):
		best = x.words[1]
	case x.said[0]:
		best = x.words[0]
	case x.said[1]:
		best = x.words[1]
	default:
		return // it stands as it was until somebody says something
	}
	if best.here {
		s.show(j, PresenceHere)
	} else {
		s.show(j, PresenceGone)
	}
}

// show tells the application.
func (s *step) show(j int, p Presence) {
	w := s.env.Watching
	if w.seen[j].shown != p {
		w.seen[j].shown = p
		s.out.add(Effect{Kind: EffectPresence, Status: uint8(p), Record: wire.Record{Name: w.names[j]}})
	}
}
