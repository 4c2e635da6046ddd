package roster

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
)

// quiet returns a roster with n members and no news.
func quiet(self ident.Handle, n int) *Roster {
	r := filled(self, n)
	for r.Pending() > 0 {
		r.Next(vtime.Time(r.Pending())*1000*sec, 1200, make([]Member, 0, 40))
	}
	return r
}

func TestNextOrder(t *testing.T) {
	r := quiet(1, 100)
	now := vtime.Time(vtime.Hour)
	for h := ident.Handle(10); h < 20; h++ {
		r.Claim(accuse(h, 2), now)
	}
	for h := ident.Handle(20); h < 25; h++ {
		r.Merge(member(h, 2, Alive), now)
	}
	dst := make([]Member, 0, 40)
	peers := func(room int) (p []ident.Handle) {
		for _, m := range r.Next(now, room, dst) {
			p = append(p, m.Peer)
		}
		return p
	}
	steps := []struct {
		room int
		want []ident.Handle
	}{
		{1200, []ident.Handle{24, 23, 22, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10}}, // newest first, 3 records
		{632, []ident.Handle{21, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10}},          // one record, a fresh one
		{15, nil}, // no room for anything
		{100, []ident.Handle{19, 18, 17, 16, 15, 14}},
		{64, []ident.Handle{13, 12, 11, 10}}, // fewest sent first
	}
	for _, s := range steps {
		got := peers(s.room)
		if len(got) != len(s.want) {
			t.Fatalf("room %d: %v, want %v", s.room, got, s.want)
		}
		for i := range got {
			if got[i] != s.want[i] {
				t.Fatalf("room %d: %v, want %v", s.room, got, s.want)
			}
		}
	}
	// What has been overtaken is not sent.
	for h := ident.Handle(10); h < 20; h++ {
		r.Merge(member(h, 2, Dead), now)
	}
	for _, m := range r.Next(now, 200, dst) {
		if m.State != Dead || m.Inc != 2 {
			t.Fatalf("overtaken news: %+v", m)
		}
	}
}

// Each item is sent exactly NewsLimit times when nothing overtakes it, and no second
// carries more than the bytes allowed.
func TestNewsAreBounded(t *testing.T) {
	r := quiet(1, 1000)
	if r.NewsLimit() != 20 {
		t.Fatalf("limit %d for 1 000 members", r.NewsLimit())
	}
	now := vtime.Time(vtime.Hour)
	for h := ident.Handle(2); h < 302; h++ {
		r.Merge(member(h, 2, Alive), now)
	}
	for h := ident.Handle(302); h < 602; h++ {
		r.Claim(accuse(h, 2), now)
	}
	sent := map[ident.Handle]int{}
	dst := make([]Member, 0, 40)
	seconds := 0
	for ; r.Pending() > 0; seconds++ {
		bytes := 0
		for range 100 {
			for _, m := range r.Next(now, 1200, dst) {
				sent[m.Peer]++
				if m.State == Alive {
					bytes += recordBytes
				} else {
					bytes += claimBytes
				}
			}
			now += sec / 100
		}
		limit := r.params.GossipBytes
		if seconds == 0 {
			limit += r.params.GossipBytes
		}
		if bytes > limit+1200 {
			t.Fatalf("second %d: %d bytes", seconds, bytes)
		}
	}
	for h := ident.Handle(2); h < 602; h++ {
		if sent[h] != 20 {
			t.Fatalf("news of %d went out %d times", h, sent[h])
		}
	}
	if want := 300 * 20 * 316 / (32 << 10); seconds > want+2 {
		t.Fatalf("took %d s, the bytes need %d", seconds, want)
	}
}

func TestNewsOverflow(t *testing.T) {
	r := quiet(1, MaxNews+10)
	for h := ident.Handle(2); h < MaxNews+10; h++ {
		r.Claim(accuse(h, 2), 0)
	}
	if r.Pending() != MaxNews {
		t.Fatalf("%d pending", r.Pending())
	}
	if got := r.Next(vtime.Time(vtime.Hour), 16, make([]Member, 0, 1)); len(got) != 1 || got[0].Peer != MaxNews+9 {
		t.Fatalf("the newest is gone: %+v", got)
	}
}

