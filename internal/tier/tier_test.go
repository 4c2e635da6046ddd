package tier

import (
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
)

const second = vtime.Time(vtime.Second)

// usual is a policy like the one that core.DefaultPolicy hands down.
func usual() Policy {
	return Policy{
		Period: 15 * vtime.Second, Target: 64, PromoteAbove: 83, DemoteBelow: 38, Gain: 64,
		Tenure: 30 * vtime.Minute, Calm: 30 * vtime.Minute, MinSize: 5, DialBacks: 3,
	}
}

// TestPromoteIsTheFormula compares with PROTOCOL.md section 6 in floating point.
func TestPromoteIsTheFormula(t *testing.T) {
	p := usual()
	rapid.Check(t, func(t *rapid.T) {
		u := Load(rapid.Uint8().Draw(t, "u"))
		s := rapid.IntRange(1, 1<<20).Draw(t, "supernodes")
		e := rapid.IntRange(1, 1<<24).Draw(t, "eligible")
		x := float64(min(u, MaxLoad)) / 128
		want := 0.0
		if x > 0.65 {
			want = 0.5 * float64(s) / float64(e) * min(1, x/0.5-1)
		}
		o := p.Promote(u, s, e)
		got := 0.0
		if o.Num > 0 {
			got = float64(o.Num) / float64(o.Den)
		}
		if diff := got - want; diff > 1e-9*want || diff < -1e-9*want {
			t.Fatalf("Promote(%.3f, %d, %d) = %g, the formula says %g", x, s, e, got, want)
		}
	})
}

// TestDemoteObeysEveryCondition: odds above 0 need all of them, and are at most 5 %.
func TestDemoteObeysEveryCondition(t *testing.T) {
	p := usual()
	rapid.Check(t, func(t *rapid.T) {
		now := vtime.Time(rapid.Int64Range(0, int64(3*vtime.Hour)).Draw(t, "now"))
		s := Station{
			Util:       Load(rapid.IntRange(0, 60).Draw(t, "util")),
			Own:        Load(rapid.IntRange(0, 60).Draw(t, "own")),
			Supernodes: rapid.IntRange(1, 15).Draw(t, "supernodes"),
			Last:       rapid.Bool().Draw(t, "last"),
			Since:      vtime.Time(rapid.Int64Range(0, int64(now)).Draw(t, "since")),
			Storm:      vtime.Time(rapid.Int64Range(0, int64(now)).Draw(t, "storm")),
		}
		o := p.Demote(s, now)
		may := float64(s.Util)/128 < 0.30 && float64(s.Own)/128 < 0.30 &&
			now.Sub(s.Since) >= 30*vtime.Minute && now.Sub(s.Storm) >= 30*vtime.Minute &&
			s.Supernodes > 5 && (s.Supernodes >= 10 || s.Last)
		if may != (o.Num > 0) {
			t.Fatalf("%+v at %d: odds %+v, may step down %v", s, now, o, may)
		}
		if o.Num > 0 && float64(o.Num) > 0.05*float64(o.Den) {
			t.Fatalf("odds of %+v", o)
		}
	})
}

func TestOddsAreDrawnAsStated(t *testing.T) {
	r := seed.New(1)
	for _, o := range []Odds{{}, {1, 3}, {7, 5}, {1, 50}} {
		want := 0.0
		if o.Num > 0 {
			want = min(1, float64(o.Num)/float64(o.Den))
		}
		hits := 0
		for range 20000 {
			if o.Draw(&r) {
				hits++
			}
		}
		if got := float64(hits) / 20000; got < want-0.02 || got > want+0.02 {
			t.Fatalf("%+v came out %.3f of the time", o, got)
		}
	}
}

// TestLiarsCannotMoveTheMean: up to a tenth of the samples are lies; the mean stays
// within the range of the honest ones, and a liar that reports often counts once.
func TestLiarsCannotMoveTheMean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, Samples).Draw(t, "samples")
		liars := rapid.IntRange(0, (n+1)/trimShare).Draw(t, "liars")
		lo := rapid.IntRange(0, 150).Draw(t, "lowest honest")
		hi := rapid.IntRange(lo, int(MaxLoad)).Draw(t, "highest honest")
		lie := Load(rapid.Uint8().Draw(t, "lie"))
		var s Sampler
		for i := range n {
			load := Load(rapid.IntRange(lo, hi).Draw(t, "load"))
			times := 1
			if i < liars {
				load, times = lie, 50
			}
			for range times {
				s.Report(ident.Handle(i+1), load, 100, second)
			}
		}
		own := Load(rapid.IntRange(lo, hi).Draw(t, "own"))
		m := s.Mean(own, 100, 2*second)
		if s.Len(second) != n || int(m) < lo || int(m) > hi {
			t.Fatalf("mean %d of %d samples, %d of them lies of %d; honest: %d to %d", m, s.Len(second), liars, lie, lo, hi)
		}
	})
}

