package session

import "encoding/binary"

// maxEphemerals is how many Inits are remembered: 8192 x (8 B ring + about 20 B map)
// = 230 kB, reached only by a node that receives as many. At 20 attaches a second that
// is 7 min.
const maxEphemerals = 8192

// ephemerals is the filter of replayed Inits: the last maxEphemerals ephemeral keys, by
// their first 8 bytes. Only keys of authenticated Inits are remembered, so nobody can
// flush it without handshakes, and nobody can have another's Init dropped without
// guessing 8 bytes of its key.
type ephemerals struct {
	ring []uint64
	at   int // where the oldest is, once the ring is full
	seen map[uint64]struct{}
}

// has reports whether the ephemeral public key e was added and not yet forgotten.
func (f *ephemerals) has(e []byte) bool {
	_, ok := f.seen[binary.LittleEndian.Uint64(e)]
	return ok
}

// add remembers e and forgets the oldest key when there are maxEphemerals.
func (f *ephemerals) add(e []byte) {
	if f.seen == nil {
		f.seen = make(map[uint64]struct{})
	}
	k := binary.LittleEndian.Uint64(e)
	if len(f.ring) < maxEphemerals {
		f.ring = append(f.ring, k)
	} else {
		delete(f.seen, f.ring[f.at])
		f.ring[f.at] = k
		f.at = (f.at + 1) % maxEphemerals
	}
	f.seen[k] = struct{}{}
}
