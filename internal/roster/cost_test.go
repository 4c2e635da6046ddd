package roster

import (
	"runtime"
	"testing"
	"unsafe"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
)

func TestMemoryPerMember(t *testing.T) {
	if n := unsafe.Sizeof(row{}); n != 20 {
		t.Fatalf("a row takes %d bytes", n)
	}
	if n := unsafe.Sizeof(suspicion{}); n != 40 {
		t.Fatalf("a suspicion takes %d bytes", n)
	}
	if n := unsafe.Sizeof(item{}); n != 20 {
		t.Fatalf("a piece of news takes %d bytes", n)
	}
	const n = 25000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r := filled(1, n)
	runtime.GC()
	runtime.ReadMemStats(&after)
	per := float64(after.HeapAlloc-before.HeapAlloc) / n
	if per > 38 {
		t.Fatalf("%.1f bytes per member", per)
	}
	t.Logf("%d members: %.1f bytes each, all included", r.Len(), per)
}

// What happens for each packet allocates nothing once the queues have their size.
func TestAllocs(t *testing.T) {
	r := filled(1, 2000)
	rnd := seed.New(1)
	dst, dead, inc := make([]Member, 0, 64), make([]Expired, 0, 8), uint32(1)
	now := vtime.Time(vtime.Hour)
	into := Difference{Tell: make([]Member, 0, 64), Want: make([]Member, 0, 64)}
	step := func() {
		inc++
		now += sec
		h := ident.Handle(2 + rnd.Intn(1999))
		m, _ := r.Lookup(h)
		m.State, m.Accuser = Suspect, 9
		r.Claim(m, now)
		r.Merge(Member{Peer: h, ID: m.ID, Inc: m.Inc + 1}, now)
		r.Merge(Member{Peer: h, ID: m.ID, Inc: m.Inc + 1, State: Dead}, now)
		r.Merge(Member{Peer: h, ID: m.ID, Inc: m.Inc + 2}, now)
		r.Next(now, 1200, dst)
		r.Pick(&rnd, h, 3, 4)
		r.PickDead(&rnd)
		r.Expire(now, dead)
		d := r.SubDigest(3)
		top := r.TopDigest()
		Differ(&d, &top)
		first, last := Part(3, 3)
		page, end := r.Page(first, last, dst)
		r.Compare(first, end, page, into)
		r.NextDeadline()
	}
	for range 3 * MaxNews {
		step() // the queues and the heap come to their size
	}
	if n := testing.AllocsPerRun(200, step); n != 0 {
		t.Fatalf("%v allocations a step", n)
	}
}

const benchMembers = 25000

func BenchmarkLookup(b *testing.B) {
	r := filled(1, benchMembers)
	for i := range b.N {
		r.Lookup(ident.Handle(1 + i%benchMembers))
	}
}

func BenchmarkPick(b *testing.B) {
	r, rnd := filled(1, benchMembers), seed.New(1)
	for range b.N {
		r.Pick(&rnd, 5, 6)
	}
}

func BenchmarkMergeRefresh(b *testing.B) {
	r := filled(1, benchMembers)
	for i := range b.N {
		h := ident.Handle(2 + i%(benchMembers-2))
		r.Load(Member{Peer: h, ID: idOf(h), Inc: uint32(2 + i/(benchMembers-2))}, 0)
	}
}

// A suspicion, its end and the return: all that moves rows.
func BenchmarkDeathAndReturn(b *testing.B) {
	r := filled(1, benchMembers)
	for i := range b.N {
		h := ident.Handle(2 + i*7919%(benchMembers-2))
		m, _ := r.Lookup(h)
		for _, s := range []State{Suspect, Dead} {
			m.State = s
			r.Load(m, 0)
		}
		r.Load(Member{Peer: h, ID: m.ID, Inc: m.Inc + 1}, 0)
	}
}

func BenchmarkFill(b *testing.B) {
	for range b.N {
		filled(1, benchMembers)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchMembers, "ns/member")
}

func BenchmarkSubDigest(b *testing.B) {
	r := filled(1, benchMembers)
	for i := range b.N {
		r.SubDigest(i % Buckets)
	}
}

// A packet out of two full queues.
func BenchmarkNext(b *testing.B) {
	r := filled(1, benchMembers)
	r.params.GossipBytes = 1 << 30
	dst := make([]Member, 0, 64)
	h := ident.Handle(1)
	for i := range b.N {
		if i%100 == 0 {
			b.StopTimer()
			for r.Pending() < 2*MaxNews-200 {
				h = 2 + (h+1)%(benchMembers-2)
				m, _ := r.Lookup(h)
				if m.Inc++; h%2 == 0 {
					r.Merge(Member{Peer: h, ID: m.ID, Inc: m.Inc}, 0)
					m.State = Suspect
				}
				r.Merge(m, 0)
			}
			b.StartTimer()
		}
		r.Next(vtime.Time(i)*sec, 1200, dst)
	}
}
