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

// telling is the round under way.
type telling struct {
	at    vtime.Time   // when it goes on, Never between rounds
	last  ident.Handle // whom it came to last
	again bool         // something new was said: another round follows
	names bool         // everybody is named supernodes
	heirs bool         // everybody is told of the standbys
	lost  []ident.Handle
}

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
	t := &s.env.Super.tell
	t.names = true
	t.begin(s.now)
}

// tellLost has those nodes told that are attached to h as well.
func (s *step) tellLost(h ident.Handle) {
	t := &s.env.Super.tell
	if len(t.lost) == maxTold {
		return
	}
	t.lost = append(t.lost, h)
	t.begin(s.now)
}

func (t *telling) begin(now vtime.Time) {
	if t.at == vtime.Never {
		t.at = now.Add(tellEvery)
	} else {
		t.again = true
	}
}

// tellDue lets the round come to some more nodes.
func (s *step) tellDue() {
	sn := s.env.Super
	t := &sn.tell
	if s.now < t.at {
		return
	}
	t.at = s.now.Add(tellEvery)
	if s.storm() > 0 || sn.leaveBy != vtime.Never {
		return
	}
	i, _ := sn.find(t.last + 1)
	end := min(i+tellScan, len(sn.held))
	for left := s.tellShare(); i < end && left > 0; i++ {
		t.last = sn.held[i].peer
		if s.tellOne(&sn.held[i]) {
			left--
		}
	}
	if i < len(sn.held) {
		return
	}
	t.last = ident.None
	if !t.again {
		t.at, t.names, t.heirs, t.lost = vtime.Never, false, false, t.lost[:0]
	}
	t.again = false
}

// tellShare is how many nodes are told in one tellEvery.
func (s *step) tellShare() int {
	return max(1, s.attachRate()*int(tellEvery)/int(vtime.Second))
}

// tellOne tells a node what concerns it, and reports whether anything does.
func (s *step) tellOne(h *holding) bool {
	t := &s.env.Super.tell
	told := false
	for _, gone := range t.lost {
		if h.record.At[0] == gone || h.record.At[1] == gone {
			s.tend(h.record) // nobody else does now
			m := wire.Lost{Token: h.token, Peer: gone}
			s.out.send(h.peer, m.Append(s.out.begin(), s.env.Book), false)
			told = true
		}
	}
	if t.names {
		m := wire.KeepaliveAck{Token: h.token, Storm: s.storm(), Tier: s.tierView(), Peers: s.alternates(h.peer)}
		s.out.send(h.peer, m.Append(s.out.begin(), s.env.Book), false)
		told = true
	}
	if t.heirs {
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
