package slots

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
)

const second = vtime.Time(vtime.Second)

const usualRate, usualBurst = 20, 40

// usual is a policy like the one that core.DefaultPolicy hands down.
var usual = Params{
	Rate: usualRate, Burst: usualBurst, Horizon: 60 * vtime.Second, Grace: 5 * vtime.Second,
	SecondWait: vtime.Second, SecondBelow: 102, TicketSlots: 4, LoadedAfter: 15 * vtime.Second, GroupShare: 50,
	StormFrom: 5 * vtime.Second, FullWait: 30 * vtime.Second, SecondRetry: 60 * vtime.Second,
}

// promise is an offer that somebody holds.
type promise struct {
	offer  Offer
	class  Class
	origin uint64
	at     vtime.Time // when it may be used
	used   bool
}

// TestPromisesAreKept drives a calendar at random: no slot is given twice, every offer
// lies within the horizon, whoever comes in time is served exactly once, and nobody else
// is ever served.
func TestPromisesAreKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := seed.New(rapid.Uint64().Draw(t, "seed"))
		rate := rapid.IntRange(1, 40).Draw(t, "rate")
		burst := rapid.IntRange(1, 2*rate).Draw(t, "burst")
		now := vtime.Time(rapid.Int64Range(0, int64(second)).Draw(t, "start"))
		p := usual
		p.Rate, p.Burst = rate, burst
		c := NewCalendar(p, now, &r)
		var held []promise
		given := map[uint32]bool{}
		pace := rapid.Int64Range(int64(vtime.Millisecond), int64(3*vtime.Second)).Draw(t, "pace")
		for range rapid.IntRange(1, 1500).Draw(t, "steps") {
			now = now.Add(vtime.Duration(r.Between(0, pace)))
			if r.Intn(200) == 0 {
				now = now.Add(vtime.Duration(r.Between(0, int64(5*vtime.Minute))))
			}
			if r.Intn(3) > 0 {
				q := Request{Class: Class(r.Intn(3)), Origin: r.Uint64(), Group: ident.Group(r.Intn(4)), Load: uint8(r.Intn(130))}
				if r.Intn(3) == 0 {
					q.Within = vtime.Duration(r.Between(0, int64(90*vtime.Second)))
				}
				o := c.Offer(q, now, &r)
				checkOffer(t, o, q, given)
				if o.OK {
					held = append(held, promise{offer: o, class: q.Class, origin: q.Origin, at: now.Add(o.Wait)})
				}
				continue
			}
			if len(held) == 0 {
				continue
			}
			checkRedeem(t, &c, &held[r.Intn(len(held))], now, &r)
		}
	})
}

func checkOffer(t *rapid.T, o Offer, q Request, given map[uint32]bool) {
	switch {
	case !o.OK && (o.Wait < vtime.Second/2 || o.Wait > 180*vtime.Second):
		t.Fatalf("refused with a wait of %d", o.Wait)
	case !o.OK:
	case o.Wait < 0 || o.Wait > usual.Horizon:
		t.Fatalf("offer in %d ns, the horizon is %d", o.Wait, usual.Horizon)
	case q.Within > 0 && o.Wait > q.Within:
		t.Fatalf("offer in %d ns, within %d was asked for", o.Wait, q.Within)
	case given[o.Slot]:
		t.Fatalf("slot %d was given twice", o.Slot)
	case q.Class == Second && (o.Wait > usual.SecondWait || q.Load >= usual.SecondBelow):
		t.Fatalf("second attachment taken after %d at load %d", o.Wait, q.Load)
	default:
		given[o.Slot] = true
	}
}

