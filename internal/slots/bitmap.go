package slots

// bitmap is a ring of bits over slot numbers: a slot and the one a ring later share a
// place, so what has passed must be cleared before it comes round.
type bitmap struct {
	words []uint64
	n     int64
}

// newBitmap returns a ring for at least n slots at a time.
func newBitmap(n int64) bitmap {
	words := make([]uint64, (n+63)/64)
	return bitmap{words: words, n: int64(len(words)) * 64}
}

// place returns the word and the bit of a slot. Slots before the first are negative.
func (b *bitmap) place(slot int64) (int64, uint64) {
	i := slot % b.n
	if i < 0 {
		i += b.n
	}
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
