// Package seed is the core's only source of chance: a small generator that is forked,
// network to node to part, so that the draws of one part never shift those of another.
//
// A generator is SipHash-2-4 in counter mode: 24 bytes, no pointer, and unpredictable
// to whoever does not know its key, so that nonces and cookies drawn from it in the
// runtime (which keys it from the system's entropy) can't be guessed from earlier ones.
package seed

import (
	"math/bits"

	"github.com/dchest/siphash"
)

// Rand is a generator. The zero value is a valid generator with a known key.
type Rand struct {
	k0, k1, n uint64
}

// New returns a generator for the seed s. Equal seeds give equal streams.
func New(s uint64) Rand { return Keyed(s, 0x6f7665726c617921) }

// Keyed returns a generator with a 128-bit key.
func Keyed(k0, k1 uint64) Rand { return Rand{k0: k0, k1: k1} }

// Fork returns a generator of its own for the part called label. It does not draw
// from r, so the order of forks does not matter.
func (r *Rand) Fork(label uint64) Rand {
	var b [16]byte
	put(b[:8], label)
	put(b[8:], ^uint64(0))
	lo, hi := siphash.Hash128(r.k0, r.k1, b[:])
	return Rand{k0: lo, k1: hi}
}

// Uint64 draws 64 bits.
func (r *Rand) Uint64() uint64 {
	var b [8]byte
	put(b[:], r.n)
	r.n++
	return siphash.Hash(r.k0, r.k1, b[:])
}

// Uint32 draws 32 bits.
func (r *Rand) Uint32() uint32 { return uint32(r.Uint64() >> 32) }

// Intn draws from [0, n). n must be positive.
func (r *Rand) Intn(n int) int {
	if n <= 0 {
		panic("BUG: seed: Intn needs a positive bound")
	}
	hi, _ := bits.Mul64(r.Uint64(), uint64(n))
	return int(hi)
}

// Float64 draws from [0, 1).
func (r *Rand) Float64() float64 { return float64(r.Uint64()>>11) / (1 << 53) }

// Between draws from [lo, hi). It returns lo when the interval is empty.
func (r *Rand) Between(lo, hi int64) int64 {
	if hi <= lo {
		return lo
	}
	h, _ := bits.Mul64(r.Uint64(), uint64(hi-lo))
	return lo + int64(h)
}

func put(b []byte, v uint64) {
	_ = b[7]
	for i := range 8 {
		b[i] = byte(v >> (8 * i))
	}
}
