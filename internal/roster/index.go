package roster

import "github.com/ada420b6/overlay/internal/ident"

// index finds the row of a handle: every message between supernodes asks. It is a hash
// table of row numbers plus one, 0 for an empty place, probed one place after the other and
// never more than seven eighths full, so that a look-up costs two cache misses where a
// search costs a dozen. The order of the places reaches no output.
//
// Handles are given by the driver, one after the other: there is nothing for a stranger to
// collide.
type index []uint32

// home is where the probing for h begins.
func (x index) home(h ident.Handle) uint32 {
	return uint32(uint64(uint32(h)*0x9e3779b1) * uint64(len(x)) >> 32)
}

// place returns the place that holds the row of h, or the empty one at which its probing
// ends.
func (x index) place(h ident.Handle, rows []row) (at uint32, found bool) {
	for at = x.home(h); x[at] != 0; at = x.after(at) {
		if rows[x[at]-1].peer == h {
			return at, true
		}
	}
	return at, false
}

func (x index) after(at uint32) uint32 {
	if at++; int(at) == len(x) {
		return 0
	}
	return at
}

// find returns the row number of h, or -1.
func (x index) find(h ident.Handle, rows []row) int {
	if len(x) == 0 {
		return -1
	}
	if at, found := x.place(h, rows); found {
		return int(x[at]) - 1
	}
	return -1
}

// add enters the last row, whose handle is not in the index.
func (x *index) add(rows []row) {
	if 8*len(rows) > 7*len(*x) {
		*x = make(index, max(16, len(rows)+len(rows)/4))
		for i := range rows {
			at, _ := x.place(rows[i].peer, rows)
			(*x)[at] = uint32(i) + 1
		}
		return
	}
	last := len(rows) - 1
	at, _ := x.place(rows[last].peer, rows)
	(*x)[at] = uint32(last) + 1
}

// remove takes the row of h out, and moves up those behind it that an empty place would
// hide.
func (x index) remove(h ident.Handle, rows []row) {
	hole, _ := x.place(h, rows)
	for at := x.after(hole); x[at] != 0; at = x.after(at) {
		home := x.home(rows[x[at]-1].peer)
		// It may move up unless its home lies behind the hole: in (hole, at], around the end.
		if hole <= at && (home <= hole || home > at) || hole > at && home <= hole && home > at {
			x[hole], hole = x[at], at
		}
	}
	x[hole] = 0
}
