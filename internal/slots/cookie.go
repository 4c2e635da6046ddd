package slots

import (
	"encoding/binary"

	"github.com/dchest/siphash"
)

// Cookie is the proof that this supernode made this offer: a keyed hash of the asker's
// address, the slot and the class. It stands in for the state that is not kept. 64 bits
// are enough for something that is guessed online and is worth one attach: at a million
// guesses a second, guessing through the 65 s of a slot succeeds once in 280 billion tries.
func Cookie(secret [2]uint64, origin uint64, slot uint32, class Class) uint64 {
	var b [13]byte
	binary.LittleEndian.PutUint64(b[:8], origin)
	binary.LittleEndian.PutUint32(b[8:12], slot)
	b[12] = byte(class)
	return siphash.Hash(secret[0], secret[1], b[:])
}

func (c *Calendar) cookie(origin uint64, slot uint32, class Class) uint64 {
	return Cookie(c.secret, origin, slot, class)
}
