package sim

import (
	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/liveness"
	"github.com/ada420b6/overlay/internal/vtime"
)

// Who has lost all supernodes to deaths without goodbye, and can't know it yet. The driver
// sees at once what a node notices only by silence: until then the node counts as attached
// in everything that is told of it, but the network has not come back as long as there
// are such.

// stranded is the nodes that are attached to nobody who lives and believe they are.
type stranded struct {
	hostSet
	// silences says since when, for the bound. Those that are over by the last death are
	// forgotten, so there are at most as many as pairs of supernodes that died within
	// 72 s, and as nodes.
	silences []silence
}

// silence is what nodes have in common that were stranded by the same deaths.
type silence struct {
	died  [2]vtime.Time               // when their supernodes did, Never for none
	watch [2]liveness.KeepaliveParams // how they watch them
	nodes int
	told  bool // a machine of these supernodes is back: whoever checks it is told so
}

// over is when all of its nodes have noticed, if nothing goes wrong.
func (q *silence) over() vtime.Time {
	end := vtime.Time(0)
	for k, died := range q.died {
		if w := q.watch[k]; died != vtime.Never {
			end = vtime.Later(end, died.Add(w.Interval+vtime.Duration(spread*float64(w.Interval))+patience(w.Step)))
		}
	}
	return end
}

// latest is the death that stranded them.
func (q *silence) latest() vtime.Time {
	if q.died[1] == vtime.Never || q.died[0] != vtime.Never && q.died[0] > q.died[1] {
		return q.died[0]
	}
	return q.died[1]
}

// strand notes whom the death of supernode p at this moment leaves without any.
func (s *Sim) strand(p uint32, super *core.Supernode) {
	x := &s.stranded
	kept := x.silences[:0]
	for _, q := range x.silences {
		if q.over() > s.now {
			kept = append(kept, q)
		}
	}
	x.silences = kept
	for k := range super.Held() {
		i := index(super.HeldAt(k))
		h := &s.hosts[i]
		if !h.is(hostAttached) || h.is(hostServing) || x.has(i) || s.sheltered(i, p) {
			continue
		}
		x.set(i, true)
		if q, ok := s.silenceOf(i); ok && !super.Leaving() { // else they have been told
			x.join(q)
		}
	}
}

// tooLate notes that node i has become attached to a supernode that died while the answer
// was under way.
func (s *Sim) tooLate(i uint32, v *view) {
	if s.core != nil && !v.serving && !s.sheltered(i, i) {
		s.stranded.set(i, true)
	}
}

// sheltered reports whether node i is attached to a supernode that lives, other than dead.
func (s *Sim) sheltered(i, dead uint32) bool {
	for k := range 2 {
		peer, _ := s.core.nodes[i].Heard(k)
		if peer == ident.None || index(peer) == dead {
			continue
		}
		if super := s.supers.get(s.hosts[index(peer)].super); super != nil && super.Holds(handle(i)) {
			return true
		}
	}
	return false
}

// silenceOf returns what node i hears of the supernodes that it has; false when one of
// them runs again, since that one's next answer tells all.
func (s *Sim) silenceOf(i uint32) (q silence, ok bool) {
	n := &s.core.nodes[i]
	s.peek.Cache = s.cacheOf(i)
	q.nodes = 1
	for k := range q.died {
		q.died[k] = vtime.Never
		peer, _ := n.Heard(k)
		if peer == ident.None {
			continue
		}
		h := &s.hosts[index(peer)]
		if h.is(hostUp) && h.orphan != s.now {
			return q, false
		}
		w, _ := n.Calm(&s.peek, k, core.Told{})
		q.died[k], q.watch[k] = h.orphan, w.KeepaliveParams
	}
	return q, true
}

// join counts the nodes of q with those of the same silence.
func (x *stranded) join(q silence) {
	for k := len(x.silences) - 1; k >= 0 && x.silences[k].latest() == q.latest(); k-- {
		if same := &x.silences[k]; same.died == q.died && same.watch == q.watch {
			same.nodes += q.nodes
			return
		}
	}
	x.silences = append(x.silences, q)
}

// back notes that a supernode's machine that went down at died is up again.
func (x *stranded) back(died vtime.Time) {
	for k := range x.silences {
		if q := &x.silences[k]; q.died[0] == died || q.died[1] == died {
			q.told = true
		}
	}
}

// unstrand takes node i, which goes down itself, out of those who are stranded.
func (s *Sim) unstrand(i uint32) {
	x := &s.stranded
	if int(i) >= s.cfg.Nodes || !x.has(i) {
		return
	}
	x.set(i, false)
	q, _ := s.silenceOf(i)
	for k := range x.silences {
		if same := &x.silences[k]; same.died == q.died && same.watch == q.watch && same.nodes > 0 {
			same.nodes--
			return
		}
	}
}

// aware takes node i out of those who are stranded when it has noticed, or has found
// another supernode.
func (s *Sim) aware(i uint32, v *view) {
	if x := &s.stranded; x.n > 0 && x.has(i) && (!v.attached || v.serving || s.sheltered(i, i)) {
		x.set(i, false)
	}
}
