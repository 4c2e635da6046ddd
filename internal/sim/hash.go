package sim

import (
	"encoding/binary"
	"math/bits"
)

// mix is a bijection of 64 bits in which every bit of the result depends on every bit
// of x: the finalizer of SplitMix64. It places hosts and signs records; nobody has to
// be kept from guessing it, because the only adversary here is a test.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// scale maps a hash to [0, n).
func scale(hash uint64, n uint32) uint32 {
	return uint32((hash >> 32) * uint64(n) >> 32)
}

// fold absorbs x into the hash h.
func fold(h, x uint64) uint64 {
	hi, lo := bits.Mul64(h^x^0xa0761d6478bd642f, 0xe7037ed1a0b428db)
	return hi ^ lo ^ h>>1
}

// foldBytes absorbs b, its length included.
func foldBytes(h uint64, b []byte) uint64 {
	h = fold(h, uint64(len(b)))
	for len(b) >= 8 {
		h = fold(h, binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	if len(b) > 0 {
		var tail [8]byte
		copy(tail[:], b)
		h = fold(h, binary.LittleEndian.Uint64(tail[:]))
	}
	return h
}

// chance reports whether a 16-bit draw hits a probability given in 1/65536.
func chance(draw uint64, share uint32) bool { return uint32(draw&0xffff) < share }

// share16 turns a probability into 1/65536, rounded up so that a small one stays one.
func share16(p float64) uint32 {
	v := uint32(p * 65536)
	if v == 0 && p > 0 {
		v = 1
	}
	return v
}
