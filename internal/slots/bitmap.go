package slots

// bitmap is a ring of bits over slot numbers: a slot and the one a ring later share a
// place, so what has passed must be cleared before it comes round.
type bitmap struct {
	words []uint64
	n     int64
}

// newBitmap returns a ring for at least n slots at a time: a power of two, so that a
// slot's place is a mask away, slots before the first included, which are negative.
func newBitmap(n int64) bitmap {
	size := int64(64)
	for size < n {
		size *= 2
	}
	return bitmap{words: make([]uint64, size/64), n: size}
}

// place returns the word and the bit of a slot.
func (b *bitmap) place(slot int64) (int64, uint64) {
	i := slot & (b.n - 1)
	return i / 64, 1 << (i % 64)
}

func (b *bitmap) get(slot int64) bool {
	w, bit := b.place(slot)
	return b.words[w]&bit != 0
}

func (b *bitmap) set(slot int64) {
	w, bit := b.place(slot)
	b.words[w] |= bit
}

func (b *bitmap) clear(slot int64) {
	w, bit := b.place(slot)
	b.words[w] &^= bit
}

func (b *bitmap) reset() { clear(b.words) }
