package directory

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
)

// Replicas is how many supernodes hold a zone, and the most that Rank returns. With a
// tenth of them hostile, all five are so for one zone in 100 000; with 90 % of the tier
// gone at once, 59 % of the records must be put again, which takes about a minute.
const Replicas = 5

// GroupCap is how many of the Replicas may share an address group, so that one operator
// or one broken network never has the majority of a zone.
const GroupCap = 2

// Members is the roster as this package reads it: the supernodes believed alive, in any
// order. Group 0 means unknown and is never capped.
type Members interface {
	Len() int
	At(i int) (ident.Handle, ident.ID)
	Group(h ident.Handle) ident.Group
}

// View is what a ranking depends on: the same View gives the same ranking everywhere.
type View struct {
	Epoch    uint64  // the network's beacon: newer than any ID it ranks, so that keys can't be ground for a zone
	Members  Members // who is alive
	N        int     // replicas wanted: 1 to Replicas
	GroupCap int     // how many of them may share an address group; 0 lifts the cap
}

// Score is the rendezvous score of a member for a zone: the higher ranks first. A ranking
// takes 25 000 of them, so it is no more than a good mixer. A keyed hash would protect
// nothing: its key would be known to all, and whoever wants to rank first for a zone has to
// look for keys whose hash, the ID, scores well, which takes as many keys either way.
func Score(epoch uint64, id ident.ID, zone ident.Zone) uint64 {
	return mix(uint64(id) ^ zoneKey(epoch, zone))
}

// zoneKey sets the zones apart.
func zoneKey(epoch uint64, zone ident.Zone) uint64 { return mix(epoch + mix(uint64(zone))) }

// mix is the finalizer of SplitMix64 (Steele, Lea and Flood, 2014): a bijection in which
// every bit of the result depends on every bit of x.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Ranking is the supernodes that hold one zone, best first. The zero value is the
// ranking of an empty roster.
type Ranking struct {
	floor uint64 // lowest score of the set; a newcomer below it changes nothing
	list  [Replicas]ident.Handle
	n     uint8
	open  bool // fewer than wanted, or more per group than allowed: any newcomer may get in
}

// All returns the members, best first. The slice shares the ranking's memory.
func (r *Ranking) All() []ident.Handle { return r.list[:r.n] }

// Has reports whether h is in the ranking: when it leaves, the ranking is out of date.
func (r *Ranking) Has(h ident.Handle) bool {
	for _, x := range r.list[:r.n] {
		if x == h {
			return true
		}
	}
	return false
}

// Admits reports whether a newcomer that scores so would change the ranking. It may say
// yes in vain (the group cap keeps the newcomer out), never no in vain.
func (r *Ranking) Admits(score uint64) bool { return r.open || score >= r.floor }

// contender is a member with what decides its rank.
type contender struct {
	score  uint64
	id     ident.ID
	handle ident.Handle
	group  ident.Group
}

// before orders contenders by rank. Equal scores are settled by ID and not by handle,
// which is a different number at every supernode.
func (c contender) before(d contender) bool {
	return c.score > d.score || c.score == d.score && c.id > d.id
}

// podium holds the best contenders seen, in rank order.
type podium struct {
	list [Replicas]contender
	n    int
}

// insert puts c at its place and drops the last one when there are more than want.
func (p *podium) insert(c contender, want int) {
	if p.n == want {
		if !c.before(p.list[p.n-1]) {
			return
		}
		p.n--
	}
	i := p.n
	for ; i > 0 && c.before(p.list[i-1]); i-- {
		p.list[i] = p.list[i-1]
	}
	p.list[i] = c
	p.n++
}

// insertCapped does the same and keeps at most groupCap contenders of one group. Seen so
// far plus one is all it needs to know: a contender that the cap kept out is worse than
// those of its group that are in, so it never has to be remembered.
func (p *podium) insertCapped(c contender, want, groupCap int) {
	if c.group != 0 && groupCap > 0 {
		same, last := 0, 0
		for i := range p.n {
			if p.list[i].group == c.group {
				same, last = same+1, i
			}
		}
		if same >= groupCap {
			if !c.before(p.list[last]) {
				return
			}
			copy(p.list[last:p.n-1], p.list[last+1:p.n])
			p.n--
		}
	}
	p.insert(c, want)
}

// Rank returns the supernodes that hold the zone: the v.N members with the highest
// scores, at most v.GroupCap of one address group. Where there are not enough groups,
// the best of those that the cap kept out fill up. It reads the roster once and
// allocates nothing; at 25 000 members see BenchmarkRank.
func Rank(zone ident.Zone, v View) Ranking {
	invariant.Check(0 < v.N && v.N <= Replicas, "directory: replicas wanted out of range")
	var capped, plain podium
	key := zoneKey(v.Epoch, zone)
	for i, n := 0, v.Members.Len(); i < n; i++ {
		h, id := v.Members.At(i)
		c := contender{score: mix(uint64(id) ^ key), id: id, handle: h}
		if capped.n == v.N {
			// Nearly every member leaves here: it scores below the last of the set.
			if !c.before(capped.list[v.N-1]) {
				continue
			}
			c.group = v.Members.Group(h)
		} else {
			c.group = v.Members.Group(h)
			// The cap may yet leave places empty; plain knows who fills them.
			plain.insert(c, v.N)
		}
		capped.insertCapped(c, v.N, v.GroupCap)
	}
	open := capped.n < v.N
	if open {
		fill(&capped, &plain, v.N)
	}
	r := Ranking{n: uint8(capped.n), open: open}
	for i := range capped.n {
		r.list[i] = capped.list[i].handle
		r.floor = capped.list[i].score
	}
	return r
}

// fill tops p up with the best of all that are not in it yet. plain holds want of them,
// and p fewer, so there are enough as long as the roster has enough.
func fill(p, plain *podium, want int) {
	for _, c := range plain.list[:plain.n] {
		if p.n == want {
			return
		}
		in := false
		for _, x := range p.list[:p.n] {
			in = in || x.id == c.id && x.handle == c.handle
		}
		if !in {
			p.insert(c, want)
		}
	}
}
