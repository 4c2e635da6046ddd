package core

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// What a supernode tells its nodes unasked (PROTOCOL.md section 6). Who its standbys are
// (standby.go). That another supernode has died: the nodes attached to both would notice by themselves only after a
// keepalive's silence. And that the tier is no longer this one alone: whoever attached
// when there was nobody else knows nobody else, and would be stranded by its death.
//
// It is told in rounds through all nodes that are held, at the pace at which attaches
// are served, since who is told may come for another attachment; under a storm it waits.

// telling is the round under way, and what the next one tells.
type telling struct {
	at   vtime.Time   // when it goes on, Never between rounds
	last ident.Handle // whom it came to last
	now  words
	next words
}

// words is what a round tells.
type words struct {
	names bool  // everybody is named supernodes
	heirs uint8 // bit k: who is told of standby k hears that there is another
	lost  []ident.Handle
}

func (w *words) none() bool { return !w.names && w.heirs == 0 && len(w.lost) == 0 }

const (
	// tellEvery is the rhythm of a round, tellScan how many nodes are looked at in it at
	// most: a million in 25 s.
	tellEvery, tellScan = 100 * vtime.Millisecond, 4096
	// maxTold is how many deaths one round tells of. Nodes hear of those beyond by their
	// own keepalives, as they would of all of them without a word.
	maxTold = 64
)

// tellNames has every node that is held named supernodes, soon.
func (s *step) tellNames() {
	s.env.Super.tell.soon(s.now).names = true
}

// tellLost has those nodes told that are attached to h as well.
func (s *step) tellLost(h ident.Handle) {
	if w := s.env.Super.tell.soon(s.now); len(w.lost) < maxTold {
		w.lost = append(w.lost, h)
	}
}

// soon returns what the next round tells, and has it begin.
func (t *telling) soon(now vtime.Time) *words {
	t.at = vtime.Earlier(t.at, now.Add(tellEvery))
	return &t.next
}

func (s *step) tellDue() {
	s.tellRound(&s.env.Super.tell)
	s.tellRound(&s.env.Super.tellHeirs)
}

// tellRound lets the round come to some more nodes.
func (s *step) tellRound(t *telling) {
	sn := s.env.Super
	if s.now < t.at {
		return
	}
	t.at = s.now.Add(tellEvery)
	if s.storm() > 0 || sn.leaveBy != vtime.Never {
		return
	}
	if t.now.none() {
		t.now, t.next = t.next, words{lost: t.now.lost}
	}
	i, _ := sn.find(t.last + 1)
	end := min(i+tellScan, len(sn.held))
	for left := s.tellShare(); i < end && left > 0; i++ {
		t.last = sn.held[i].peer
		if s.tellOne(&sn.held[i], &t.now) {
			left--
		}
	}
	if i < len(sn.held) {
		return
	}
	t.last, t.now = ident.None, words{lost: t.now.lost[:0]}
	if t.next.none() {
		t.at = vtime.Never
	}
}

// tellShare is how many nodes are told in one tellEvery.
func (s *step) tellShare() int {
	return max(1, s.attachRate()*int(tellEvery)/int(vtime.Second))
}

// tellOne tells a node what concerns it, and reports whether anything does.
func (s *step) tellOne(h *holding, w *words) bool {
	told := false
	for _, gone := range w.lost {
		if h.record.At[0] == gone || h.record.At[1] == gone {
			s.tend(h.record) // nobody else does now
			m := wire.Lost{Token: h.token, Peer: gone}
			s.out.send(h.peer, m.Append(s.out.begin(), s.env.Book), false)
			told = true
		}
	}
	if w.names {
		m := wire.KeepaliveAck{Token: h.token, Unasked: true, Storm: s.storm(), Tier: s.tierView(), Told: s.toldOf(h.peer), Peers: s.alternates(h.peer)}
		s.out.send(h.peer, m.Append(s.out.begin(), s.env.Book), false)
		told = true
	}
	if k := s.env.Super.standbyOf(h); k >= 0 && w.heirs>>k&1 != 0 {
		s.sayStandby(h)
		told = true
	}
	return told
}

// onLost hears that another of this node's supernodes is believed dead. The word is no
// proof: it is asked at once whether it lives, and counts as dead when it stays silent.
func (s *step) onLost() {
	var m wire.Lost
	i := s.n.holds(s.in.From)
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) || s.n.at[i].token != m.Token {
		return
	}
	if j := s.n.holds(m.Peer); j >= 0 && j != i {
		s.n.at[j].alive.Doubt(s.now)
	}
}
