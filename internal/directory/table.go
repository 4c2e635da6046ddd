package directory

import (
	"slices"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/sorted"
)

// The sizes of a table's chunks. An insert moves at most chunkRows rows, so filling a
// table of 50 000 costs no more per row than one of 500. Two neighbours never hold
// mergeRows or fewer together, so n rows never occupy more than n/48+1 chunks, however
// they came and went.
const (
	chunkRows = 128
	mergeRows = 96
)

// table is rows sorted by name, cut into chunks. Sorted rather than hashed: a walk
// visits rows in the same order on every machine, rows of one zone lie side by side, and
// there is nothing for a stranger to collide.
type table[R any] struct {
	heads  []ident.NameID // the first key of each chunk
	chunks []chunk[R]     // none is empty but while rows are cut
	spare  chunk[R]       // the chunk dropped last, so that a table at a border does not allocate
	n      int
}

type chunk[R any] struct {
	keys []ident.NameID
	rows []R
}

// step is what a visitor of walk wants done next.
type step uint8

const (
	keepRow  step = iota // go on
	cutRow               // remove the row and go on
	stopWalk             // keep the row and begin with it next time
)

// locate returns where the row of name is, or where it belongs.
func (t *table[R]) locate(name ident.NameID) (c, i int, found bool) {
	c, found = sorted.Hash(t.heads, name)
	if found {
		return c, 0, true
	}
	if c == 0 {
		return 0, 0, false
	}
	i, found = sorted.Find(t.chunks[c-1].keys, name, t.guess(c-1, name))
	return c - 1, i, found
}

// guess is where in chunk c the name lies if keys are spread evenly.
func (t *table[R]) guess(c int, name ident.NameID) int {
	end := ^ident.NameID(0)
	if c+1 < len(t.heads) {
		end = t.heads[c+1]
	}
	from, n := t.heads[c], uint64(len(t.chunks[c].keys))
	return int(uint64(name-from) / max(1, uint64(end-from)/max(1, n)))
}

// get returns the row of name, or nil. It is good until the next insert or delete.
func (t *table[R]) get(name ident.NameID) *R {
	if c, i, found := t.locate(name); found {
		return &t.chunks[c].rows[i]
	}
	return nil
}

// insert adds a row for a name that has none.
func (t *table[R]) insert(name ident.NameID, row R) {
	c, i, _ := t.locate(name)
	if len(t.chunks) == 0 {
		t.chunks = append(t.chunks, t.fresh())
		t.heads = append(t.heads, name)
	}
	if len(t.chunks[c].keys) == chunkRows {
		t.split(c)
		c, i, _ = t.locate(name)
	}
	ch := &t.chunks[c]
	ch.keys = slices.Insert(ch.keys, i, name)
	ch.rows = slices.Insert(ch.rows, i, row)
	t.heads[c] = ch.keys[0]
	t.n++
}

// delete removes the row of name and reports whether there was one.
func (t *table[R]) delete(name ident.NameID) bool {
	c, i, found := t.locate(name)
	if !found {
		return false
	}
	t.cut(c, i)
	t.settle(c + 1)
	t.settle(c)
	return true
}

// walk visits up to budget rows from the name on and returns the name to go on with; 0
// means that the end was reached.
func (t *table[R]) walk(from ident.NameID, budget int, visit func(ident.NameID, *R) step) ident.NameID {
	c, i, _ := t.locate(from)
	stopped := false
	for c < len(t.chunks) && budget > 0 && !stopped {
		ch := &t.chunks[c]
		if i == len(ch.keys) {
			if !t.settle(c) {
				c++
			}
			i = 0
			continue
		}
		switch visit(ch.keys[i], &ch.rows[i]) {
		case keepRow:
			i++
		case cutRow:
			t.cut(c, i)
		case stopWalk:
			stopped = true
		}
		budget--
	}
	next := t.nameAt(c, i)
	t.settle(c + 1)
	t.settle(c)
	return next
}

// nameAt returns the name at a position, that of the next chunk when the position is
// past the end of its own, or 0 when nothing follows.
func (t *table[R]) nameAt(c, i int) ident.NameID {
	if c < len(t.chunks) && i == len(t.chunks[c].keys) {
		c, i = c+1, 0
	}
	if c >= len(t.chunks) {
		return 0
	}
	return t.chunks[c].keys[i]
}

// cut removes one row and leaves a chunk behind that may be empty: settle follows.
func (t *table[R]) cut(c, i int) {
	ch := &t.chunks[c]
	ch.keys = slices.Delete(ch.keys, i, i+1)
	ch.rows = slices.Delete(ch.rows, i, i+1)
	if len(ch.keys) > 0 {
		t.heads[c] = ch.keys[0]
	}
	t.n--
}

// settle merges chunk c into the one before it when both fit into mergeRows, and drops
// it when it is empty. It reports whether chunk c is gone.
func (t *table[R]) settle(c int) bool {
	if c >= len(t.chunks) {
		return false
	}
	ch := t.chunks[c]
	if len(ch.keys) > 0 {
		if c == 0 || len(t.chunks[c-1].keys)+len(ch.keys) > mergeRows {
			return false
		}
		before := &t.chunks[c-1]
		before.keys = append(before.keys, ch.keys...)
		before.rows = append(before.rows, ch.rows...)
	}
	t.spare = chunk[R]{keys: ch.keys[:0], rows: ch.rows[:0]}
	t.chunks = slices.Delete(t.chunks, c, c+1)
	t.heads = slices.Delete(t.heads, c, c+1)
	return true
}

// split moves the upper half of chunk c into a new chunk behind it.
func (t *table[R]) split(c int) {
	const half = chunkRows / 2
	upper := t.fresh()
	ch := &t.chunks[c]
	upper.keys = append(upper.keys, ch.keys[half:]...)
	upper.rows = append(upper.rows, ch.rows[half:]...)
	ch.keys, ch.rows = ch.keys[:half], ch.rows[:half]
	t.chunks = slices.Insert(t.chunks, c+1, upper)
	t.heads = slices.Insert(t.heads, c+1, upper.keys[0])
}

// fresh returns an empty chunk, the spare one when there is one.
func (t *table[R]) fresh() chunk[R] {
	ch := t.spare
	t.spare = chunk[R]{}
	return ch
}
