package sim

import (
	"unsafe"

	"github.com/ada420b6/overlay/internal/invariant"
)

// Sizes of a block of the arena: a message takes the smallest that holds it. Most
// messages of a compact book are below 64 bytes; none is above wire.MaxMessage.
var blockSizes = [...]int{32, 64, 128, 352, 1216}

// blockBits sets the chunk of an arena: 2^10 blocks.
const blockBits = 10

// arena is the memory of messages in flight: blocks of a few sizes, given back one by
// one. A reference names size and block, so a queued message is four bytes.
type arena struct {
	size [len(blockSizes)]blocks
}

type blocks struct {
	chunks [][]byte
	used   uint32
	empty  []uint32
}

const sizeShift = 29 // a reference is the number of the size, then that of the block

// put copies b and returns its reference.
func (a *arena) put(b []byte) uint32 {
	for i := range a.size {
		if len(b) > blockSizes[i] {
			continue
		}
		s := &a.size[i]
		var n uint32
		if last := len(s.empty) - 1; last >= 0 {
			n = s.empty[last]
			s.empty = s.empty[:last]
		} else {
			n = s.used
			invariant.Check(n < 1<<sizeShift, "sim: more messages are in flight than a reference can name")
			s.used++
			if int(n>>blockBits) == len(s.chunks) {
				s.chunks = append(s.chunks, make([]byte, blockSizes[i]<<blockBits))
			}
		}
		ref := uint32(i)<<sizeShift | n
		copy(a.get(ref, len(b)), b)
		return ref
	}
	panic("BUG: sim: a message beyond the limit reached the arena")
}

// get returns the n bytes of a message. They are valid until free.
func (a *arena) get(ref uint32, n int) []byte {
	i, block := ref>>sizeShift, ref&(1<<sizeShift-1)
	off := int(block&(1<<blockBits-1)) * blockSizes[i]
	return a.size[i].chunks[block>>blockBits][off : off+n : off+n]
}

func (a *arena) free(ref uint32) {
	s := &a.size[ref>>sizeShift]
	s.empty = append(s.empty, ref&(1<<sizeShift-1))
}

// bytes returns how much memory the arena holds.
func (a *arena) bytes() (n int) {
	for i := range a.size {
		n += len(a.size[i].chunks)*blockSizes[i]<<blockBits + cap(a.size[i].empty)*4
	}
	return n
}

// arenaBytes is the unit in which the collector takes memory from the system.
const arenaBytes = 64 << 20

// large returns a slice of n zero values, on large pages where the system gives them.
func large[T any](n int) []T {
	s := make([]T, n)
	if n > 0 {
		adviseLarge(unsafe.Pointer(&s[0]), uintptr(n)*unsafe.Sizeof(s[0]))
	}
	return s
}

// bigger returns a copy of s with twice the room.
func bigger[T any](s []T) []T {
	b := large[T](max(64, 2*cap(s)))
	return b[:copy(b, s)]
}
