package directory

import "github.com/ada420b6/overlay/internal/ident"

// Refer calls mark for every handle that the store refers to.
func (s *Store) Refer(mark func(ident.Handle)) {
	s.rows.walk(0, s.rows.n, func(_ ident.NameID, row *stored) step {
		mark(row.owner)
		mark(row.at[0])
		mark(row.at[1])
		return keepRow
	})
}

// Refer calls mark for every handle that a look-up in flight refers to.
func (l *Lookups) Refer(mark func(ident.Handle)) {
	for i := range l.open.cells {
		if _, p := l.open.at(i); p != nil {
			mark(p.query.Asker)
			for _, h := range p.query.Ranked.All() {
				mark(h)
			}
		}
	}
}

// Refer calls mark for every handle that a pending put refers to.
func (p *Pending) Refer(mark func(ident.Handle)) {
	for i := range p.open.cells {
		if _, q := p.open.at(i); q != nil {
			mark(q.to)
		}
	}
}
