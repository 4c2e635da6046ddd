package directory

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

// TestTableIsASortedMap drives a table and a map with the same verbs. Keys are few, so
// that chunks split, merge and empty.
func TestTableIsASortedMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tb table[int]
		model := map[ident.NameID]int{}
		ops := rapid.SliceOfN(rapid.Uint32Range(0, 1<<20), 0, 3000).Draw(t, "ops")
		grow := rapid.IntRange(1, 9).Draw(t, "inserts of 10")
		for i, op := range ops {
			key := ident.NameID(1 + op%1500)
			switch {
			case i%500 == 499:
				from, seen := ident.NameID(0), 0
				tb.walk(from, len(model), func(k ident.NameID, _ *int) step {
					seen++
					if k%3 == 0 {
						delete(model, k)
						return cutRow
					}
					return keepRow
				})
			case int(op>>11)%10 < grow:
				if tb.get(key) == nil {
					tb.insert(key, i)
					model[key] = i
				}
			default:
				_, in := model[key]
				if tb.delete(key) != in {
					t.Fatalf("delete(%d) disagrees with the model", key)
				}
				delete(model, key)
			}
		}
		checkTable(t, &tb, model)
	})
}

func checkTable(t *rapid.T, tb *table[int], model map[ident.NameID]int) {
	if tb.n != len(model) {
		t.Fatalf("table has %d rows, the model %d", tb.n, len(model))
	}
	var keys []ident.NameID
	for i, ch := range tb.chunks {
		if len(ch.keys) == 0 || len(ch.keys) > chunkRows || len(ch.keys) != len(ch.rows) {
			t.Fatalf("chunk %d holds %d keys and %d rows", i, len(ch.keys), len(ch.rows))
		}
		if len(tb.heads) != len(tb.chunks) || len(ch.keys) > 0 && tb.heads[i] != ch.keys[0] {
			t.Fatalf("%d heads of %d chunks, that of %d is %d", len(tb.heads), len(tb.chunks), i, tb.heads[i])
		}
		if i > 0 && len(tb.chunks[i-1].keys)+len(ch.keys) <= mergeRows {
			t.Fatalf("chunks %d and %d should be one", i-1, i)
		}
		keys = append(keys, ch.keys...)
	}
	if !slices.IsSorted(keys) {
		t.Fatal("table is out of order")
	}
	for k, v := range model {
		if row := tb.get(k); row == nil || *row != v {
			t.Fatalf("row %d is lost or wrong", k)
		}
	}
	// In pieces, a walk meets every row once.
	var met []ident.NameID
	for from := ident.NameID(0); ; {
		from = tb.walk(from, 7, func(k ident.NameID, _ *int) step { met = append(met, k); return keepRow })
		if from == 0 {
			break
		}
	}
	if !slices.Equal(met, keys) {
		t.Fatalf("walk met %d rows of %d", len(met), len(keys))
	}
}

// TestStoreNeverGoesBack is R8 at a replica: the sequence number of what Get returns
// never falls while the record lives, the bound holds, and what expired is gone.
func TestStoreNeverGoesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const bound, life = 20, 12 * vtime.Second
		s := NewStore(bound, life/lives)
		type seen struct {
			seq uint64
			put vtime.Time
		}
		last := map[ident.NameID]seen{}
		now := vtime.Time(0)
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			now = now.Add(vtime.Duration(rapid.Int64Range(0, int64(vtime.Second)).Draw(t, "dt")))
			id := ident.NameID(rapid.IntRange(1, 40).Draw(t, "name"))
			switch rapid.IntRange(0, 3).Draw(t, "op") {
			case 0:
				s.Sweep(now, 5)
			case 1, 2:
				seq := rapid.Uint64Range(1, 6).Draw(t, "seq")
				held, alive := s.Get(id, now)
				got := s.Put(Record{Name: id, Owner: 1, Seq: seq}, func(ident.NameID) bool { return rapid.Bool().Draw(t, "mine") }, now)
				if alive && seq < held.Seq && got != PutStale {
					t.Fatalf("put %d over %d: %v", seq, held.Seq, got)
				}
				if got == PutStored || got == PutRefreshed {
					last[id] = seen{seq, now}
				}
			case 3:
				rec, ok := s.Get(id, now)
				if ok && (rec.Seq != last[id].seq || now >= last[id].put.Add(life)) {
					t.Fatalf("got seq %d at %d, last stored %+v", rec.Seq, now, last[id])
				}
			}
			if s.Len() > bound {
				t.Fatalf("%d records, bound %d", s.Len(), bound)
			}
		}
		s.Sweep(now.Add(life), 2*bound)
		if s.Sweep(now.Add(life), 2*bound); s.Len() != 0 {
			t.Fatalf("%d records are left after all expired", s.Len())
		}
	})
}