func checkRedeem(t *rapid.T, c *Calendar, p *promise, now vtime.Time, r *seed.Rand) {
	bad := 1 + r.Uint64()>>1
	for _, v := range []Verdict{
		c.Redeem(p.class, p.origin, p.offer.Slot, p.offer.Cookie^bad, now),
		c.Redeem(p.class, p.origin^bad, p.offer.Slot, p.offer.Cookie, now),
		c.Redeem((p.class+1)%classes, p.origin, p.offer.Slot, p.offer.Cookie, now),
		c.Redeem(p.class, p.origin, p.offer.Slot+2, p.offer.Cookie, now),
	} {
		if v != Forged {
			t.Fatalf("a forged cookie: verdict %d", v)
		}
	}
	v := c.Redeem(p.class, p.origin, p.offer.Slot, p.offer.Cookie, now)
	switch {
	case p.used && v == Served:
		t.Fatal("a slot was redeemed twice")
	case !p.used && now >= p.at && now <= p.at.Add(usual.Grace) && v != Served:
		t.Fatalf("came at %d for %d and met verdict %d", now, p.at, v)
	case v == Served && (now < p.at.Add(-early) || now > p.at.Add(usual.Horizon)):
		t.Fatalf("served at %d for %d", now, p.at)
	}
	p.used = p.used || v == Served
}

func TestBurstThenRate(t *testing.T) {
	r := seed.New(1)
	c := NewCalendar(usual, 0, &r)
	for i := range 100 {
		o := c.Offer(Request{Class: Orphan, Origin: uint64(i)}, 0, &r)
		want := vtime.Duration(max(0, i-(usualBurst-1))) * vtime.Second / usualRate
		if !o.OK || o.Wait != want {
			t.Fatalf("offer %d waits %d, want %d", i, o.Wait, want)
		}
	}
}

// TestFullSaysWhenToComeBack fills the horizon: 1 200 slots, and then a drawn wait.
func TestFullSaysWhenToComeBack(t *testing.T) {
	r := seed.New(1)
	c := NewCalendar(usual, 0, &r)
	n := 0
	for ; n < 5000; n++ {
		o := c.Offer(Request{Class: Ticket, Origin: uint64(n)}, 0, &r)
		if !o.OK {
			if o.Wait < vtime.Second/2 || o.Wait > 30*vtime.Second {
				t.Fatalf("refused with a wait of %d", o.Wait)
			}
			break
		}
	}
	if n != 1200 || c.Storm(second) != 3 {
		t.Fatalf("%d slots in a horizon, storm %d", n, c.Storm(second))
	}
}

// TestWorkIsConserved is why make-up slots exist: of the offers of a storm half are
// never redeemed, since their askers went elsewhere, and the supernode still serves what
// it can, and never more than twice its rate.
func TestWorkIsConserved(t *testing.T) {
	r := seed.New(9)
	c := NewCalendar(usual, 0, &r)
	type visit struct {
		o      Offer
		origin uint64
	}
	due := map[vtime.Time][]visit{}
	const tick = 50 * vtime.Time(vtime.Millisecond)
	served, worst, perSecond := 0, 0, 0
	for now := vtime.Time(0); now < 300*second; now += tick {
		for range 5 {
			origin := r.Uint64()
			if o := c.Offer(Request{Class: Orphan, Origin: origin}, now, &r); o.OK && r.Intn(2) == 0 {
				at := now.Add(o.Wait)/tick*tick + tick
				due[at] = append(due[at], visit{o, origin})
			}
		}
		for _, v := range due[now] {
			if got := c.Redeem(Orphan, v.origin, v.o.Slot, v.o.Cookie, now); got != Served {
				t.Fatalf("came in time, verdict %d", got)
			}
			perSecond++
		}
		if now%second == 0 {
			worst = max(worst, perSecond)
			if now > 100*second {
				served += perSecond
			}
			perSecond = 0
		}
	}
	if rate := float64(served) / 200; rate < 0.9*usualRate || rate > 1.1*usualRate {
		t.Fatalf("served %.1f a second with half of the offers unused, the rate is %d", rate, usualRate)
	}
	if worst > 2*usualRate+usualBurst {
		t.Fatalf("served %d in one second", worst)
	}
}

