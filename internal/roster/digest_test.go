package roster

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/seed"
)

// The sizes of the messages of anti-entropy, as PROTOCOL.md's wire format has them.
const (
	digestBytes  = 2 + 1 + 32*8
	summaryBytes = 2 + 2 + 16 + 1
	listedBytes  = 8 + 4 + 1
	toldBytes    = 340
	pageSize     = 32
)

// exchange carries out the exchange that the package comment proposes, all of it at once,
// and returns its bytes and the one-way trips of its longest chain.
func exchange(a, b *Roster) (bytes, trips int) {
	bytes, trips = digestBytes, 1
	mine, yours := a.TopDigest(), b.TopDigest()
	differ := Differ(&mine, &yours)
	if differ == 0 {
		return bytes, trips
	}
	if b.Count(0, MaxID, pageSize+1) <= pageSize {
		return tell(b, a, 0, MaxID, bytes, 2)
	}
	for i, rest := NextBucket(differ); i < Buckets; i, rest = NextBucket(rest) {
		first, last := Bucket(i)
		if b.Count(first, last, pageSize+1) <= pageSize {
			bytes, trips = tell(b, a, first, last, bytes, 2)
			continue
		}
		yours := b.SubDigest(i)
		mine := a.SubDigest(i)
		bytes += digestBytes
		for j, rest := NextBucket(Differ(&mine, &yours)); j < Buckets; j, rest = NextBucket(rest) {
			first, last := Part(i, j)
			bytes, trips = tell(a, b, first, last, bytes, 3)
		}
	}
	return bytes, trips
}

// tell sends from's pages of a range to to, and settles what to finds.
func tell(from, to *Roster, first, last ident.ID, bytes, trips int) (int, int) {
	list := make([]Member, 0, pageSize)
	into := Difference{Tell: make([]Member, 0, to.Len()), Want: make([]Member, 0, pageSize)}
	for {
		page, end := from.Page(first, last, list)
		bytes += summaryBytes + listedBytes*len(page)
		d, ok := to.Compare(first, end, page, into)
		if !ok || d.End != end {
			panic("a page that its own roster made is refused")
		}
		for _, m := range d.Tell {
			bytes += hear(from, m, to)
		}
		for _, m := range d.Want {
			bytes += 8
			if m, ok := from.LookupID(m.ID); ok {
				bytes += hear(to, m, from)
			}
		}
		if end == last {
			return bytes, trips + 2
		}
		first = end + 1
	}
}

// hear lets r hear of m from by, as a record or as a notice, and returns the bytes. A
// notice ahead of the record is followed by the record, a record that a tombstone overrules
// by a notice back.
func hear(r *Roster, m Member, by *Roster) int {
	if m.State.Usable() {
		m.State = Alive
		if !r.Load(m, 0).Behind {
			return toldBytes
		}
		m, _ = r.LookupID(m.ID)
		return toldBytes + hear(by, m, r)
	}
	m.Accuser = by.self
	if !r.Claim(m, 0).Want {
		return listedBytes
	}
	r.Load(Member{Peer: m.Peer, ID: m.ID, Inc: m.Inc}, 0)
	r.Claim(m, 0)
	return 2*listedBytes + 8 + toldBytes
}

// drawRoster gives self a roster in which anything may be.
func drawRoster(t *rapid.T, self ident.Handle, n int) *Roster {
	r := newRoster(self)
	rnd := seed.New(rapid.Uint64().Draw(t, "seed"))
	skip, change := rnd.Float64(), rnd.Float64()
	for h := ident.Handle(3); h < ident.Handle(3+n); h++ {
		if rnd.Float64() < skip {
			continue
		}
		m := member(h, 1, Alive)
		if rnd.Float64() < change {
			m.Inc, m.State = uint32(rnd.Intn(3)), State(rnd.Intn(4))
		}
		r.Load(m, 0)
	}
	return r
}

// settled lets the suspicions of a and b run out: nobody refutes in these tests.
func settled(rs ...*Roster) {
	for _, r := range rs {
		for r.Suspects() > 0 {
			r.Expire(r.NextDeadline(), make([]Expired, 0, 64))
		}
	}
}