func TestFullStorePrefersItsOwnZones(t *testing.T) {
	const bound = 200
	s := NewStore(bound, refreshEvery)
	foreign, asked := map[ident.NameID]bool{name(bound): true}, 0
	mine := func(n ident.NameID) bool { asked++; return !foreign[n] }
	for i := range bound {
		foreign[name(i)] = i%2 == 1
		if got := s.Put(Record{Name: name(i), Seq: 1}, mine, 0); got != PutStored || asked > 0 {
			t.Fatalf("put %d: %v, %d questions before the store is full", i, got, asked)
		}
	}
	if got := s.Put(Record{Name: name(bound), Seq: 1}, mine, 0); got != PutFull {
		t.Fatalf("a foreign record in a full store: %v", got)
	}
	for i := range bound / 2 {
		if got := s.Put(Record{Name: name(1000 + i), Seq: 1}, mine, 0); got != PutStored {
			t.Fatalf("own record %d while foreign ones are held: %v", i, got)
		}
	}
	if got := s.Put(Record{Name: name(5000), Seq: 1}, mine, 0); got != PutFull {
		t.Fatalf("own record in a store of own records: %v", got)
	}
	for i := range bound {
		if _, held := s.Get(name(i), 0); held == foreign[name(i)] {
			t.Fatalf("record %d, foreign %v: held %v", i, foreign[name(i)], held)
		}
	}
}

func own(ident.NameID) bool { return true }

func TestStoreAllocatesNothing(t *testing.T) {
	s := NewStore(0, refreshEvery)
	for i := range 5000 {
		s.Put(Record{Name: name(i), Seq: 1}, own, 0)
	}
	i := 0
	if a := testing.AllocsPerRun(2000, func() {
		s.Put(Record{Name: name(i), Seq: 2}, own, second)
		s.Get(name(i), second)
		s.Sweep(second, 50)
		i++
	}); a != 0 {
		t.Fatalf("a put, a get and a sweep allocate %v times", a)
	}
}

func BenchmarkStorePut(b *testing.B) {
	const n = 50_000
	b.ReportAllocs()
	s := NewStore(0, refreshEvery)
	for i := 0; b.Loop(); i++ {
		if i%n == 0 {
			s = NewStore(0, refreshEvery)
		}
		s.Put(Record{Name: name(i % n), Seq: 1}, own, 0)
	}
}

// TestPuttingAgainRenews: a record lives as long as it is refreshed, and no longer.
func TestPuttingAgainRenews(t *testing.T) {
	s := NewStore(0, refreshEvery)
	now := vtime.Time(0)
	for range 10 {
		if got := s.Put(Record{Name: 5, Seq: 3}, own, now); now > 0 && got != PutRefreshed {
			t.Fatalf("put again: %v", got)
		}
		now = now.Add(lives*refreshEvery - 1)
		if _, ok := s.Get(5, now); !ok {
			t.Fatalf("a refreshed record is gone at %d", now)
		}
	}
	if _, ok := s.Get(5, now+1); ok {
		t.Fatal("a record outlives its life")
	}
}
