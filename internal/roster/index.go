package roster

import "github.com/ada420b6/overlay/internal/ident"

// index finds the row of a handle: every message between supernodes asks. It is a hash
// table of handles and row numbers, probed one place after the other and never more than
// seven eighths full, so that who is a member is seen in one line of memory, where a search
// takes a dozen. The order of the places reaches no output.
//
// Handles are given by the driver, one after the other: there is nothing for a stranger to
// collide.
type index []entry

// entry is a place of the index; one whose peer is None is empty.
type entry struct {
	peer ident.Handle
	row  uint32
}

// home is where the probing for h begins.
func (x index) home(h ident.Handle) uint32 {
	return uint32(uint64(uint32(h)*0x9e3779b1) * uint64(len(x)) >> 32)
}

// place returns the place that holds h, or the empty one at which its probing ends.
func (x index) place(h ident.Handle) (at uint32, found bool) {
	for at = x.home(h); x[at].peer != ident.None; at = x.after(at) {
		if x[at].peer == h {
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
func (x index) find(h ident.Handle) int {
	if len(x) == 0 {
		return -1
	}
	if at, found := x.place(h); found {
		return int(x[at].row)
	}
	return -1
}

// add enters the last row, whose handle is not in the index.
func (x *index) add(rows []row) {
	from := len(rows) - 1
	if 8*len(rows) > 7*len(*x) {
		*x, from = make(index, max(16, len(rows)+len(rows)/4)), 0
	}
	for i := from; i < len(rows); i++ {
		at, _ := x.place(rows[i].peer)
		(*x)[at] = entry{rows[i].peer, uint32(i)}
	}
}

// moved notes that the row of h has another number.
func (x index) moved(h ident.Handle, row int) {
	at, _ := x.place(h)
	x[at].row = uint32(row)
}

// remove takes h out, and moves up those behind it that an empty place would hide.
func (x index) remove(h ident.Handle) {
	hole, _ := x.place(h)
	for at := x.after(hole); x[at].peer != ident.None; at = x.after(at) {
		home := x.home(x[at].peer)
		// It may move up unless its home lies behind the hole: in (hole, at], around the end.
		if hole <= at && (home <= hole || home > at) || hole > at && home <= hole && home > at {
			x[hole], hole = x[at], at
		}
	}
	x[hole] = entry{}
}