// The queue's order holds whatever is pushed and taken: fewest sent last, then newest last.
func TestQueueOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := quiet(1, 30)
		now := vtime.Time(vtime.Hour)
		for range 40 {
			h := ident.Handle(rapid.IntRange(2, 30).Draw(t, "peer"))
			if rapid.Bool().Draw(t, "accuse") {
				m, _ := r.Lookup(h)
				m.State, m.Accuser = Suspect, ident.Handle(rapid.IntRange(2, 9).Draw(t, "by"))
				r.Claim(m, now)
			} else {
				m, _ := r.Lookup(h)
				r.Merge(member(h, m.Inc+1, Alive), now)
			}
			room := rapid.IntRange(0, 1200).Draw(t, "room")
			now += sec
			seen := map[[2]ident.Handle]bool{}
			for _, m := range r.Next(now, room, make([]Member, 0, 40)) {
				if key := [2]ident.Handle{m.Peer, m.Accuser}; seen[key] {
					t.Fatalf("%+v twice in one packet", m)
				} else {
					seen[key] = true
				}
			}
			for _, q := range []queue{r.news.claims, r.news.records} {
				for i := 1; i < len(q); i++ {
					if q[i].sent > q[i-1].sent || q[i].sent == q[i-1].sent && q[i].serial < q[i-1].serial {
						t.Fatalf("out of order at %d: %+v", i, q)
					}
				}
			}
		}
	})
}

// 200 rosters, fan-out 3 every round, 10 % loss: everybody hears of one death and one
// return within O(log n) rounds, and nobody sends one item more often than the limit.
func TestGossipReachesEverybody(t *testing.T) {
	const n, fanout, loss = 200, 3, 0.10
	for s := range uint64(20) {
		rnd := seed.New(s)
		var tier [n + 1]*Roster
		for h := ident.Handle(1); h <= n; h++ {
			tier[h] = quiet(h, n)
		}
		now := vtime.Time(vtime.Hour)
		tier[1].Merge(accuse(2, 1), now)
		tier[3].Announce(now)
		missing := func() (k int) {
			for h := ident.Handle(1); h <= n; h++ {
				a, _ := tier[h].Lookup(2)
				b, _ := tier[h].Lookup(3)
				if h != 2 && a.State != Suspect && a.Inc == 1 || b.Inc != 2 {
					k++
				}
			}
			return k
		}
		rounds, last, sent := 0, 0, 0
		dst := make([]Member, 0, 40)
		for busy := true; busy; {
			busy = false
			rounds++
			now += vtime.Time(200 * vtime.Millisecond)
			for h := ident.Handle(1); h <= n; h++ {
				for range fanout {
					to := tier[h].Pick(&rnd)
					news := tier[h].Next(now, 1200, dst)
					sent += len(news)
					busy = busy || len(news) > 0
					for _, m := range news {
						switch {
						case rnd.Float64() < loss:
						case m.State == Alive:
							tier[to].Merge(m, now)
						default:
							tier[to].Claim(m, now)
						}
					}
				}
			}
			if missing() > 0 {
				last = rounds
			}
		}
		// log_(1+3)(200) is 4 rounds to spread, and about ln(200)/3 more for the last ones.
		if missing() > 0 || last+1 > 10 {
			t.Fatalf("seed %d: %d members lack something after %d rounds", s, missing(), last)
		}
		// Three items: the suspicion, the return, and the suspect's refutation.
		if limit := 3 * n * tier[1].NewsLimit(); sent > limit {
			t.Fatalf("seed %d: %d transmissions, the limit is %d", s, sent, limit)
		}
		if s == 0 {
			t.Logf("all know after %d rounds, %.1f transmissions per member and item", last+1, float64(sent)/3/n)
		}
	}
}

func TestBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b budget
		rate, burst := rapid.IntRange(1, 1<<30).Draw(t, "rate"), rapid.IntRange(1, 1<<30).Draw(t, "burst")
		b.init(rate, burst, 0)
		now, spent := vtime.Time(0), int64(0)
		for range 20 {
			now += vtime.Time(rapid.Int64Range(-int64(sec), int64(vtime.Day)).Draw(t, "elapsed"))
			got := b.available(now)
			if got < 0 || got > burst {
				t.Fatalf("%d available of %d", got, burst)
			}
			use := rapid.IntRange(0, got).Draw(t, "use")
			b.spend(use)
			spent += int64(use)
			latest := vtime.Later(now, b.at)
			if float64(spent) > float64(burst)+vtime.Duration(latest).Seconds()*float64(rate)+1 {
				t.Fatalf("spent %d bytes by %v s", spent, vtime.Duration(latest).Seconds())
			}
		}
	})
}
