package runtime

import (
	"encoding/binary"
	"net/netip"

	"github.com/dchest/siphash"

	"github.com/ada420b6/overlay/internal/vtime"
)

// bucket bounds a rate: so many at once, and one more per interval.
type bucket struct {
	since vtime.Time
	spent int
}

const (
	// afarBurst and afarEvery bound the sockets that are opened to dial back from: a
	// supernode's 1600 nodes want 3 dial-backs in 10 minutes each, 8 a second.
	afarBurst = 32
	afarEvery = 50 * vtime.Millisecond

	// sourceBurst and sourceEvery bound what one address brings into the queue of
	// sessions. At once it is a quarter of the queue (1024), over time 1000 packets a
	// second, 1 % of a core at 10 us each. The keepalives of all 1600 attachments of a
	// supernode are 80 a second, should they be behind one NAT.
	sourceBurst = liveQueue / 4
	sourceEvery = vtime.Millisecond

	// sourceBuckets is how many rates are kept: 2048 x 16 B = 32 KiB. Addresses share
	// one by a keyed hash: nothing has to be forgotten, whoever makes addresses up gets
	// no rate that is new, and nobody can choose whose rate he shares.
	sourceBuckets = 2048
)

// take spends one and reports whether there was one.
func (b *bucket) take(now vtime.Time, burst int, every vtime.Duration) bool {
	if back := int(now.Sub(b.since) / every); back > 0 {
		b.spent = max(0, b.spent-back)
		b.since = b.since.Add(vtime.Duration(back) * every)
	}
	if b.spent >= burst {
		return false
	}
	b.spent++
	return true
}

// sources bounds what each source address brings in. The reader cannot tell whose
// session a packet belongs to before the loop has opened it; who sends more than any
// peer would waits with the strangers.
type sources struct {
	key     [2]uint64
	buckets [sourceBuckets]bucket
}

// take spends one of from's packets and reports whether there was one. Ports don't
// count, nor the half of an IPv6 address that its owner can choose: they cost nothing.
func (s *sources) take(from netip.Addr, now vtime.Time) bool {
	ip := from.As16()
	n := binary.BigEndian.Uint64(ip[:])
	if from.Unmap().Is4() {
		n = binary.BigEndian.Uint64(ip[8:])
	}
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	i := siphash.Hash(s.key[0], s.key[1], b[:]) % sourceBuckets
	return s.buckets[i].take(now, sourceBurst, sourceEvery)
}