func TestSamplesAgeAndAreReplaced(t *testing.T) {
	var s Sampler
	for i := range 2 * Samples {
		s.Report(ident.Handle(i+1), Load(i/Samples*100), 500, vtime.Time(i)*second/10)
	}
	now := 13 * second
	if s.Len(now) != Samples || s.Mean(100, 500, now) != 100 {
		t.Fatalf("%d samples, mean %d: the older half should be gone", s.Len(now), s.Mean(100, 500, now))
	}
	if m := s.Mean(100, 1000, now); m < 48 || m > 52 {
		t.Fatalf("twice as many supernodes, mean %d", m)
	}
	if m := s.Mean(100, 250, now); m != 100 {
		t.Fatalf("half as many supernodes, mean %d", m)
	}
	s.Forget(2 * Samples)
	if s.Len(now) != Samples-1 {
		t.Fatal("a departed supernode's sample stays")
	}
	late := now.Add(MaxAge + vtime.Minute)
	if s.Len(late) != 0 || s.Mean(17, 500, late) != 17 {
		t.Fatalf("old samples count: %d", s.Mean(17, 500, late))
	}
}

// TestReachNeedsItsDialBacks: an attempt succeeds with the wanted number of different
// supernodes and not before, and a node is never without a next attempt.
func TestReachNeedsItsDialBacks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rnd := seed.New(rapid.Uint64().Draw(t, "seed"))
		want := rapid.IntRange(1, 5).Draw(t, "want")
		groups := rapid.IntRange(1, 4).Draw(t, "groups")
		var r Reach
		now := second
		begun := r.Due(want, now, &rnd)
		nonce := r.Nonce()
		if !begun || r.Confirm(nonce+1, 1, 1, now, &rnd) || r.Confirm(0, 1, 1, now, &rnd) {
			t.Fatal("no attempt at the start, or a stranger's dial-back counted")
		}
		peers := map[int]bool{}
		for range rapid.IntRange(0, 8).Draw(t, "dial-backs") {
			p := rapid.IntRange(1, 4).Draw(t, "from")
			if r.nonce != 0 {
				peers[p] = true
			}
			r.Confirm(nonce, ident.Handle(p), ident.Group(p%groups+1), now, &rnd)
			if len(peers) < min(want, MaxDialBacks) && r.Verified(now) {
				t.Fatalf("verified by %d supernodes of %d", len(peers), want)
			}
		}
		now = now.Add(reachTry)
		r.Due(want, now, &rnd)
		if ok := len(peers) >= min(want, MaxDialBacks); ok != r.Verified(now) {
			t.Fatalf("%d supernodes of %d wanted: verified %v", len(peers), want, r.Verified(now))
		}
		wait := r.Next() - now
		if wait <= 0 || wait > vtime.Time(reachGap)*12/10 {
			t.Fatalf("next attempt in %d", wait)
		}
		if r.Verified(now) && !r.Verified(r.Next().Add(reachTry)) {
			t.Fatal("a success ends before it can be renewed")
		}
	})
}

func TestReachBacksOff(t *testing.T) {
	rnd := seed.New(1)
	var r Reach
	attempts := 0
	for now := vtime.Time(0); now < vtime.Time(vtime.Day); now = r.Next() {
		if r.Due(3, now, &rnd) {
			attempts++
		}
	}
	if attempts < 12 || attempts > 30 {
		t.Fatalf("a node behind NAT made %d attempts in a day", attempts)
	}
}

// TestReportsAreNotBelieved: of two reports a node believes the one that asks for less,
// and no claim of size gives more than the gain.
func TestReportsAreNotBelieved(t *testing.T) {
	p, r := usual(), seed.New(1)
	promoted := func(reports ...Report) (n int) {
		for range 4000 {
			var node Node
			node.Start(&p, 0, &r)
			for _, rep := range reports {
				node.Hear(&p, rep)
			}
			if node.Draw(&p, true, vtime.Time(p.Period), &r) {
				n++
			}
			if node.Draw(&p, true, vtime.Time(3*p.Period), &r) {
				t.Fatal("one report was drawn upon twice")
			}
		}
		return n
	}
	loud, quiet := Report{MaxLoad, 1 << 31, 1}, Report{60, 100, 2000}
	if n := promoted(loud, quiet) + promoted(quiet, loud); n != 0 {
		t.Fatalf("%d promotions while one of two supernodes sees no need", n)
	}
	if n := promoted(loud); n < 1800 || n > 2200 {
		t.Fatalf("%d of 4000 nodes were talked into the tier, the gain is a half", n)
	}
}

