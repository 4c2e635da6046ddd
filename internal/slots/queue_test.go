package slots

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

// TestQueueIsFirstComeFirstServed compares with a slice.
func TestQueueIsFirstComeFirstServed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bound := rapid.IntRange(1, 50).Draw(t, "bound")
		rate := rapid.IntRange(1, 20).Draw(t, "rate")
		patience := vtime.Duration(rapid.Int64Range(0, int64(3*vtime.Second)).Draw(t, "patience"))
		q := NewQueue(bound, rate, patience)
		var model []Entry
		var now vtime.Time
		served := 0
		for i := range rapid.IntRange(1, 300).Draw(t, "steps") {
			now = now.Add(vtime.Duration(rapid.Int64Range(0, int64(200*vtime.Millisecond)).Draw(t, "dt")))
			e := Entry{Peer: ident.Handle(i + 1), Arrived: now}
			if q.Push(e) != (len(model) < bound) {
				t.Fatalf("push with %d of %d", len(model), bound)
			} else if len(model) < bound {
				model = append(model, e)
			}
			if rapid.Bool().Draw(t, "pop") {
				before := q.Dropped()
				e, ok := q.Pop(now)
				for range q.Dropped() - before {
					if now.Sub(model[0].Arrived) <= patience {
						t.Fatal("dropped within its patience")
					}
					model = model[1:]
				}
				if ok {
					if e != model[0] || patience > 0 && now.Sub(e.Arrived) > patience {
						t.Fatalf("popped %+v at %d, first was %+v", e, now, model[0])
					}
					model = model[1:]
					served++
				}
			}
			if q.Len() != len(model) {
				t.Fatalf("%d wait, the model has %d", q.Len(), len(model))
			}
		}
		if limit := 1 + int(int64(now)*int64(rate)/int64(vtime.Second)); served > limit {
			t.Fatalf("served %d in %d ns at %d a second", served, now, rate)
		}
	})
}

// TestStaleWorkIsTheDisease is the mechanism of 2007 in one queue: arrivals at twice the
// rate for a minute, then clients that each return as long as they were not served in
// time. Without patience nothing that is served is still wanted; with it, everything is.
func TestStaleWorkIsTheDisease(t *testing.T) {
	const rate, bound, giveUp = 20, 2000, 10 * vtime.Second
	wanted := func(patience vtime.Duration) (useful, wasted int) {
		q := NewQueue(bound, rate, patience)
		for now := vtime.Time(0); now < 300*second; now += second / 40 {
			q.Push(Entry{Peer: 1, Arrived: now})
			for {
				e, ok := q.Pop(now)
				if !ok {
					break
				}
				switch {
				case now < 150*second:
				case now.Sub(e.Arrived) > giveUp:
					wasted++
				default:
					useful++
				}
			}
		}
		return useful, wasted
	}
	if useful, wasted := wanted(0); useful != 0 || wasted == 0 {
		t.Fatalf("first come first served: %d useful, %d wasted", useful, wasted)
	}
	if useful, wasted := wanted(giveUp); wasted != 0 || useful < 149*rate {
		t.Fatalf("expired work dropped: %d useful, %d wasted", useful, wasted)
	}
}

func TestQueueAllocatesNothing(t *testing.T) {
	q := NewQueue(100, 20, 0)
	now := vtime.Time(0)
	step := func() {
		now += second / 30
		q.Push(Entry{Peer: 1, Arrived: now})
		q.Pop(now)
	}
	for range 1000 {
		step()
	}
	if a := testing.AllocsPerRun(1000, step); a != 0 {
		t.Fatalf("a step allocates %v times", a)
	}
}