// Two arbitrary rosters agree after one exchange in bounded bytes and trips, up to the
// suspicions that it raised; when those have run out and the two exchange again, entirely.
func TestExchangeConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{0, 1, 5, 40, 300, 2500}).Draw(t, "members")
		a, b := drawRoster(t, 1, n), drawRoster(t, 2, n)
		differing := 0
		for h := ident.Handle(1); h < ident.Handle(3+n); h++ {
			x, okx := a.Lookup(h)
			y, oky := b.Lookup(h)
			if okx != oky || x.Inc != y.Inc || x.State.Usable() != y.State.Usable() {
				differing++
			}
		}
		bytes, trips := exchange(a, b)
		// The ladder, the pages of the parts that differ, and a record for each difference.
		ladder := 33*digestBytes + 2*summaryBytes*min(1024, differing) + listedBytes*min(2*n+4, 2*pageSize*(differing+1))
		if bytes > ladder+differing*(2*toldBytes+16+2*listedBytes) || trips > 5 {
			t.Fatalf("%d differences of %d: %d bytes, %d one-way trips", differing, n, bytes, trips)
		}
		check(t, a)
		check(t, b)
		settled(a, b)
		exchange(a, b)
		settled(a, b)
		exchange(a, b)
		if a.TopDigest() != b.TopDigest() {
			t.Fatalf("after the exchanges:\n%v\n%v", beliefs(a), beliefs(b))
		}
		if bytes, trips := exchange(a, b); bytes != digestBytes || trips != 1 {
			t.Fatalf("equal rosters exchange %d bytes in %d trips", bytes, trips)
		}
	})
}

// R11 for many: replicas that start from arbitrary beliefs and exchange in random pairs come
// to equal digests.
func TestReplicasConverge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const replicas = 8
		var rs [replicas]*Roster
		for i := range rs {
			rs[i] = drawRoster(t, ident.Handle(1000+i), 60)
		}
		rnd := seed.New(rapid.Uint64().Draw(t, "pairs"))
		for range 40 {
			for i := range rs {
				j := (i + 1 + rnd.Intn(replicas-1)) % replicas
				exchange(rs[i], rs[j])
			}
			settled(rs[:]...)
		}
		for i := range rs {
			if rs[i].TopDigest() != rs[0].TopDigest() {
				t.Fatalf("replica %d differs: %d usable members, replica 0 has %d", i, rs[i].Usable(), rs[0].Usable())
			}
		}
	})
}

// The halves of a mended partition: each has buried the other. Nobody may die of that: all
// are suspected, refute, and are in again.
func TestMendedPartition(t *testing.T) {
	const n = 40
	var rs [n + 1]*Roster
	for h := ident.Handle(1); h <= n; h++ {
		rs[h] = filled(h, n)
		for o := ident.Handle(1); o <= n; o++ {
			if o%2 != h%2 {
				rs[h].Merge(member(o, 1, Dead), 0)
			}
		}
	}
	// One of each half finds the other, as PickDead makes it: told that it is dead, it
	// comes with a later record.
	rs[1].Claim(member(1, 1, Dead), 0)
	rs[2].Merge(rs[1].Self(), 0)
	rs[2].Claim(member(2, 1, Dead), 0)
	rs[1].Merge(rs[2].Self(), 0)
	rnd := seed.New(4)
	for range 12 { // rounds of anti-entropy; in each, suspects hear of it and refute
		for h := ident.Handle(1); h <= n; h++ {
			exchange(rs[h], rs[rs[h].Pick(&rnd)])
		}
		for h := ident.Handle(1); h <= n; h++ {
			for o := ident.Handle(1); o <= n; o++ {
				if m, _ := rs[h].Lookup(o); m.State == Suspect && rs[o].Claim(m, 0).Refute {
					rs[h].Merge(rs[o].Self(), 0)
				}
			}
			if dead := rs[h].Expire(4*sec, make([]Expired, 0, 8)); len(dead) > 0 {
				t.Fatalf("%d buried %+v", h, dead)
			}
		}
	}
	for h := ident.Handle(1); h <= n; h++ {
		if rs[h].Usable() != n || rs[h].TopDigest() != rs[1].TopDigest() {
			t.Fatalf("%d has %d usable members", h, rs[h].Usable())
		}
	}
}

