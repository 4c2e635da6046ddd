package roster

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
	"github.com/ada420b6/overlay/internal/vtime"
)

// row is a member in 20 bytes: the ID is cut in two so that nothing pads it.
type row struct {
	idHigh, idLow uint32
	peer          ident.Handle
	inc           uint32
	// note is the state in the top 2 bits and, below, the second in which it was
	// entered (34 years' worth); for a Suspect the index of its suspicion instead.
	note uint32
}

const noteBits = 30

func (w *row) id() ident.ID  { return ident.ID(w.idHigh)<<32 | ident.ID(w.idLow) }
func (w *row) state() State  { return State(w.note >> noteBits) }
func (w *row) value() uint32 { return w.note & (1<<noteBits - 1) }

func makeNote(s State, v uint32) uint32 { return uint32(s)<<noteBits | v&(1<<noteBits-1) }

// second cuts a moment to what a note can hold. Moments before the driver's start do
// not occur; they would count as the start.
func second(t vtime.Time) uint32 {
	s := max(int64(t)/int64(vtime.Second), 0)
	return uint32(min(s, 1<<noteBits-1))
}

// class is where in the table a row stands.
type class uint8

const (
	classUsable class = iota
	classDead
	classLeft
	classes
)

func (s State) class() class {
	switch s {
	case Dead:
		return classDead
	case Left:
		return classLeft
	default:
		return classUsable
	}
}

// table holds the rows, the usable ones first, then the dead, then the left, so that
// a uniform draw from a class is one index. A permutation of the row numbers keeps the
// order by ID; sorting 4-byte numbers instead of rows makes an insertion into 25 000
// members move 100 kB at most.
type table struct {
	rows     []row
	end      [classes - 1]int // where the usable and the dead rows end
	byID     []uint32
	byPeer   index
	suspects heap
}

// seekID returns the first position in byID whose member's ID is at least id.
func (t *table) seekID(id ident.ID) int {
	lo, hi := 0, len(t.byID)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if t.rows[t.byID[mid]].id() < id {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// findID returns the row number of id, or -1.
func (t *table) findID(id ident.ID) int {
	if p := t.seekID(id); p < len(t.byID) && t.rows[t.byID[p]].id() == id {
		return int(t.byID[p])
	}
	return -1
}

// findPeer returns the row number of h, or -1.
func (t *table) findPeer(h ident.Handle) int { return t.byPeer.find(h) }

// insert adds a row that no order knows yet, in the class of its note, and returns
// its number.
func (t *table) insert(w row) int {
	i := len(t.rows)
	pid := t.seekID(w.id())
	t.rows = append(grown(t.rows), w)
	t.byID = inserted(t.byID, pid, uint32(i))
	t.byPeer.add(t.rows)
	return t.move(i, classLeft, w.state().class())
}

// remove deletes row i, which must not be suspected.
func (t *table) remove(i int) {
	invariant.Check(t.rows[i].state() != Suspect, "roster: a suspect is removed")
	i = t.move(i, t.rows[i].state().class(), classLeft)
	last := len(t.rows) - 1
	t.swap(i, last)
	pid := t.seekID(t.rows[last].id())
	t.byID = append(t.byID[:pid], t.byID[pid+1:]...)
	t.byPeer.remove(t.rows[last].peer)
	t.rows = t.rows[:last]
}

// move takes row i from one class to another, across one boundary at a time, and
// returns its new number. Other rows change their numbers, too.
func (t *table) move(i int, from, to class) int {
	for ; from < to; from++ {
		t.end[from]--
		t.swap(i, t.end[from])
		i = t.end[from]
	}
	for ; from > to; from-- {
		t.swap(i, t.end[from-1])
		i = t.end[from-1]
		t.end[from-1]++
	}
	return i
}

// swap exchanges two rows and corrects all that refers to them.
func (t *table) swap(i, j int) {
	if i == j {
		return
	}
	a, b := &t.rows[i], &t.rows[j]
	ida, idb := t.seekID(a.id()), t.seekID(b.id())
	*a, *b = *b, *a
	t.byID[ida], t.byID[idb] = uint32(j), uint32(i)
	t.byPeer.moved(a.peer, i)
	t.byPeer.moved(b.peer, j)
	if a.state() == Suspect {
		t.suspects[a.value()].row = uint32(i)
	}
	if b.state() == Suspect {
		t.suspects[b.value()].row = uint32(j)
	}
}

// member returns row i as the outside sees it.
func (t *table) member(i int) Member {
	w := &t.rows[i]
	m := Member{Peer: w.peer, ID: w.id(), Inc: w.inc, State: w.state()}
	if m.State == Suspect {
		s := &t.suspects[w.value()]
		m.Since, m.Accuser = s.start, s.accusers[0]
	} else {
		m.Since = vtime.Time(w.value()) * vtime.Time(vtime.Second)
	}
	return m
}

// grown makes room for one more at the end of s. It adds an eighth where append would
// add a quarter or more: the slack is counted in the 38 bytes per member.
func grown[T any](s []T) []T {
	if len(s) < cap(s) {
		return s
	}
	g := make([]T, len(s), len(s)+len(s)/8+8)
	copy(g, s)
	return g
}

// inserted puts v at position p of s.
func inserted[T any](s []T, p int, v T) []T {
	s = grown(s)
	s = s[:len(s)+1]
	copy(s[p+1:], s[p:])
	s[p] = v
	return s
}
