package directory

// slab is a bounded table of open requests, named by numbers that do not come back soon:
// the place in the low 16 bits, the count of its uses in the high 16. An answer that
// comes too late names a use that is over and finds nothing.
type slab[T any] struct {
	cells []cell[T]
	free  []uint16
	live  int
}

type cell[T any] struct {
	use  uint16 // odd while in use
	item T
}

// slabMax is what 16 bits can name.
const slabMax = 1 << 16

// open returns a cell of its own, or nil when bound cells are in use. What the cell held
// before is overwritten by the caller.
func (s *slab[T]) open(bound int) (uint32, *T) {
	if s.live >= bound {
		return 0, nil
	}
	if len(s.free) == 0 {
		s.cells = append(s.cells, cell[T]{})
		s.free = append(s.free, uint16(len(s.cells)-1))
	}
	i := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	c := &s.cells[i]
	c.use++
	s.live++
	return uint32(c.use)<<16 | uint32(i), &c.item
}

// get returns the open request of that number, or nil.
func (s *slab[T]) get(id uint32) *T {
	i := int(id & 0xffff)
	if i >= len(s.cells) || s.cells[i].use != uint16(id>>16) || s.cells[i].use%2 == 0 {
		return nil
	}
	return &s.cells[i].item
}

// close ends the request of that number, which must be open.
func (s *slab[T]) close(id uint32) {
	i := uint16(id)
	s.cells[i].use++
	s.free = append(s.free, i)
	s.live--
}

// at returns the request at place i and its number, or nil when it is not open.
func (s *slab[T]) at(i int) (uint32, *T) {
	c := &s.cells[i]
	if c.use%2 == 0 {
		return 0, nil
	}
	return uint32(c.use)<<16 | uint32(i), &c.item
}
