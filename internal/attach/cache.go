// Package attach decides how a node finds a supernode to attach to: whom it asks
// (Cache), when and in what order (Seeker), and how much (Budget).
package attach

import (
	"slices"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/seed"
)

// Entry is one remembered supernode. The zero Entry is a free place.
type Entry struct {
	Peer  ident.Handle
	Tried bool  // an attachment to it has stood
	Named bool  // somebody who lives has named it since the node lost its last attachment
	Fails uint8 // times in a row that it did not answer
}

// Cache is the host cache over memory that the driver owns: its length is its
// capacity, free places are at its end. The entries that last held an attachment come
// first, the latest in front: its first few are the anchors, which are asked first
// after a start.
//
// A living entry is never evicted for one that is only heard of ("test before
// evict"): whoever floods a node with addresses fills free places and replaces
// entries that failed, no more. That matters most after a restart, when a node depends
// on what it remembers (PROTOCOL.md section 9).
type Cache []Entry

// GroupOf tells the address group of a peer, 0 when there is none that says anything.
type GroupOf interface {
	Group(ident.Handle) ident.Group
}

// Len returns how many supernodes are remembered.
func (c Cache) Len() int {
	lo, hi := 0, len(c)
	if hi > 0 && c[hi-1].Peer != ident.None { // it is full, as most are
		return hi
	}
	for lo < hi {
		mid := (lo + hi) / 2
		if c[mid].Peer != ident.None {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

func (c Cache) find(h ident.Handle) int {
	for i := range c {
		if c[i].Peer == h {
			return i
		}
		if c[i].Peer == ident.None {
			break
		}
	}
	return -1
}

// Has reports whether h is remembered.
func (c Cache) Has(h ident.Handle) bool { return c.find(h) >= 0 }

// Good notes that an attachment to h stands: h becomes the first anchor.
func (c Cache) Good(h ident.Handle) {
	if len(c) == 0 {
		return
	}
	i := c.find(h)
	if i < 0 {
		i = min(c.Len(), len(c)-1) // a free place, or that of the entry unused for longest
	}
	copy(c[1:i+1], c[:i])
	c[0] = Entry{Peer: h, Tried: true}
}

// Bad notes that h did not answer.
func (c Cache) Bad(h ident.Handle) {
	if i := c.find(h); i >= 0 && c[i].Fails < 255 {
		c[i].Fails++
	}
}

// Forgive forgets all failures: after a start or a change of the network, what was
// believed dead is asked again.
func (c Cache) Forgive() {
	for i := range c {
		c[i].Fails, c[i].Named = 0, false
	}
}

// Fill forgets everybody and remembers some of tier, as many as there is room for: what a
// cache holds that has heard of them all.
func (c Cache) Fill(tier []ident.Handle, r *seed.Rand) {
	clear(c)
	n := min(len(c), len(tier))
	if n == 0 {
		return
	}
	start, stride := r.Intn(len(tier)), max(1, len(tier)/n)
	for k := range n {
		c[k] = Entry{Peer: tier[(start+k*stride)%len(tier)]}
	}
}

// Doubt forgets who was named by others: the node has lost its last attachment, and
// whatever took that may have taken them.
func (c Cache) Doubt() {
	for i := range c {
		c[i].Named = false
	}
}

// Drop removes h: it has said itself that it serves no more.
func (c Cache) Drop(h ident.Handle) {
	if i := c.find(h); i >= 0 {
		n := c.Len()
		copy(c[i:n], c[i+1:n])
		c[n-1] = Entry{}
	}
}

// groupShare bounds what one address group may fill: an eighth of the cache, but at
// least 10 entries.
const groupShare, groupFloor = 8, 10

// Learn notes that somebody named h as a supernode, and reports whether it was taken.
func (c Cache) Learn(h ident.Handle, groups GroupOf, r *seed.Rand) bool {
	if len(c) == 0 {
		return false
	}
	if i := c.find(h); i >= 0 {
		c[i].Named = true
		return false
	}
	n := c.Len()
	if g := groups.Group(h); g != 0 && c.inGroup(g, n, groups) >= max(groupFloor, len(c)/groupShare) {
		return false
	}
	if n < len(c) {
		c[n] = Entry{Peer: h, Named: true}
		return true
	}
	for range 8 { // look at a few places for one that has failed
		if i := r.Intn(n); c[i].Fails > 0 {
			c[i] = Entry{Peer: h, Named: true}
			return true
		}
	}
	if i := r.Intn(n); !c[i].Tried {
		c[i] = Entry{Peer: h, Named: true}
		return true
	}
	return false
}

func (c Cache) inGroup(g ident.Group, n int, groups GroupOf) (count int) {
	for i := range c[:n] {
		if groups.Group(c[i].Peer) == g {
			count++
		}
	}
	return count
}

// Pick draws supernodes to ask into dst until want of them are there, and returns it.
// It takes none that is in dst or avoided, and prefers those that have not failed. One of
// the first anchors entries comes first. Half of the others are drawn from those who were
// named of late, since after a disaster most of the rest are dead; half are not, since who
// names is not always honest.
func (c Cache) Pick(dst []ident.Handle, want int, avoid [2]ident.Handle, anchors int, r *seed.Rand) []ident.Handle {
	n := c.Len()
	if anchors = min(anchors, n); anchors > 0 && want > len(dst) {
		if h := c.best(0, anchors, dst, avoid, r); h != ident.None {
			dst = append(dst, h)
		}
	}
	for 2*len(dst) < want {
		h := c.named(n, dst, avoid, r)
		if h == ident.None {
			break
		}
		dst = append(dst, h)
	}
	for len(dst) < want {
		h := c.best(0, n, dst, avoid, r)
		if h == ident.None {
			break
		}
		dst = append(dst, h)
	}
	return dst
}

// named draws one of the first n entries that was named of late and has not failed since.
func (c Cache) named(n int, dst []ident.Handle, avoid [2]ident.Handle, r *seed.Rand) (h ident.Handle) {
	seen := 0
	for i := range c[:n] {
		e := &c[i]
		if !e.Named || e.Fails > 0 || e.Peer == avoid[0] || e.Peer == avoid[1] || slices.Contains(dst, e.Peer) {
			continue
		}
		if seen++; r.Intn(seen) == 0 {
			h = e.Peer
		}
	}
	return h
}

// looks is how many places a draw compares: with 1 % of the entries alive and the
// others known to have failed, a living one is found in 15 % of draws.
const looks = 16

// best draws among c[lo:hi] and returns the entry that has failed least.
func (c Cache) best(lo, hi int, dst []ident.Handle, avoid [2]ident.Handle, r *seed.Rand) ident.Handle {
	if hi <= lo {
		return ident.None
	}
	best, fails := ident.None, 256
	try := func(i int) {
		e := &c[i]
		if e.Peer == avoid[0] || e.Peer == avoid[1] || int(e.Fails) >= fails {
			return
		}
		for _, h := range dst {
			if h == e.Peer {
				return
			}
		}
		best, fails = e.Peer, int(e.Fails)
	}
	if hi-lo <= looks {
		start := r.Intn(hi - lo)
		for i := range hi - lo {
			try(lo + (start+i)%(hi-lo))
		}
		return best
	}
	for range looks {
		try(lo + r.Intn(hi-lo))
	}
	return best
}