func TestResume(t *testing.T) {
	p := usual()
	if !p.Resume(65, 100) || !p.Resume(0, 4) || p.Resume(64, 100) {
		t.Fatal("a supernode returns above the target or below the minimum size, and only then")
	}
}

func TestSizes(t *testing.T) {
	if n := unsafe.Sizeof(Node{}); n > 24 {
		t.Fatalf("a Node has %d B", n)
	}
	if n := unsafe.Sizeof(Reach{}); n > 56 {
		t.Fatalf("a Reach has %d B", n)
	}
}

func TestTierAllocatesNothing(t *testing.T) {
	var s Sampler
	var n Node
	var a Appointer
	p := usual()
	r := seed.New(1)
	now := vtime.Time(0)
	if x := testing.AllocsPerRun(500, func() {
		now += second
		s.Report(ident.Handle(now/second%100+1), 90, 100, now)
		n.Hear(&p, Report{Util: s.Mean(90, 100, now), Supernodes: 100, Eligible: 2000})
		n.Draw(&p, true, now, &r)
		a.Due(&p, Census{Supernodes: 3, Eligible: 5}, now, &r)
	}); x != 0 {
		t.Fatalf("a step allocates %v times", x)
	}
}

func BenchmarkMean(b *testing.B) {
	var s Sampler
	for i := range Samples {
		s.Report(ident.Handle(i+1), Load(i), 100, 0)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Mean(64, 100, second)
	}
}

// TestNewcomersHold: in need, who has just come draws with a quarter of the odds of who has
// been up for long, and with the same when the tier is pressed.
func TestNewcomersHold(t *testing.T) {
	p, r := usual(), seed.New(3)
	rises := func(u Load, settled bool) (k int) {
		for range 20_000 {
			var n Node
			n.Start(&p, 0, &r)
			n.Hear(&p, Report{Util: u, Supernodes: 100, Eligible: 100})
			if n.Draw(&p, settled, vtime.Time(p.Period), &r) {
				k++
			}
		}
		return k
	}
	old, fresh := rises(110, true), rises(110, false)
	if old < 7000 || fresh*3 > old || fresh*5 < old {
		t.Errorf("at 0.86: %d settled nodes rise of 20000, and %d newcomers", old, fresh)
	}
	if old, fresh = rises(130, true), rises(130, false); fresh*10 < old*9 {
		t.Errorf("beyond full: %d settled nodes rise of 20000, and %d newcomers", old, fresh)
	}
}

// TestSettled: a node is settled after two proofs in a row, and no longer after a failure.
func TestSettled(t *testing.T) {
	r := seed.New(4)
	var x Reach
	attempt := func(good bool) {
		now := x.Next()
		x.Due(1, now, &r)
		if good {
			x.Confirm(x.Nonce(), 5, 0, now, &r)
		} else {
			x.Due(1, x.Next(), &r)
		}
	}
	for k := range 2 {
		if x.Settled() {
			t.Fatalf("settled after %d proofs", k)
		}
		attempt(true)
	}
	if !x.Settled() {
		t.Fatal("not settled after two proofs")
	}
	if attempt(false); x.Settled() {
		t.Fatal("still settled after a failure")
	}
}

// TestReachIsRenewedMoreRarely: who was reached again and again is asked for every two hours,
// and one failure begins it all anew.
func TestReachIsRenewedMoreRarely(t *testing.T) {
	rnd := seed.New(3)
	var r Reach
	now := vtime.Time(0)
	attempt := func(reached bool) vtime.Duration {
		now = vtime.Later(now, r.Next())
		r.Due(1, now, &rnd)
		if reached {
			r.Confirm(r.Nonce(), 1, 1, now, &rnd)
		} else {
			now = now.Add(reachTry)
			r.Due(1, now, &rnd)
		}
		return r.Next().Sub(now)
	}
	for k, minutes := range []vtime.Duration{30, 60, 120, 120} {
		if wait := attempt(true); wait < minutes*vtime.Minute*8/10 || wait > minutes*vtime.Minute*12/10 {
			t.Errorf("after %d successes %d s, want about %d min", k+1, wait/vtime.Second, minutes)
		}
	}
	if !r.Verified(r.Next().Add(3 * vtime.Minute)) {
		t.Error("a success ends before three attempts to renew it have")
	}
	attempt(false)
	if wait := attempt(true); wait > reachGap*12/10 {
		t.Errorf("after a failure and a success %d s, want about 30 min", wait/vtime.Second)
	}
}
