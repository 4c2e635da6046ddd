package directory

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
)

// said is what a replica of a test says: nothing, no, or a record.
type said struct {
	silent bool
	found  bool
	seq    uint64
	after  vtime.Duration
}

// result is what the asker of one look-up was told, and when.
type result struct {
	told int
	act  Action
	at   vtime.Time
}

// play runs one look-up against replicas that behave as said.
func play(t *rapid.T, replicas []said, floor uint64) result {
	type letter struct {
		at   vtime.Time
		from ident.Handle
		id   uint32
	}
	l := NewLookups(0, hedgeAfter, lookupTimeout)
	var mail []letter
	var res result
	asked := map[ident.Handle]bool{}
	now := vtime.Time(0)
	carry := func(acts []Action) {
		for _, a := range acts {
			if a.To == ident.None {
				res.told++
				res.act, res.at = a, now
				continue
			}
			if asked[a.To] {
				t.Fatalf("%d was asked twice", a.To)
			}
			asked[a.To] = true
			if s := replicas[a.To-1]; !s.silent {
				mail = append(mail, letter{now.Add(s.after), a.To, a.ID})
			}
		}
	}
	var rk Ranking
	for i := range replicas {
		rk.list[i] = ident.Handle(i + 1)
		rk.n++
	}
	acts, ok := l.Start(nil, Query{Asker: 77, Tag: 5, Name: 9, Floor: floor, Ranked: rk}, now)
	if !ok {
		t.Fatal("refused")
	}
	carry(acts)
	for {
		// The next thing that happens: a letter, or the table's own deadline.
		next, from := l.Next(), -1
		for i, m := range mail {
			if m.at < next {
				next, from = m.at, i
			}
		}
		if next == vtime.Never {
			return res
		}
		now = next
		if from < 0 {
			carry(l.Due(nil, now))
			continue
		}
		m := mail[from]
		mail = append(mail[:from], mail[from+1:]...)
		s := replicas[m.from-1]
		acts, _ := l.Answer(nil, m.id, m.from, Record{Name: 9, Seq: s.seq}, s.found)
		carry(acts)
	}
}

func TestLookupEndsOnceInTimeAndRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var replicas []said
		floor := rapid.Uint64Range(0, 4).Draw(t, "floor")
		no, stale, good := 0, 0, 0
		for range rapid.IntRange(1, Replicas).Draw(t, "replicas") {
			s := said{
				silent: rapid.Bool().Draw(t, "silent"),
				found:  rapid.Bool().Draw(t, "found"),
				seq:    rapid.Uint64Range(1, 6).Draw(t, "seq"),
				after:  vtime.Duration(rapid.Int64Range(0, int64(400*vtime.Millisecond)).Draw(t, "after")),
			}
			replicas = append(replicas, s)
			switch {
			case s.silent:
			case !s.found:
				no++
			case s.seq < floor:
				stale++
			default:
				good++
			}
		}
		res := play(t, replicas, floor)
		if res.told != 1 || res.act.Asker != 77 || res.act.Tag != 5 || res.at > vtime.Time(lookupTimeout) {
			t.Fatalf("told %d times, last %+v at %d", res.told, res.act, res.at)
		}
		want := Unavailable
		switch {
		case good > 0:
			want = Found
		case 2*no > len(replicas) && stale == 0:
			want = None
		}
		if res.act.Outcome != want || want == Found && res.act.Record.Seq < floor {
			t.Fatalf("outcome %v (%+v), want %v", res.act.Outcome, res.act.Record, want)
		}
	})
}

func TestLookupHedges(t *testing.T) {
	l := NewLookups(0, hedgeAfter, lookupTimeout)
	r := seed.New(1)
	rk := Rank(5, view(drawRoster(&r, 20, 0)))
	acts, _ := l.Start(nil, Query{Asker: 1, Name: 9, Ranked: rk}, 0)
	if len(acts) != 2 || acts[0].To != rk.All()[0] || acts[1].To != rk.All()[1] {
		t.Fatalf("begins with %+v", acts)
	}
	if l.Next() != vtime.Time(hedgeAfter) {
		t.Fatalf("hedges at %d", l.Next())
	}
	if acts = l.Due(nil, l.Next()); len(acts) != 3 || acts[0].To != rk.All()[2] {
		t.Fatalf("hedges with %+v", acts)
	}
	if _, ok := l.Answer(nil, acts[0].ID, 999, Record{Name: 9}, true); ok {
		t.Fatal("an answer of somebody who was not asked was taken")
	}
	if _, ok := l.Answer(nil, acts[0].ID, acts[0].To, Record{Name: 8}, true); ok {
		t.Fatal("a record of another name was taken")
	}
}

// TestLookupsAreShared: an asker that floods gets its share, and others still get in.
func TestLookupsAreShared(t *testing.T) {
	l := NewLookups(200, hedgeAfter, lookupTimeout)
	var rk Ranking
	rk.list[0], rk.n = 3, 1
	got := 0
	for range 1000 {
		if _, ok := l.Start(nil, Query{Asker: 1, Name: 9, Ranked: rk}, 0); ok {
			got++
		}
	}
	if got != 100 {
		t.Fatalf("one asker got %d of 200", got)
	}
	others := 0
	for i := range 200 {
		if _, ok := l.Start(nil, Query{Asker: ident.Handle(10 + i), Name: 9, Ranked: rk}, 0); ok {
			others++
		}
	}
	if others != 100 || l.Len() != 200 {
		t.Fatalf("others got %d, %d in flight", others, l.Len())
	}
	if acts := l.Due(nil, second); len(acts) != 200 || l.Len() != 0 || l.Next() != vtime.Never {
		t.Fatalf("%d outcomes, %d left", len(acts), l.Len())
	}
}

