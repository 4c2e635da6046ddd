package runtime

import (
	"encoding/binary"

	"github.com/ada420b6/overlay/internal/attach"
	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/core"
)

// MaxCache bounds what a policy may have a node remember: on disk 4 096 x 52 B = 213 kB.
const MaxCache = 1 << 12

// Flags of an entry on disk.
const (
	flagTried   = 1 << iota // the node was attached to it once
	flagHearsay             // its address was never more than hearsay, and a restart makes it no better
)

// encodeCache returns the host cache as it is kept: flags 1 | peer, in its order.
func encodeCache(k *Book, cache []core.CacheEntry) (b []byte) {
	for _, e := range cache[:attach.Cache(cache).Len()] {
		if !k.at(e.Peer).addr.IsValid() {
			continue // nobody can be reached by a key alone
		}
		var flags byte
		if e.Tried {
			flags |= flagTried
		}
		if k.at(e.Peer).rank == hearsay {
			flags |= flagHearsay
		}
		b = k.AppendPeer(append(b, flags), e.Peer)
	}
	return b
}

// decodeCache fills an empty host cache. What does not parse ends it: the checksum held,
// so another version wrote it.
func decodeCache(k *Book, b []byte, cache []core.CacheEntry) {
	for i := 0; i < len(cache) && len(b) > 1; {
		r := kept
		if b[0]&flagHearsay != 0 {
			r = hearsay
		}
		h, rest, err := k.parsePeer(b[1:], r)
		if err != nil {
			return
		}
		if h != k.self && !attach.Cache(cache).Has(h) {
			cache[i] = core.CacheEntry{Peer: h, Tried: b[0]&flagTried != 0}
			i++
		}
		b = rest
	}
}

// encodeRoster returns every member record in the book: count 4 | records. They are
// signed, so that what comes back from the disk can be given to others again.
func encodeRoster(k *Book) []byte {
	b := make([]byte, 4)
	n := uint32(0)
	for h := range k.entries {
		if blob := k.entries[h].member.blob; blob != nil {
			b = append(b, blob...)
			n++
		}
	}
	binary.BigEndian.PutUint32(b, n)
	return b
}

// decodeRoster returns the members that were kept. Their signatures were verified before
// they were written: 25 000 of them would cost 3 s. Those that are over by this machine's
// clock are left out; if it is wrong, the host cache still knows where they are.
func decodeRoster(k *Book, b []byte) (known []core.Known) {
	if len(b) < 4 {
		return nil
	}
	k.trusted = true
	defer func() { k.trusted = false }()
	n := binary.BigEndian.Uint32(b)
	for b = b[4:]; n > 0 && len(b) > 0; n-- {
		m, rest, err := k.ParseMember(b)
		if err != nil {
			return known
		}
		e := k.at(m.Peer)
		if c, _, err := cert.Parse(e.member.blob); err != nil || k.time.aged(&c) {
			e.member = memberBlob{}
		} else if m.Peer != k.self {
			known = append(known, core.Known{Peer: m.Peer, Inc: m.Inc})
		}
		b = rest
	}
	return known
}
