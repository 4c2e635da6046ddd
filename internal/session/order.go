package session

// order is a list of what embeds its links, oldest to newest. It allocates nothing, and
// an element leaves it without a search.
type order[T any] struct {
	root link[T] // newer: the oldest element; older: the newest
	n    int
}

// link is an element's place in an order. The zero value is in none.
type link[T any] struct {
	newer, older *link[T]
	of           T
}

// newest puts l, which stands for of, at the newest end, wherever it was.
func (o *order[T]) newest(l *link[T], of T) {
	o.remove(l)
	if o.root.older == nil {
		o.root.newer, o.root.older = &o.root, &o.root
	}
	l.of = of
	l.older, l.newer = o.root.older, &o.root
	l.older.newer, l.newer.older = l, l
	o.n++
}

// remove takes l out if it is in.
func (o *order[T]) remove(l *link[T]) {
	if l.newer == nil {
		return
	}
	l.older.newer, l.newer.older = l.newer, l.older
	*l = link[T]{}
	o.n--
}

// oldest returns the element at the oldest end.
func (o *order[T]) oldest() (of T, ok bool) {
	if o.n == 0 {
		return of, false
	}
	return o.root.newer.of, true
}