// TestPendingRetriesThenGivesUp follows puts of which any may be acknowledged at any
// time: each is sent at most 1 + Retries times and is gone after 2.5 s.
func TestPendingRetriesThenGivesUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := NewPending(8, retryAfter)
		sent, over := map[uint32]int{}, map[uint32]bool{}
		for i := range 10 {
			id, ok := p.Start(name(i), ident.Handle(i+1), 0)
			if ok != (i < 8) {
				t.Fatalf("put %d: %v", i, ok)
			}
			if ok {
				sent[id] = 1
			}
		}
		ids := make([]uint32, 0, len(sent))
		for i := range 8 {
			ids = append(ids, 1<<16|uint32(i))
		}
		var now vtime.Time
		for p.Len() > 0 {
			id := rapid.SampledFrom(ids).Draw(t, "ack")
			from := ident.Handle(rapid.IntRange(1, 8).Draw(t, "from"))
			if _, ok := p.Ack(id, from); ok {
				if over[id] || from != ident.Handle(id&0xffff+1) {
					t.Fatalf("ack of %x from %d counted", id, from)
				}
				over[id] = true
			}
			now = p.Next()
			if now == vtime.Never {
				break
			}
			for _, a := range p.Due(nil, now) {
				if over[a.ID] {
					t.Fatalf("%x is over and was sent again", a.ID)
				}
				if over[a.ID] = a.GaveUp; !a.GaveUp {
					sent[a.ID]++
				}
			}
		}
		for id, n := range sent {
			if !over[id] || n > 1+Retries {
				t.Fatalf("%x: sent %d times, over %v", id, n, over[id])
			}
		}
		if now != vtime.Never && now > vtime.Time(2500*vtime.Millisecond) {
			t.Fatalf("the last put ended at %d", now)
		}
	})
}

func TestRequestsAllocateNothing(t *testing.T) {
	l, p := NewLookups(0, hedgeAfter, lookupTimeout), NewPending(0, retryAfter)
	r := seed.New(1)
	rk := Rank(5, view(drawRoster(&r, 20, 0)))
	acts, retries := make([]Action, 0, 64), make([]Retry, 0, 64)
	now := vtime.Time(0)
	step := func() {
		acts, _ = l.Start(acts[:0], Query{Asker: 1, Name: 9, Ranked: rk}, now)
		p.Start(9, 4, now)
		now += 100 * vtime.Time(vtime.Millisecond)
		acts = l.Due(acts[:0], now)
		retries = p.Due(retries[:0], now)
	}
	for range 50 {
		step()
	}
	if a := testing.AllocsPerRun(500, step); a != 0 {
		t.Fatalf("a step allocates %v times", a)
	}
}

func BenchmarkLookup(b *testing.B) {
	l := NewLookups(0, hedgeAfter, lookupTimeout)
	r := seed.New(1)
	rk := Rank(5, view(drawRoster(&r, 20, 0)))
	acts := make([]Action, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		acts, _ = l.Start(acts[:0], Query{Asker: 1, Name: 9, Ranked: rk}, 0)
		acts, _ = l.Answer(acts[:0], acts[0].ID, acts[0].To, Record{Name: 9, Seq: 1}, true)
		if len(acts) != 1 {
			b.Fatal("not settled by the first answer")
		}
	}
}

// TestLateAnswersFindNothing: the number of a look-up that has ended does not name the
// one that took its place.
func TestLateAnswersFindNothing(t *testing.T) {
	l := NewLookups(0, hedgeAfter, lookupTimeout)
	var rk Ranking
	rk.list[0], rk.n = 3, 1
	old, _ := l.Start(nil, Query{Asker: 1, Name: 9, Ranked: rk}, 0)
	l.Due(nil, vtime.Time(lookupTimeout))
	l.Start(nil, Query{Asker: 1, Name: 9, Ranked: rk}, second)
	if acts, ok := l.Answer(nil, old[0].ID, 3, Record{Name: 9, Seq: 1}, true); ok || len(acts) != 0 {
		t.Fatalf("a late answer was taken: %+v", acts)
	}
}

// TestLookupAfterAnswered: the deadline of a look-up that was answered before its time is
// not taken for one of the next look-up.
func TestLookupAfterAnswered(t *testing.T) {
	l := NewLookups(0, hedgeAfter, lookupTimeout)
	rk := Ranking{n: 3, list: [Replicas]ident.Handle{3, 4, 5}}
	acts, _ := l.Start(nil, Query{Asker: 1, Name: 7, Ranked: rk}, 0)
	if _, ok := l.Answer(nil, acts[0].ID, acts[0].To, Record{Name: 7}, true); !ok || l.Next() != vtime.Never {
		t.Fatalf("answered: %v, next %d", ok, l.Next())
	}
	later := vtime.Time(vtime.Minute)
	l.Start(nil, Query{Asker: 1, Name: 7, Ranked: rk}, later)
	if want := later.Add(hedgeAfter); l.Next() != want {
		t.Fatalf("next is %d, want %d", l.Next(), want)
	}
}
