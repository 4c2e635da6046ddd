package session

import (
	"crypto/subtle"
	"hash"

	"golang.org/x/crypto/blake2s"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
)

// The labels keep the two keys that are derived from one public key apart.
const (
	labelMac1   = "overlay 1 mac1"
	labelCookie = "overlay 1 cookie"
)

// publicKeyed derives a key that everybody in the network knows for the receiver k, and
// nobody else: a key for telling packets apart, not for secrets.
func publicKeyed(label string, network [8]byte, k ident.Key) [blake2s.Size]byte {
	b := make([]byte, 0, len(labelCookie)+len(network)+len(k))
	b = append(b, label...)
	b = append(b, network[:]...)
	b = append(b, k[:]...)
	return blake2s.Sum256(b)
}

// newMac returns keyed BLAKE2s with a tag of 16 bytes.
func newMac(key []byte) hash.Hash {
	h, err := blake2s.New128(key)
	invariant.Check(err == nil, "session: a MAC key has 1 to 32 bytes")
	return h
}

// appendMac appends the MAC of data to b.
func appendMac(b []byte, h hash.Hash, data []byte) []byte {
	h.Reset()
	h.Write(data)
	return h.Sum(b)
}

// checkMac reports whether want is the MAC of data, in time that does not depend on
// where they differ.
func checkMac(h hash.Hash, data, want []byte) bool {
	var b [macSize]byte
	return subtle.ConstantTimeCompare(appendMac(b[:0], h, data), want) == 1
}

// mac1 and mac2 are the last two fields of an Init.
func mac1(init []byte) []byte { return init[len(init)-2*macSize : len(init)-macSize] }
func mac2(init []byte) []byte { return init[len(init)-macSize:] }

// before1 and before2 are what mac1 and mac2 are computed over.
func before1(init []byte) []byte { return init[:len(init)-2*macSize] }
func before2(init []byte) []byte { return init[:len(init)-macSize] }
