package attach

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
)

// oneGroup puts every peer below 1000 into one address group.
type oneGroup struct{}

func (oneGroup) Group(h ident.Handle) ident.Group {
	if h < 1000 {
		return 7
	}
	return 0
}

// TestBudgetHoldsInEveryMinute spends whenever it may, at random moments: no window of
// 60 s sees more than the budget, and the budget is never held back for ever.
func TestBudgetHoldsInEveryMinute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perMinute := rapid.IntRange(6, 240).Draw(t, "budget")
		var b Budget
		var sent []vtime.Time
		now := vtime.Time(0)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now = now.Add(vtime.Duration(rapid.Int64Range(0, int64(20*vtime.Second)).Draw(t, "pause")))
			for n := b.Left(now, perMinute); n > 0; n-- {
				b.Spend(1)
				sent = append(sent, now)
			}
			if next := b.Next(now, perMinute, 1); next <= now || next > now.Add(vtime.Minute) {
				t.Fatalf("a spent budget has a token at %v, it is %v", next, now)
			}
		}
		for i, from := range sent {
			n := 0
			for _, at := range sent[i:] {
				if at < from.Add(vtime.Minute) {
					n++
				}
			}
			if n > perMinute {
				t.Fatalf("%d packets within a minute, %d are allowed", n, perMinute)
			}
		}
	})
}

// TestCacheKeepsTheLiving lets strangers name any number of supernodes: whoever held an
// attachment and answers stays, and one address group does not fill the cache.
func TestCacheKeepsTheLiving(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := seed.New(rapid.Uint64().Draw(t, "seed"))
		c := make(Cache, 64)
		good := rapid.IntRange(0, 20).Draw(t, "good")
		for i := range good {
			c.Good(ident.Handle(2000 + i))
		}
		for range rapid.IntRange(0, 500).Draw(t, "named") {
			c.Learn(ident.Handle(1+r.Intn(999)), oneGroup{}, &r)
		}
		for range rapid.IntRange(0, 500).Draw(t, "more") {
			c.Learn(ident.Handle(5000+r.Intn(5000)), oneGroup{}, &r)
		}
		seen, crowd := map[ident.Handle]bool{}, 0
		for i, e := range c[:c.Len()] {
			if e.Peer == ident.None || seen[e.Peer] {
				t.Fatalf("place %d holds %d: free, or there twice", i, e.Peer)
			}
			seen[e.Peer] = true
			if e.Peer < 1000 {
				crowd++
			}
		}
		for i := range good {
			if !seen[ident.Handle(2000+i)] {
				t.Fatalf("supernode %d, which answered, was evicted", 2000+i)
			}
		}
		if crowd > groupFloor {
			t.Fatalf("one address group holds %d of %d places, at most %d are allowed", crowd, len(c), groupFloor)
		}
	})
}

func TestPickPrefersWhoAnswers(t *testing.T) {
	r := seed.New(3)
	c := make(Cache, 100)
	for i := range 100 {
		c.Learn(ident.Handle(2000+i), oneGroup{}, &r)
	}
	for i := range 99 {
		c.Bad(ident.Handle(2000 + i))
	}
	found := 0
	for range 200 {
		var buf [8]ident.Handle
		dst := c.Pick(buf[:0], 8, [2]ident.Handle{2001, 2002}, 0, &r)
		if len(dst) != 8 {
			t.Fatalf("%d of 100 were picked, want 8", len(dst))
		}
		seen := map[ident.Handle]bool{2001: true, 2002: true}
		for _, h := range dst {
			if seen[h] {
				t.Fatalf("%d was picked twice, or although it was to be avoided", h)
			}
			seen[h] = true
		}
		if seen[2099] {
			found++
		}
	}
	if found < 120 { // 8 draws of 16 looks each among 100: 74 %
		t.Errorf("the one that answers was picked in %d of 200 rounds", found)
	}
}

// TestSeekerAlwaysGoesOn feeds a search with any answers, also wrong ones: it has a
// deadline in every phase but Idle, and passing deadlines bring it to a decision.
func TestSeekerAlwaysGoesOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := seed.New(rapid.Uint64().Draw(t, "seed"))
		var s Seeker
		now := vtime.Time(0)
		s.Rest(now)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if s.Deadline() == vtime.Never {
				t.Fatalf("phase %d has no deadline", s.Phase)
			}
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				from := ident.Handle(rapid.IntRange(1, 5).Draw(t, "from"))
				nonce := s.Nonce + uint64(rapid.IntRange(0, 1).Draw(t, "wrong"))
				wait := vtime.Duration(rapid.Int64Range(0, int64(vtime.Minute)).Draw(t, "wait"))
				s.Offered(Offer{Peer: from, At: now.Add(wait)}, nonce, now, 2*vtime.Second, &r)
			case 1:
				s.Denied(ident.Handle(rapid.IntRange(1, 5).Draw(t, "from")), s.Nonce, vtime.Second, now)
			default:
				now = vtime.Later(now, s.Deadline())
				switch d := s.Due(now, vtime.Second, 3); d {
				case Round:
					s.Ask([]ident.Handle{1, 2, 3}, 1, r.Uint64(), now, 3*vtime.Second)
				case Failed:
					s.Rest(now.Add(vtime.Second))
				case Join:
					if h := s.Held().Peer; h < 1 || h > 3 {
						t.Fatalf("joins %d, which was not asked", h)
					}
				case Nothing:
					if s.Deadline() <= now {
						t.Fatalf("phase %d has nothing to do at its deadline", s.Phase)
					}
				}
			}
		}
	})
}

