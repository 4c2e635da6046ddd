package roster

import (
	"encoding/binary"
	"math/bits"

	"github.com/dchest/siphash"

	"github.com/ada420b6/overlay/internal/ident"
)

// Buckets is how many buckets the digest has, and how many parts a bucket: 32 x 8 B of
// hashes are one packet, and 25 000 members make parts of 24, a packet each.
const (
	Buckets    = 32
	bucketBits = 5
)

// Bucket returns the first and the last ID of a bucket.
func Bucket(bucket int) (first, last ident.ID) {
	first = ident.ID(bucket) << (64 - bucketBits)
	return first, first | MaxID>>bucketBits
}

// Part returns the first and the last ID of one part of a bucket.
func Part(bucket, part int) (first, last ident.ID) {
	first = ident.ID(bucket*Buckets+part) << (64 - 2*bucketBits)
	return first, first | MaxID>>(2*bucketBits)
}

// Differ returns the set of indices at which two digests differ: bit i for index i.
func Differ(a, b *[Buckets]uint64) uint32 {
	var set uint32
	for i := range a {
		if a[i] != b[i] {
			set |= 1 << i
		}
	}
	return set
}

// NextBucket takes the lowest index out of a set that Differ returned.
func NextBucket(set uint32) (index int, rest uint32) {
	return bits.TrailingZeros32(set), set & (set - 1)
}

// fingerprint is what one usable member adds to the digest. A suspect counts as alive:
// a suspicion passes in seconds, one way or the other, and gossip carries it.
func fingerprint(id ident.ID, inc uint32) uint64 {
	var b [12]byte
	binary.BigEndian.PutUint64(b[:8], uint64(id))
	binary.BigEndian.PutUint32(b[8:], inc)
	return siphash.Hash(0x6f7665726c617931, 0x726f737465722d31, b[:])
}

// toggle enters the usable row i into the digest, or takes it out.
func (r *Roster) toggle(i int) {
	w := &r.table.rows[i]
	r.top[w.idHigh>>(32-bucketBits)] ^= fingerprint(w.id(), w.inc)
}

// TopDigest returns the hashes of the buckets; 0 is an empty one. It is kept up to date:
// reading it costs nothing.
func (r *Roster) TopDigest() [Buckets]uint64 { return r.top }

// SubDigest returns the hashes of the parts of one bucket. They are computed from its
// members, 781 of 25 000 in 20 us: keeping them would cost 8 KiB in every roster.
func (r *Roster) SubDigest(bucket int) (d [Buckets]uint64) {
	t := &r.table
	first, last := Bucket(bucket)
	for p := t.seekID(first); p < len(t.byID); p++ {
		w := &t.rows[t.byID[p]]
		if w.id() > last {
			break
		}
		if w.state().Usable() {
			d[w.idHigh>>(32-2*bucketBits)&(Buckets-1)] ^= fingerprint(w.id(), w.inc)
		}
	}
	return d
}

// Count returns how many usable members have an ID from first to last, counting up to
// limit only: enough to know whether they fit into a page.
func (r *Roster) Count(first, last ident.ID, limit int) int {
	t, n := &r.table, 0
	for p := t.seekID(first); p < len(t.byID) && n < limit; p++ {
		w := &t.rows[t.byID[p]]
		if w.id() > last {
			break
		}
		if w.state().Usable() {
			n++
		}
	}
	return n
}

// Page appends the usable members with IDs from first to last, in the order of ID, within
// the capacity of dst, which must not be full. All of them up to end are in it: end is
// last if that was the whole range, and the next page starts at end+1.
func (r *Roster) Page(first, last ident.ID, dst []Member) (page []Member, end ident.ID) {
	t := &r.table
	for p := t.seekID(first); p < len(t.byID); p++ {
		i := int(t.byID[p])
		id := t.rows[i].id()
		if id > last {
			break
		}
		if !t.rows[i].state().Usable() {
			continue
		}
		if len(dst) == cap(dst) {
			return dst, id - 1
		}
		dst = append(dst, t.member(i))
	}
	return dst, last
}