// TestNothingIsTakenInVain: who has a slot elsewhere and asks for a nearer one takes none
// when there is none.
func TestNothingIsTakenInVain(t *testing.T) {
	r := seed.New(2)
	c := NewCalendar(usual, 0, &r)
	for range usualBurst + 5*usualRate {
		c.Offer(Request{Class: Orphan, Origin: r.Uint64()}, 0, &r)
	}
	before := c.Backlog(0)
	for range 1000 {
		if o := c.Offer(Request{Class: Orphan, Origin: r.Uint64(), Within: 4 * vtime.Second}, 0, &r); o.OK {
			t.Fatalf("an offer in %d, within 4 s was asked for", o.Wait)
		}
	}
	if c.Backlog(0) != before {
		t.Errorf("refusals have moved the backlog from %d to %d", before, c.Backlog(0))
	}
	for _, within := range []vtime.Duration{6 * vtime.Second, vtime.Hour, 1 << 62, 0} {
		if o := c.Offer(Request{Class: Orphan, Origin: r.Uint64(), Within: within}, 0, &r); !o.OK || o.Wait > 6*vtime.Second {
			t.Errorf("within %d: offer %+v, want the slot after 5 s", within, o)
		}
	}
}

// TestTicketHoldersGoBefore: both classes ask for more than there is; ticket holders get
// four fifths of what is given, the others the rest.
func TestTicketHoldersGoBefore(t *testing.T) {
	r := seed.New(4)
	c := NewCalendar(usual, 0, &r)
	var got [2]int
	ask := func(class Class, now vtime.Time) {
		if c.Offer(Request{Class: class, Origin: r.Uint64()}, now, &r).OK && now > 80*second {
			got[class]++
		}
	}
	for now := vtime.Time(0); now < 200*second; now += second / 10 {
		for range 10 {
			ask(Orphan, now)
			ask(Ticket, now)
		}
	}
	share := float64(got[Ticket]) / float64(got[Ticket]+got[Orphan])
	if share < 0.6 || got[Orphan] == 0 {
		t.Fatalf("ticket holders got %d, others %d", got[Ticket], got[Orphan])
	}
}

// TestOrphansHaveAllWithoutTickets: nothing is kept back for ticket holders who are not
// there.
func TestOrphansHaveAllWithoutTickets(t *testing.T) {
	r := seed.New(4)
	c := NewCalendar(usual, 0, &r)
	n := 0
	for range 3000 {
		if c.Offer(Request{Class: Orphan, Origin: r.Uint64()}, 0, &r).OK {
			n++
		}
	}
	if n != 1200 {
		t.Fatalf("orphans alone got %d of 1200 slots", n)
	}
}

// TestOneGroupIsPaced: under load a campus gets its twentieth of the horizon and the
// rest of the world the other slots.
func TestOneGroupIsPaced(t *testing.T) {
	r := seed.New(4)
	c := NewCalendar(usual, 0, &r)
	campus, others := 0, 0
	for range 3000 {
		if c.Offer(Request{Class: Orphan, Origin: r.Uint64(), Group: 7}, 0, &r).OK {
			campus++
		}
	}
	free := usualBurst + int(usual.LoadedAfter/vtime.Second)*usualRate
	if campus < free || campus > free+1200*usual.GroupShare/1000+1 {
		t.Fatalf("a group alone got %d, want %d before the limit and %d after", campus, free, 1200*usual.GroupShare/1000)
	}
	for i := range 3000 {
		if c.Offer(Request{Class: Orphan, Origin: r.Uint64(), Group: ident.Group(100 + i)}, 0, &r).OK {
			others++
		}
	}
	if campus+others != 1200 {
		t.Fatalf("campus %d and others %d make no full horizon", campus, others)
	}
}

// TestStormRisesAtOnceAndFallsSlowly walks the level up and down.
func TestStormRisesAtOnceAndFallsSlowly(t *testing.T) {
	r := seed.New(4)
	c := NewCalendar(usual, 0, &r)
	fill := func(d vtime.Duration) {
		for range usualBurst + int(d/vtime.Second)*usualRate {
			c.Offer(Request{Class: Ticket, Origin: r.Uint64()}, 0, &r)
		}
	}
	fill(21 * vtime.Second)
	now := second / 20
	if l := c.Storm(now); l != 2 {
		t.Fatalf("level %d at a backlog of %d", l, c.Backlog(now))
	}
	last, changes := uint8(2), 0
	for ; now < 60*second; now += second / 10 {
		l := c.Storm(now)
		if l > last || last-l > 1 {
			t.Fatalf("level %d after %d", l, last)
		}
		if l < last && c.Backlog(now) >= stormAt[last]*usual.StormFrom/2 {
			t.Fatalf("level fell to %d at a backlog of %d", l, c.Backlog(now))
		}
		if l != last {
			changes++
		}
		last = l
	}
	if last != 0 || changes != 2 {
		t.Fatalf("level %d in the end, %d changes", last, changes)
	}
}