// TestLotAmongEquals: of offers within the tie, each is taken equally often, so that a
// supernode that always offers "now" wins no more than its share.
func TestLotAmongEquals(t *testing.T) {
	r := seed.New(9)
	wins := map[ident.Handle]int{}
	for range 3000 {
		var s Seeker
		s.Ask([]ident.Handle{1, 2, 3}, 1, 5, 0, vtime.Second)
		for i, wait := range []vtime.Duration{0, vtime.Second, 2 * vtime.Second} {
			s.Offered(Offer{Peer: ident.Handle(i + 1), At: vtime.Time(wait)}, 5, 0, 2*vtime.Second, &r)
		}
		wins[s.Held().Peer]++
	}
	for h := ident.Handle(1); h <= 3; h++ {
		if wins[h] < 850 || wins[h] > 1150 {
			t.Errorf("offer %d was taken %d times of 3000, want about 1000", h, wins[h])
		}
	}
}

// TestNamedFirst: after a disaster most of what a node remembers is dead; half of those it
// asks are such as somebody has named since.
func TestNamedFirst(t *testing.T) {
	r := seed.New(8)
	c := make(Cache, 200)
	for h := range ident.Handle(190) {
		c.Learn(h+1001, oneGroup{}, &r)
	}
	c.Doubt()
	c.Learn(1007, oneGroup{}, &r) // remembered already
	c.Learn(1191, oneGroup{}, &r) // new
	c.Learn(1192, oneGroup{}, &r)
	c.Bad(1192) // and silent itself
	counts := map[ident.Handle]int{}
	for range 1000 {
		for _, h := range c.Pick(nil, 2, [2]ident.Handle{}, 0, &r) {
			counts[h]++
		}
	}
	if named := counts[1007] + counts[1191]; named < 1000 || named > 1100 || counts[1007] < 400 || counts[1191] < 400 {
		t.Errorf("of 2000 asked, %d were the two named, %d and %d", named, counts[1007], counts[1191])
	}
	c.Forgive()
	clear(counts)
	for range 1000 {
		counts[c.Pick(nil, 1, [2]ident.Handle{}, 0, &r)[0]]++
	}
	if counts[1007] > 100 {
		t.Errorf("after all was forgotten one was asked %d times of 1000", counts[1007])
	}
}

// TestLateOffer: an offer that comes after the round was decided replaces a later slot in
// hand, and nothing else does.
func TestLateOffer(t *testing.T) {
	r := seed.New(3)
	const tie = 2 * vtime.Second
	var s Seeker
	s.Ask([]ident.Handle{1, 2, 3}, 1, 5, 0, vtime.Second)
	s.Offered(Offer{Peer: 1, At: vtime.Time(8 * vtime.Second)}, 5, vtime.Time(vtime.Millisecond), tie, &r)
	now := s.Deadline()
	if d := s.Due(now, vtime.Second, 3); d != Nothing || s.Phase != Holding {
		t.Fatalf("decision %d, phase %d, want to hold a slot", d, s.Phase)
	}
	s.Offered(Offer{Peer: 2, At: vtime.Time(7 * vtime.Second)}, 5, now, tie, &r)
	s.Denied(9, 5, vtime.Second, now)
	if s.Held().Peer != 1 || s.Deadline() != vtime.Time(8*vtime.Second) {
		t.Fatalf("an offer that is as good changed the slot in hand to %+v at %v", s.Held(), s.Deadline())
	}
	s.Offered(Offer{Peer: 3, At: now}, 4, now, tie, &r) // of another round
	if s.Held().Peer != 1 {
		t.Fatal("an offer of another round was taken")
	}
	s.Offered(Offer{Peer: 3, At: now}, 5, now, tie, &r)
	if d := s.Due(now, vtime.Second, 3); d != Join || s.Held().Peer != 3 {
		t.Fatalf("decision %d at %d, want to join 3 now", d, s.Held().Peer)
	}
}

// TestWithin: who is asked late is told what is of use: anything while there is nothing,
// what is as good as a slot that is near, only what is nearer than one that is far away.
func TestWithin(t *testing.T) {
	const tie = 2 * vtime.Second
	r := seed.New(1)
	var s Seeker
	s.Ask([]ident.Handle{1, 2, 3}, 1, 9, 0, vtime.Second)
	if got := s.Within(0, tie); got != 0 {
		t.Errorf("without an offer: within %v, want any", got)
	}
	s.Offered(Offer{Peer: 1, At: vtime.Time(10 * vtime.Second)}, 9, 0, tie, &r)
	if got := s.Within(vtime.Time(vtime.Second), tie); got != 7*vtime.Second {
		t.Errorf("9 s before the slot: within %v, want 7 s", got)
	}
	s.Offered(Offer{Peer: 2}, 9, 0, tie, &r)
	if got := s.Within(0, tie); got != tie {
		t.Errorf("with a slot at once: within %v, want %v", got, tie)
	}
	if !s.HasAsked(3) || s.HasAsked(4) || s.Also(3) || !s.Also(4) || !s.HasAsked(4) {
		t.Error("who has been asked in the round is not known")
	}
	s.Extend(vtime.Time(5 * vtime.Second))
	if s.Deadline() != vtime.Time(5*vtime.Second) {
		t.Errorf("the round goes on until %v, want 5 s", s.Deadline())
	}
}
