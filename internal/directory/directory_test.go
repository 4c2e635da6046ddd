package directory

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
)

// The rhythm that core.DefaultPolicy hands down.
const (
	refreshEvery  = 10 * vtime.Minute
	hedgeAfter    = 150 * vtime.Millisecond
	lookupTimeout = vtime.Second
	retryAfter    = 500 * vtime.Millisecond
)

// member is a supernode of a test roster.
type member struct {
	h  ident.Handle
	id ident.ID
	g  ident.Group
}

// roster is the simplest Members there is.
type roster []member

func (r roster) Len() int                          { return len(r) }
func (r roster) At(i int) (ident.Handle, ident.ID) { return r[i].h, r[i].id }
func (r roster) Group(h ident.Handle) ident.Group {
	return r[slices.IndexFunc(r, func(m member) bool { return m.h == h })].g
}

// drawRoster makes n members spread over so many groups; 0 groups means all unknown.
func drawRoster(r *seed.Rand, n, groups int) *roster {
	list := make(roster, n)
	for i := range list {
		list[i] = member{h: ident.Handle(i + 1), id: ident.ID(r.Uint64())}
		if groups > 0 {
			list[i].g = ident.Group(1 + r.Intn(groups))
		}
	}
	return &list
}

func view(m Members) View { return View{Epoch: 7, Members: m, N: Replicas, GroupCap: GroupCap} }

// oracle ranks by sorting everything and reading off the rule; it shares only Score with
// Rank.
func oracle(zone ident.Zone, v View, list roster) []ident.Handle {
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, func(a, b member) int {
		return cmp.Or(cmp.Compare(Score(v.Epoch, b.id, zone), Score(v.Epoch, a.id, zone)), cmp.Compare(b.id, a.id))
	})
	var in []int
	inGroup := map[ident.Group]int{}
	for i, m := range sorted {
		if len(in) < v.N && (m.g == 0 || v.GroupCap == 0 || inGroup[m.g] < v.GroupCap) {
			in = append(in, i)
			inGroup[m.g]++
		}
	}
	for i := range sorted {
		if len(in) < v.N && !slices.Contains(in, i) {
			in = append(in, i)
		}
	}
	slices.Sort(in)
	var out []ident.Handle
	for _, i := range in {
		out = append(out, sorted[i].h)
	}
	return out
}

func TestRankIsTheRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := seed.New(rapid.Uint64().Draw(t, "seed"))
		list := drawRoster(&r, rapid.IntRange(0, 60).Draw(t, "members"), rapid.IntRange(0, 6).Draw(t, "groups"))
		v := view(list)
		v.N = rapid.IntRange(1, Replicas).Draw(t, "n")
		v.GroupCap = rapid.IntRange(0, 3).Draw(t, "cap")
		zone := ident.Zone(r.Uint32())
		got := Rank(zone, v)
		if want := oracle(zone, v, *list); !slices.Equal(got.All(), want) {
			t.Fatalf("Rank = %v, the rule says %v", got.All(), want)
		}
	})
}

// TestRankingKnowsWhenItIsOld lets one member come or go: where Admits and Has say that
// nothing changes, nothing may change.
func TestRankingKnowsWhenItIsOld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := seed.New(rapid.Uint64().Draw(t, "seed"))
		list := drawRoster(&r, rapid.IntRange(1, 40).Draw(t, "members"), rapid.IntRange(0, 8).Draw(t, "groups"))
		zone := ident.Zone(r.Uint32())
		all := Rank(zone, view(list))
		gone := (*list)[r.Intn(len(*list))]
		rest := slices.DeleteFunc(slices.Clone(*list), func(m member) bool { return m.h == gone.h })
		without := Rank(zone, view(&rest))
		same := slices.Equal(all.All(), without.All())
		if !all.Has(gone.h) && !same {
			t.Fatalf("%d was in no set, and its departure changed %v to %v", gone.h, all.All(), without.All())
		}
		if !without.Admits(Score(7, gone.id, zone)) && !same {
			t.Fatalf("%d was not to be admitted, and its arrival changed %v to %v", gone.h, without.All(), all.All())
		}
	})
}

func TestSharesAreBalanced(t *testing.T) {
	r := seed.New(3)
	list := drawRoster(&r, 200, 100)
	const zones = 4000
	load := make([]int, len(*list)+1)
	for z := range zones {
		rk := Rank(ident.Zone(z*16), view(list))
		for _, h := range rk.All() {
			load[h]++
		}
	}
	mean := zones * Replicas / len(*list)
	for h, n := range load[1:] {
		if n < mean/2 || n > 2*mean {
			t.Fatalf("member %d holds %d zones, the mean is %d", h+1, n, mean)
		}
	}
}

// TestReaderWithPartOfTheRoster is the claim on which the directory rests (PROTOCOL.md
// section 6): who lacks 30 % of the roster still asks a supernode first that holds the
// record, 99 times in 100.
func TestReaderWithPartOfTheRoster(t *testing.T) {
	r := seed.New(5)
	full := drawRoster(&r, 1000, 800)
	var part roster
	for _, m := range *full {
		if r.Intn(10) >= 3 {
			part = append(part, m)
		}
	}
	const zones = 3000
	hit := 0
	for z := range zones {
		writer, reader := Rank(ident.Zone(z*21), view(full)), Rank(ident.Zone(z*21), view(&part))
		if writer.Has(reader.All()[0]) {
			hit++
		}
	}
	if share := float64(hit) / zones; share < 0.99 {
		t.Fatalf("rank 1 holds the record in %.3f of the zones, want 0.99", share)
	}
}

func TestCacheIsTrue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := seed.New(rapid.Uint64().Draw(t, "seed"))
		list := drawRoster(&r, rapid.IntRange(1, 30).Draw(t, "members"), 5)
		var c Cache
		for range 40 {
			switch r.Intn(4) {
			case 0:
				m := member{h: ident.Handle(100 + r.Uint32()%1000000), id: ident.ID(r.Uint64()), g: ident.Group(r.Intn(5))}
				*list = append(*list, m)
				c.Joined(m.id)
			case 1:
				if n := len(*list); n > 0 {
					i := r.Intn(n)
					h := (*list)[i].h
					*list = slices.Delete(*list, i, i+1)
					c.Left(h)
				}
			default:
				zone := ident.Zone(r.Intn(300))
				got, want := c.Rank(zone, view(list)), Rank(zone, view(list))
				if !slices.Equal(got.All(), want.All()) {
					t.Fatalf("zone %d: cached %v, ranked %v", zone, got.All(), want.All())
				}
			}
		}
	})
}

func TestRankingAllocatesNothing(t *testing.T) {
	r := seed.New(1)
	list := drawRoster(&r, 500, 300)
	var c Cache
	zone := ident.Zone(0)
	if a := testing.AllocsPerRun(100, func() {
		zone += 77
		rk := c.Rank(zone, view(list))
		c.Left(rk.All()[0])
		c.Joined(ident.ID(zone))
	}); a != 0 {
		t.Fatalf("a ranking allocates %v times", a)
	}
}

func BenchmarkRank(b *testing.B) {
	r := seed.New(1)
	list := drawRoster(&r, 25_000, 20_000)
	v := view(list)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		rk := Rank(ident.Zone(i), v)
		if len(rk.All()) != Replicas {
			b.Fatal("short ranking")
		}
	}
}

// name returns the i-th of a fixed sequence of names spread over all zones.
func name(i int) ident.NameID { return ident.NameID(Score(99, ident.ID(i), 0) | 1) }

const second = vtime.Time(vtime.Second)
