package roster

import (
	"slices"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
)

// Roster is one supernode's beliefs. Init makes it usable; a copy shares its memory.
type Roster struct {
	params  Params
	self    ident.Handle
	selfID  ident.ID
	version uint32
	refuted vtime.Time // when this node last refuted an accusation; 0 is never
	table   table
	top     [Buckets]uint64 // digest of the usable members, kept up to date
	news    news
	// sweep is when tombstones are next looked through, Never while there are none.
	sweep vtime.Time
}

// Init starts a roster that knows nobody but self, alive with incarnation inc. inc must
// be later than every one that self has ever used.
func (r *Roster) Init(p Params, self ident.Handle, id ident.ID, inc uint32, now vtime.Time) {
	invariant.Check(self != ident.None && !self.Transient(), "roster: self needs a lasting handle")
	invariant.Check(inc < MaxInc, "roster: the own incarnation is out of range")
	invariant.Check(p.SuspicionMin > 0 && p.SuspicionMin <= p.SuspicionMax, "roster: suspicion times are out of order")
	invariant.Check(p.Tombstone > 0 && p.GossipBytes > 0, "roster: tombstones and gossip must be more than nothing")
	*r = Roster{params: p, self: self, selfID: id, sweep: vtime.Never}
	r.news.init(&p, now)
	r.table.insert(row{idHigh: uint32(id >> 32), idLow: uint32(id), peer: self, inc: inc, note: makeNote(Alive, second(now))})
	r.toggle(0)
	r.news.push(item{peer: self, inc: r.Inc(), state: Alive})
}

// Self returns this node's own entry.
func (r *Roster) Self() Member { return r.table.member(r.selfRow()) }

// Inc returns this node's own incarnation.
func (r *Roster) Inc() uint32 { return r.table.rows[r.selfRow()].inc }

func (r *Roster) selfRow() int {
	i := r.table.findPeer(r.self)
	invariant.Check(i >= 0, "roster: self is not in its own roster")
	return i
}

// Len returns how many members are remembered, tombstones included.
func (r *Roster) Len() int { return len(r.table.rows) }

// Usable returns how many members are alive or suspect, self included.
func (r *Roster) Usable() int { return r.table.end[classUsable] }

// Dead returns how many members are believed dead.
func (r *Roster) Dead() int { return r.table.end[classDead] - r.table.end[classUsable] }

// Suspects returns how many members are suspected.
func (r *Roster) Suspects() int { return len(r.table.suspects) }

// Version changes whenever somebody joins or leaves the usable members; it stays when
// one of them is suspected, acquitted, or announces something new of itself.
func (r *Roster) Version() uint32 { return r.version }

// Lookup returns what is believed of h.
func (r *Roster) Lookup(h ident.Handle) (m Member, ok bool) {
	if i := r.table.findPeer(h); i >= 0 {
		return r.table.member(i), true
	}
	return Member{}, false
}

// Has reports whether anything is believed of h.
func (r *Roster) Has(h ident.Handle) bool { return r.table.findPeer(h) >= 0 }

// Touch reads what Has will.
func (r *Roster) Touch(h ident.Handle) uint64 { return uint64(r.table.findPeer(h)) }

// LookupID returns what is believed of the member with this ID.
func (r *Roster) LookupID(id ident.ID) (m Member, ok bool) {
	if i := r.table.findID(id); i >= 0 {
		return r.table.member(i), true
	}
	return Member{}, false
}

// At returns the i-th member, usable ones first: 0 to Usable()-1 are all that can be
// ranked or picked, self among them, Usable() to Len()-1 the tombstones. The order means
// nothing and changes with every Merge, Claim and Expire.
func (r *Roster) At(i int) (ident.Handle, ident.ID) {
	w := &r.table.rows[i]
	return w.peer, w.id()
}

// Member returns the i-th member, in the order of At, with all that is believed of it.
func (r *Roster) Member(i int) Member { return r.table.member(i) }

// Pick draws one usable member, each with the same chance, that is neither self nor
// excluded (at most MaxExclude). It returns None when there is nobody left.
//
// Where most members will do it draws until one does, which costs a cache miss a draw; it
// looks for the rows to avoid only where few will.
func (r *Roster) Pick(rnd *seed.Rand, exclude ...ident.Handle) ident.Handle {
	invariant.Check(len(exclude) <= MaxExclude, "roster: Pick is told to avoid too many")
	usable := r.Usable()
	if usable < 4*(len(exclude)+1) {
		return r.pickExact(rnd, exclude)
	}
	for range pickTries {
		h := r.table.rows[rnd.Intn(usable)].peer
		if h != r.self && !slices.Contains(exclude, h) {
			return h
		}
	}
	return r.pickExact(rnd, exclude)
}

// pickTries is how many draws may be in vain: one of 4 is, at most, and so are ten in a
// row once in a million.
const pickTries = 10

func (r *Roster) pickExact(rnd *seed.Rand, exclude []ident.Handle) ident.Handle {
	var skip [MaxExclude + 1]int // rows to avoid, ascending
	n := r.skipRow(skip[:], 0, r.self)
	for _, h := range exclude {
		n = r.skipRow(skip[:], n, h)
	}
	left := r.Usable() - n
	if left <= 0 {
		return ident.None
	}
	i := rnd.Intn(left)
	for _, s := range skip[:n] {
		if s <= i {
			i++
		}
	}
	return r.table.rows[i].peer
}

// skipRow enters the row of h, if it is usable and not there yet, into the n sorted
// row numbers of skip and returns their new count.
func (r *Roster) skipRow(skip []int, n int, h ident.Handle) int {
	i := r.table.findPeer(h)
	if i < 0 || i >= r.Usable() {
		return n
	}
	p := 0
	for p < n && skip[p] < i {
		p++
	}
	if p < n && skip[p] == i {
		return n
	}
	copy(skip[p+1:n+1], skip[p:n])
	skip[p] = i
	return n + 1
}

// PickDead draws one member that is believed dead, to be asked again, or None. Those who
// left said so themselves and are not asked.
func (r *Roster) PickDead(rnd *seed.Rand) ident.Handle {
	n := r.Dead()
	if n == 0 {
		return ident.None
	}
	return r.table.rows[r.table.end[classUsable]+rnd.Intn(n)].peer
}