func TestCalendarAllocatesNothing(t *testing.T) {
	r := seed.New(4)
	c := NewCalendar(usual, 0, &r)
	now := vtime.Time(0)
	if a := testing.AllocsPerRun(2000, func() {
		now += second / 50
		o := c.Offer(Request{Class: Orphan, Origin: 3, Group: 5}, now, &r)
		c.Redeem(Orphan, 3, o.Slot, o.Cookie, now)
		c.Storm(now)
	}); a != 0 {
		t.Fatalf("an offer allocates %v times", a)
	}
}

// FuzzRedeem feeds numbers and cookies that were never offered.
func FuzzRedeem(f *testing.F) {
	f.Add(uint64(1), uint32(0), uint64(0), int64(0), byte(0))
	f.Add(uint64(1), ^uint32(0), ^uint64(0), int64(1)<<50, byte(255))
	f.Fuzz(func(t *testing.T, origin uint64, slot uint32, cookie uint64, at int64, class byte) {
		r := seed.New(1)
		c := NewCalendar(usual, 0, &r)
		now := vtime.Time(max(0, at>>8))
		if v := c.Redeem(Class(class), origin, slot, cookie, now); v != Forged {
			t.Fatalf("verdict %d for a guess", v)
		}
		// With a genuine cookie any number must come to some verdict without harm.
		good := c.cookie(origin, slot, Class(class))
		if c.Redeem(Class(class), origin, slot, good, now) == Served && c.Redeem(Class(class), origin, slot, good, now) != Used {
			t.Fatal("redeemed twice")
		}
	})
}

func BenchmarkOffer(b *testing.B) {
	r := seed.New(4)
	c := NewCalendar(usual, 0, &r)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Offer(Request{Class: Orphan, Origin: uint64(i), Group: ident.Group(i % 1000)}, vtime.Time(i)*1000, &r)
	}
}

// TestStormHolds: the level stays for StormFrom after the backlog has become low, and
// one step takes it down by one.
func TestStormHolds(t *testing.T) {
	var s storm
	s.step(50*vtime.Second, usual.StormFrom, second)
	for now := 2 * second; now < 20*second; now += second {
		s.step(0, usual.StormFrom, now)
		low := vtime.Duration(now - 2*second)
		if want := uint8(max(0, 3-low/usual.StormFrom)); s.level != want {
			t.Fatalf("level %d after the backlog was low for %d, want %d", s.level, low, want)
		}
	}
}

// TestSilenceLeavesNothingBehind: after any silence the books agree with the bits.
func TestSilenceLeavesNothingBehind(t *testing.T) {
	for _, silence := range []vtime.Time{30, 59, 61, 64, 66, 90, 125, 140, 500} {
		r := seed.New(4)
		c := NewCalendar(usual, 0, &r)
		for range 1200 {
			c.Offer(Request{Class: Ticket}, 0, &r)
		}
		c.advance(silence * second)
		taken := int64(0)
		for s := c.cur; s < c.cur+c.span; s++ {
			if c.taken.get(s) {
				taken++
			}
		}
		if want := int64(max(0, 1200-20*int(silence))); c.ahead != taken || taken != want {
			t.Fatalf("after %d s: %d ahead, %d bits, want %d", silence, c.ahead, taken, want)
		}
	}
}

// TestTicketShareFollowsDemand: what is kept for ticket holders rises as soon as they
// ask, lasts through the next measurement, and ends when they no longer come.
func TestTicketShareFollowsDemand(t *testing.T) {
	r := seed.New(4)
	c := NewCalendar(usual, 0, &r)
	for i := range 2 * usualRate {
		c.Offer(Request{Class: Ticket, Origin: uint64(i)}, 0, &r)
	}
	for _, x := range []struct {
		at   vtime.Time
		want int64
	}{{0, 2}, {5, 2}, {9, 2}, {11, 0}} {
		c.advance(x.at * second)
		if c.tickets.fifths != x.want {
			t.Fatalf("%d fifths are kept after %d s, want %d", c.tickets.fifths, x.at, x.want)
		}
	}
}
