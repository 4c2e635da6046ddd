package sim

import (
	"sort"
	"testing"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/vtime"
)

// TestQueueOrder compares the wheel with a sorted list, whatever is pushed and popped
// in between: from now, in the same tick, and years ahead.
func TestQueueOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var model []event
		var now vtime.Time
		var seq uint32
		for range rapid.IntRange(1, 200).Draw(t, "ops") {
			if rapid.Bool().Draw(t, "push") {
				shift := rapid.IntRange(0, 52).Draw(t, "shift")
				at := now + vtime.Time(rapid.Uint64Range(0, 1<<shift).Draw(t, "ahead"))
				seq++
				e := event{at: at, host: seq}
				q.push(e)
				e.seq = seq
				model = append(model, e)
				sort.Slice(model, func(i, j int) bool {
					return model[i].at < model[j].at || model[i].at == model[j].at && model[i].seq < model[j].seq
				})
				continue
			}
			limit := now + vtime.Time(rapid.Uint64Range(0, 1<<rapid.IntRange(0, 45).Draw(t, "reach")).Draw(t, "limit"))
			e := q.pop(limit)
			ok := e != nil
			if want := len(model) > 0 && model[0].at <= limit; ok != want {
				t.Fatalf("pop by %d: got %v, want %v", limit, ok, want)
			}
			if !ok {
				now = limit
				continue
			}
			if e.host != model[0].host || e.at != model[0].at {
				t.Fatalf("popped %d at %d, want %d at %d", e.host, e.at, model[0].host, model[0].at)
			}
			now, model = e.at, model[1:]
		}
		if q.count != len(model) {
			t.Fatalf("%d events wait, want %d", q.count, len(model))
		}
	})
}

// TestArena keeps messages of every size apart while blocks are given back.
func TestArena(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a arena
		type held struct {
			ref  uint32
			n    int
			fill byte
		}
		var all []held
		for k := range rapid.IntRange(1, 100).Draw(t, "ops") {
			if len(all) > 0 && rapid.IntRange(0, 2).Draw(t, "free") == 0 {
				i := rapid.IntRange(0, len(all)-1).Draw(t, "which")
				a.free(all[i].ref)
				all = append(all[:i], all[i+1:]...)
				continue
			}
			b := make([]byte, rapid.IntRange(0, 1200).Draw(t, "size"))
			for i := range b {
				b[i] = byte(k)
			}
			all = append(all, held{a.put(b), len(b), byte(k)})
		}
		for _, h := range all {
			for _, c := range a.get(h.ref, h.n) {
				if c != h.fill {
					t.Fatalf("a message of %d bytes was overwritten", h.n)
				}
			}
		}
	})
}

// TestQueueReuse shows that steady state takes no memory: what is popped is used again.
func TestQueueReuse(t *testing.T) {
	var q queue
	for i := range vtime.Time(100_000) {
		q.push(event{at: i * 1000})
		if i >= 100 {
			if q.pop(i*1000) == nil {
				t.Fatal("nothing to pop")
			}
		}
	}
	if n := len(q.blocks); n > 10 {
		t.Errorf("%d blocks of 31 for 100 waiting events", n)
	}
}

func BenchmarkQueue(b *testing.B) {
	for _, waiting := range []int{1_000, 1_000_000} {
		b.Run(sizeName(waiting), func(b *testing.B) {
			var q queue
			for i := range waiting {
				q.push(event{at: vtime.Time(mix(uint64(i)) % uint64(30*vtime.Second))})
			}
			b.ReportAllocs()
			for b.Loop() {
				e := *q.pop(vtime.Never - 1)
				e.at = e.at.Add(vtime.Duration(mix(uint64(e.seq)) % uint64(30*vtime.Second)))
				q.push(e)
			}
		})
	}
}

func sizeName(n int) string {
	switch {
	case n >= 1_000_000:
		return "1M"
	case n >= 100_000:
		return "100k"
	}
	return "1k"
}