// A fresh member pulls the whole roster as the package comment says.
func TestFreshMemberPulls(t *testing.T) {
	for _, n := range []int{2, 25, 5000} {
		server, fresh := filled(1, n), newRoster(ident.Handle(n+1))
		bytes, trips := 0, 0
		for first := ident.ID(0); ; {
			trips++
			page, end := fresh.Page(first, MaxID, make([]Member, 0, pageSize))
			if end != MaxID {
				t.Fatalf("the fresh member holds more than a page beyond %x", first)
			}
			d, _ := server.Compare(first, end, page, Difference{Tell: make([]Member, 0, 24), Want: make([]Member, 0, 6)})
			bytes += summaryBytes + len(page)*listedBytes + len(d.Tell)*toldBytes
			for _, m := range d.Want {
				w, _ := fresh.LookupID(m.ID)
				server.Merge(w, 0)
			}
			for _, m := range d.Tell {
				fresh.Load(m, 0)
			}
			if len(d.Tell) == 0 {
				break
			}
			first = d.Tell[len(d.Tell)-1].ID + 1
		}
		if server.TopDigest() != fresh.TopDigest() || fresh.Pending() != 1 {
			t.Fatalf("%d of %d members pulled, %d pieces of news", fresh.Usable(), server.Usable(), fresh.Pending())
		}
		if most := (n+24)/24 + 1; trips > most || bytes > n*(toldBytes+2)+100 {
			t.Fatalf("%d members: %d round trips (%d), %d bytes", n, trips, most, bytes)
		}
		t.Logf("%d members pulled: %d round trips, %d bytes", n, trips, bytes)
	}
}

// Pages and digests against what they are defined by.
func TestPages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRoster(t, 1, 300)
		first, last := ident.ID(rapid.Uint64().Draw(t, "first")), ident.ID(rapid.Uint64().Draw(t, "last"))
		if first > last {
			first, last = last, first
		}
		var want, got []ident.ID
		var sub [Buckets][Buckets]uint64
		for i := range r.Usable() {
			m := r.Member(i)
			if first <= m.ID && m.ID <= last {
				want = append(want, m.ID)
			}
			sub[m.ID>>59][m.ID>>54&31] ^= fingerprint(m.ID, m.Inc)
		}
		slices.Sort(want)
		if n := r.Count(first, last, 1000); n != len(want) {
			t.Fatalf("Count says %d, want %d", n, len(want))
		}
		size := rapid.IntRange(1, 40).Draw(t, "size")
		for from := first; ; {
			page, end := r.Page(from, last, make([]Member, 0, size))
			for _, m := range page {
				got = append(got, m.ID)
			}
			if end == last {
				break
			}
			if len(page) != size || end < page[size-1].ID {
				t.Fatalf("a page of %d ends at %x", len(page), end)
			}
			from = end + 1
		}
		if !slices.Equal(got, want) {
			t.Fatalf("pages %x, want %x", got, want)
		}
		for i := range Buckets {
			if r.SubDigest(i) != sub[i] {
				t.Fatalf("the parts of bucket %d differ", i)
			}
			if lo, hi := Bucket(i); lo>>59 != ident.ID(i) || hi>>59 != ident.ID(i) || hi != MaxID && hi+1 != lo+1<<59 {
				t.Fatalf("bucket %d goes from %x to %x", i, lo, hi)
			}
			if lo, hi := Part(i, 31); lo>>54 != ident.ID(i*32+31) || hi>>54 != ident.ID(i*32+31) {
				t.Fatalf("part %d.31 goes from %x to %x", i, lo, hi)
			}
		}
	})
}

// A hostile page is refused, or compared within the room given; it never panics.
func FuzzCompare(f *testing.F) {
	f.Add(uint64(0), uint64(MaxID), []byte{1, 2, 3}, 3)
	f.Add(uint64(5), uint64(1), []byte{9, 9}, 0)
	r := filled(1, 20)
	f.Fuzz(func(t *testing.T, first, last uint64, ids []byte, room int) {
		room = min(max(room, 0), 64)
		var page []Member
		for _, b := range ids {
			m := Member{Peer: ident.Handle(b) + 1, ID: ident.ID(b) << 56, Inc: uint32(b)}
			if b%2 == 0 {
				m = member(ident.Handle(b%20)+1, uint32(b), Alive)
			}
			page = append(page, m)
		}
		d, ok := r.Compare(ident.ID(first), ident.ID(last), page, Difference{Tell: make([]Member, 0, room), Want: make([]Member, 0, room)})
		if !ok && len(d.Tell)+len(d.Want) > 0 || len(d.Tell) > room || len(d.Want) > room {
			t.Fatalf("%v: %d told, %d wanted", ok, len(d.Tell), len(d.Want))
		}
		for _, m := range append(d.Tell, d.Want...) {
			if m.ID < ident.ID(first) || m.ID > ident.ID(last) {
				t.Fatalf("%x is outside of the range", m.ID)
			}
		}
	})
}
