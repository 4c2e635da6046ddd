package roster

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

func accuse(h, by ident.Handle) Member {
	m := member(h, 1, Suspect)
	m.Accuser = by
	return m
}

// The time a suspect has, by the number of different accusers and when they spoke.
func TestSuspicionTimes(t *testing.T) {
	for _, c := range []struct {
		accusers []ident.Handle
		want     vtime.Duration
	}{
		{[]ident.Handle{0}, 22000 * vtime.Millisecond},
		{[]ident.Handle{3}, 22000 * vtime.Millisecond},
		{[]ident.Handle{3, 3, 3, 0}, 22000 * vtime.Millisecond},
		{[]ident.Handle{0, 3}, 22000 * vtime.Millisecond},
		{[]ident.Handle{3, 4}, 13500 * vtime.Millisecond},
		{[]ident.Handle{3, 4, 5, 4}, 8536 * vtime.Millisecond},
		{[]ident.Handle{3, 4, 5, 6}, 5000 * vtime.Millisecond},
		{[]ident.Handle{3, 4, 5, 6, 7, 8}, 5000 * vtime.Millisecond},
	} {
		r := filled(1, 9)
		for i, by := range c.accusers {
			r.Claim(accuse(2, by), sec+vtime.Time(i)) // the time runs from the first
		}
		if got := r.NextDeadline().Sub(sec); got != c.want {
			t.Errorf("accused by %v: %v s, want %v s", c.accusers, got.Seconds(), c.want.Seconds())
		}
		if m, _ := r.Lookup(2); m.State != Suspect || m.Since != sec {
			t.Errorf("accused by %v: %+v", c.accusers, m)
		}
	}
}

func TestExpire(t *testing.T) {
	r := filled(1, 9)
	for h := ident.Handle(2); h <= 6; h++ {
		r.Claim(accuse(h, 9), vtime.Time(h)*sec)
	}
	r.Merge(member(4, 2, Alive), 20*sec) // refutes
	dst := make([]Expired, 0, 3)
	if got := r.Expire(24*sec-1, dst); len(got) != 0 {
		t.Fatalf("expired early: %+v", got)
	}
	v := r.Version()
	got := r.Expire(27*sec, dst) // 2, 3 and 5 are due; one place is kept for a tombstone that makes room
	if len(got) != 2 || got[0] != (Expired{Peer: 2}) || got[1] != (Expired{Peer: 3}) || r.NextDeadline() > 27*sec {
		t.Fatalf("%+v, next at %d", got, r.NextDeadline())
	}
	if got = r.Expire(27*sec, dst); len(got) != 1 || got[0].Peer != 5 || r.NextDeadline() != 28*sec {
		t.Fatalf("%+v, next at %d", got, r.NextDeadline())
	}
	if r.Dead() != 3 || r.Usable() != 6 || r.Version() != v+3 {
		t.Fatalf("%d dead, %d usable", r.Dead(), r.Usable())
	}
	check(t, r)
}

// Whatever is accused, confirmed and refuted when: nobody dies early, nobody is overdue.
func TestSuspicionProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := filled(1, 20)
		now := vtime.Time(0)
		inc := map[ident.Handle]uint32{}
		since := map[ident.Handle]vtime.Time{}
		for range 60 {
			now += vtime.Time(rapid.IntRange(0, 4000).Draw(t, "ms")) * vtime.Time(vtime.Millisecond)
			h := ident.Handle(rapid.IntRange(2, 20).Draw(t, "peer"))
			for _, e := range r.Expire(now, make([]Expired, 0, 64)) {
				if d := now.Sub(since[e.Peer]); d < 5*vtime.Second {
					t.Fatalf("%d died after %v s", e.Peer, d.Seconds())
				}
			}
			if r.NextDeadline() <= now {
				t.Fatalf("overdue at %d: %d", now, r.NextDeadline())
			}
			if rapid.Bool().Draw(t, "refute") {
				inc[h]++
				r.Merge(member(h, 1+inc[h], Alive), now)
			} else {
				m := accuse(h, ident.Handle(rapid.IntRange(0, 6).Draw(t, "accuser")))
				m.Inc = 1 + inc[h]
				if r.Claim(m, now).Changed {
					since[h] = now
				}
			}
			check(t, r)
		}
	})
}

func TestTombstonesEnd(t *testing.T) {
	r := filled(1, 100)
	for h := ident.Handle(2); h <= 50; h++ {
		s := Dead
		if h%2 == 0 {
			s = Left
		}
		r.Merge(member(h, 1, s), vtime.Time(h)*sec)
	}
	r.Merge(member(3, 2, Alive), 60*sec)
	week := vtime.Time(7 * vtime.Day)
	if r.NextDeadline() != week+2*sec {
		t.Fatalf("next at %d s", r.NextDeadline()/sec)
	}
	forgotten := map[ident.Handle]bool{}
	dst := make([]Expired, 0, 8)
	for now := r.NextDeadline(); now != vtime.Never; now = r.NextDeadline() {
		for _, e := range r.Expire(now, dst) {
			if !e.Forgotten || forgotten[e.Peer] || now < week+vtime.Time(e.Peer)*sec {
				t.Fatalf("at %d s: %+v", now/sec, e)
			}
			forgotten[e.Peer] = true
		}
		check(t, r)
	}
	if len(forgotten) != 48 || r.Len() != 52 {
		t.Fatalf("%d forgotten, %d remembered", len(forgotten), r.Len())
	}
}

func TestTombstonesAreBounded(t *testing.T) {
	r := newRoster(1)
	// Inserted in the order of ID, so that the test measures nothing but the bound.
	for i := range MaxTombstones {
		r.Load(Member{Peer: ident.Handle(i + 2), ID: ident.ID(i) << 40, Inc: 1, State: Dead}, vtime.Time(i/2)*sec)
	}
	if r.Len() != MaxTombstones+1 {
		t.Fatalf("%d remembered", r.Len())
	}
	late := vtime.Time(MaxTombstones) * sec
	out := r.Merge(Member{Peer: 1 << 20, ID: MaxID, Inc: 1, State: Left}, late)
	if first := out.Forgotten; first != 2 && first != 3 || r.Len() != MaxTombstones+1 {
		t.Fatalf("%+v and %d remembered", out, r.Len())
	}
	r.Load(Member{Peer: 1<<20 + 1, ID: MaxID - 1, Inc: 1}, late)
	r.Merge(Member{Peer: 1<<20 + 1, ID: MaxID - 1, Inc: 1, State: Suspect}, late)
	got := r.Expire(late+22*sec, make([]Expired, 0, 4))
	if len(got) != 2 || !got[0].Forgotten || got[0].Peer > 3 || got[1] != (Expired{Peer: 1<<20 + 1}) || r.Len() != MaxTombstones+1 {
		t.Fatalf("%+v and %d remembered", got, r.Len())
	}
}

func TestSuspectsAreBounded(t *testing.T) {
	r := newRoster(1)
	for i := range MaxSuspects + 5 {
		r.Load(Member{Peer: ident.Handle(i + 2), ID: ident.ID(i) << 40, Inc: 1}, 0)
	}
	refused := 0
	for i := range MaxSuspects + 5 {
		if r.Claim(Member{Peer: ident.Handle(i + 2), ID: ident.ID(i) << 40, Inc: 1, State: Suspect}, 0).Refused {
			refused++
		}
	}
	if refused != 5 || r.Suspects() != MaxSuspects {
		t.Fatalf("%d refused, %d suspected", refused, r.Suspects())
	}
	check(t, r)
}
