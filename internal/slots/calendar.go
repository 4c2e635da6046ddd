package slots

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
)

// MaxRate is what one core can shake hands with: with a horizon of 60 s
// 325 000 slots, in four rings of 2^19 bits: 262 kB.
const MaxRate = 5000

// early is how much before its moment a node may come: waits travel in whole
// milliseconds, and clocks drift 100 ppm x 60 s = 6 ms in a horizon.
const early = 50 * vtime.Millisecond

// Params is the policy of a Calendar; core.Policy says what each means.
type Params struct {
	Rate, Burst int            // attaches per second, at most MaxRate, and at once after idleness
	Horizon     vtime.Duration // how far ahead slots are given away
	Grace       vtime.Duration // how long after its slot a node may come
	SecondWait  vtime.Duration // the longest wait at which a second attachment is still taken
	SecondBelow uint8          // the utilisation, in 1/128, from which it no longer is
	TicketSlots int            // of every five slots, most that are kept for ticket holders
	LoadedAfter vtime.Duration // the wait from which group limits apply: below there is enough for everybody
	GroupShare  int            // part of a horizon that one address group may have then, in 1/1000
	StormFrom   vtime.Duration // backlog of storm level 1
	FullWait    vtime.Duration // who finds no slot stays away U(1/60, 1) times this
	SecondRetry vtime.Duration // a second attachment U(1, 3) times this
}

// Class is what a slot is asked for; the lower goes before.
type Class uint8

// The classes, in the order of PROTOCOL.md section 5 and with wire's numbers.
const (
	Ticket Class = iota // an orphan that holds a ticket of this supernode
	Orphan              // an orphan that does not
	Second              // a node that is attached elsewhere
	classes
)

// Request is what decides about an offer.
type Request struct {
	Class  Class
	Origin uint64         // hash of the asker's address: the offer is good from there only
	Group  ident.Group    // its address group; 0 is unknown and not limited
	Load   uint8          // this supernode's own utilisation in 1/128
	Within vtime.Duration // a slot further away is of no use, and is not taken; 0 for any
}

// Offer is the answer to a probe.
type Offer struct {
	OK     bool
	Wait   vtime.Duration // until the slot; without one, how long to stay away
	Slot   uint32         // number of the slot
	Cookie uint64         // proof of the offer
}

// Calendar is the slots of one supernode. It is bound to a secret of its own, so offers
// of an earlier life are worth nothing.
type Calendar struct {
	p      Params
	secret [2]uint64
	origin vtime.Time // start of slot 0
	rate   int64
	burst  int64
	span   int64 // slots from now to the horizon

	head   int64 // first slot whose bits are kept: the grace has not run out
	cur    int64 // slot of the present moment
	next   int64 // all regular slots before it are taken
	open   int64 // all regular slots before it are taken or reserved to ticket holders
	ahead  int64 // regular slots from cur on that are taken
	credit int64 // make-up slots that may be offered
	end    int64 // no slot from it on was ever given away

	taken    bitmap // regular lane: given away
	makeup   bitmap // make-up lane: given away
	redeemed [2]bitmap

	tickets demand // how much of the rate ticket holders ask for
	groups  sketch // slots given to each address group in this horizon
	storm   storm
}

// NewCalendar returns a calendar that begins at now. r gives the secret.
func NewCalendar(p Params, now vtime.Time, r *seed.Rand) Calendar {
	invariant.Check(0 < p.Rate && p.Rate <= MaxRate, "slots: rate out of range")
	invariant.Check(0 < p.Horizon && p.Horizon <= vtime.Hour && 0 <= p.Grace && p.Grace <= vtime.Hour, "slots: horizon out of range")
	c := Calendar{
		p: p, secret: [2]uint64{r.Uint64(), r.Uint64()}, origin: now, rate: int64(p.Rate), burst: int64(p.Burst),
		span: slotsIn(p.Horizon, p.Rate),
	}
	invariant.Check(0 < c.burst && c.burst < c.span, "slots: burst out of range")
	// Kept are the slots that may still be redeemed: an early one (burst) may be used
	// before its moment, a late one until Grace after it.
	kept := c.span + c.lag() + 1
	c.taken, c.makeup = newBitmap(kept), newBitmap(kept)
	c.redeemed = [2]bitmap{newBitmap(kept), newBitmap(kept)}
	return c
}

// slotsIn is how many slots d takes, rounded up.
func slotsIn(d vtime.Duration, rate int) int64 {
	return (int64(d)*int64(rate) + int64(vtime.Second) - 1) / int64(vtime.Second)
}

// lag is how many slots behind the present one are kept.
func (c *Calendar) lag() int64 { return slotsIn(c.p.Grace, c.p.Rate) + 1 }

// at returns the moment of a slot.
func (c *Calendar) at(slot int64) vtime.Time {
	s := slot / c.rate
	return c.origin.Add(vtime.Duration(s)*vtime.Second + vtime.Duration(slot%c.rate)*vtime.Second/vtime.Duration(c.rate))
}

// opens returns the moment from which a slot may be used: the burst before its own.
func (c *Calendar) opens(slot int64) vtime.Time {
	return c.at(slot).Add(-vtime.Duration(c.burst-1) * vtime.Second / vtime.Duration(c.rate))
}

// wait returns how long from now a slot opens.
func (c *Calendar) wait(slot int64, now vtime.Time) vtime.Duration {
	return max(0, c.opens(slot).Sub(now))
}

// Offer gives the asker the earliest slot that its class may have and marks it taken:
// one bit, until the slot has passed. Nothing about the asker is kept; the cookie
// carries it. When nothing is free within the horizon the offer is a wait. r draws the
// wait.
func (c *Calendar) Offer(q Request, now vtime.Time, r *seed.Rand) Offer {
	invariant.Check(q.Class < classes, "slots: unknown class")
	c.advance(now)
	if q.Class == Ticket {
		c.tickets.count(c.rate, c.p.TicketSlots)
	}
	if q.Class == Second && q.Load >= c.p.SecondBelow {
		return c.refusal(q.Class, r)
	}
	wait := c.wait(c.next, now)
	limited := wait > c.p.LoadedAfter && q.Class != Ticket && q.Group != 0
	if limited && c.groups.count(c.secret, q.Group) >= c.span*int64(c.p.GroupShare)/1000 {
		return c.refusal(q.Class, r)
	}
	slot, l, ok := c.pick(&q, wait)
	if !ok {
		return c.refusal(q.Class, r)
	}
	if limited {
		c.groups.add(c.secret, q.Group)
	}
	number := uint32(slot)<<1 | uint32(l)
	return Offer{OK: true, Wait: c.wait(slot, now), Slot: number, Cookie: c.cookie(q.Origin, number, q.Class)}
}

// refusal is an offer without a slot. The waits are drawn, so that those who are refused
// together do not come back together; who is attached already has time.
func (c *Calendar) refusal(class Class, r *seed.Rand) Offer {
	lo, hi := c.p.FullWait/60, c.p.FullWait
	if class == Second {
		lo, hi = c.p.SecondRetry, 3*c.p.SecondRetry
	}
	return Offer{Wait: vtime.Duration(r.Between(int64(lo), int64(hi)))}
}

// lane says which of a slot's two places is meant.
type lane uint8

const (
	regular lane = iota
	extra
)

// pick takes a place for q: a make-up slot when an orphan would have to wait for a regular
// one, else the first regular one that the class may have, if that is near enough.
func (c *Calendar) pick(q *Request, wait vtime.Duration) (slot int64, l lane, ok bool) {
	if wait > 0 && c.credit > 0 && q.Class != Second {
		for s := c.cur; s < c.cur+c.burst; s++ {
			if !c.makeup.get(s) {
				c.makeup.set(s)
				c.end = max(c.end, s+1)
				c.credit--
				return s, extra, true
			}
		}
	}
	c.next = c.free(c.next, 0)
	slot = c.next
	if wait > 0 && q.Class != Ticket {
		c.open = c.free(max(c.open, c.next), c.tickets.fifths)
		slot = c.open
	}
	within := c.p.Horizon
	if q.Within > 0 {
		within = min(within, q.Within)
	}
	if q.Class == Second {
		within = min(within, c.p.SecondWait)
	}
	if slot >= min(c.cur+c.span, c.cur+c.burst+int64(within)*c.rate/int64(vtime.Second)) {
		return 0, 0, false
	}
	c.taken.set(slot)
	c.end = max(c.end, slot+1)
	c.ahead++
	c.next = c.free(c.next, 0)
	return slot, regular, true
}

// free returns the first slot from s on that is not taken, leaving out so many of every
// five; the horizon when there is none.
func (c *Calendar) free(s, fifths int64) int64 {
	for end := c.cur + c.span; s < end && (s%5 < fifths || c.taken.get(s)); {
		s++
	}
	return s
}

// Verdict is what Redeem finds.
type Verdict uint8

// The verdicts.
const (
	Served Verdict = iota // come in
	Early                 // the slot has not opened yet; it stays good
	Late                  // the grace, counted from the end of the slot, has run out
	Used                  // the slot has been redeemed before
	Forged                // the cookie is not the one of this offer
)

// Redeem takes an attach that cites a slot: Served once, from the moment the offer named
// to Grace after the slot. The cookie is checked first, so that a stranger learns
// nothing about the calendar.
func (c *Calendar) Redeem(class Class, origin uint64, number uint32, cookie uint64, now vtime.Time) Verdict {
	if cookie != c.cookie(origin, number, class) {
		return Forged
	}
	c.advance(now)
	slot, l := c.resolve(number), lane(number&1)
	switch {
	case slot < c.head || slot >= c.cur+c.span:
		return Late
	case now < c.opens(slot).Add(-early) && l == regular:
		return Early
	case now > c.at(slot+1).Add(c.p.Grace):
		return Late
	case c.redeemed[l].get(slot):
		return Used
	}
	c.redeemed[l].set(slot)
	return Served
}

// resolve returns the slot nearest to the present one whose low 31 bits the number
// holds: at MaxRate they come round after five days, and no offer lives that long.
func (c *Calendar) resolve(number uint32) int64 {
	const half, whole = 1 << 30, 1 << 31
	d := (int64(number>>1) - c.cur) & (whole - 1)
	if d >= half {
		d -= whole
	}
	return c.cur + d
}

// advance lets slots pass whose time is over. A slot that nobody redeemed earns a
// credit. Credits end at one burst: idleness is not saved up.
func (c *Calendar) advance(now vtime.Time) {
	since := now.Sub(c.origin)
	cur := int64(since/vtime.Second)*c.rate + int64(since%vtime.Second)*c.rate/int64(vtime.Second)
	if cur <= c.cur {
		return
	}
	// After a silence longer than all that is kept there is nothing left to look at one by one.
	if jump := cur - c.lag() - c.head; jump > 2*(c.span+c.lag()) {
		c.restart(cur)
		return
	}
	// A look beyond the last slot that was given away would meet bits of slots that are
	// about to be cleared.
	for s, end := c.cur, min(cur, c.end); s < end; s++ {
		if c.taken.get(s) {
			c.ahead--
		}
	}
	c.cur = cur
	last := cur - c.lag()
	for ; c.head < min(last, c.end); c.head++ {
		for l, given := range [2]*bitmap{&c.taken, &c.makeup} {
			if given.get(c.head) && !c.redeemed[l].get(c.head) {
				c.credit = min(c.credit+1, c.burst)
			}
			given.clear(c.head)
			c.redeemed[l].clear(c.head)
		}
	}
	c.head = max(c.head, last)
	c.next, c.open = max(c.next, c.cur), max(c.open, c.cur)
	if c.tickets.roll(c.cur, c.rate, c.p.TicketSlots) {
		c.open = c.next
	}
	c.groups.roll(c.cur, c.span)
	c.storm.step(c.backlog(), c.p.StormFrom, now)
}

// restart empties the calendar at slot cur.
func (c *Calendar) restart(cur int64) {
	for _, b := range [4]*bitmap{&c.taken, &c.makeup, &c.redeemed[0], &c.redeemed[1]} {
		b.reset()
	}
	c.head, c.cur, c.next, c.open, c.ahead, c.credit = cur-c.lag(), cur, cur, cur, 0, 0
	c.tickets, c.groups, c.storm = demand{mark: cur}, sketch{mark: cur}, storm{}
}

// backlog is how long a node would wait that comes after all that is promised.
func (c *Calendar) backlog() vtime.Duration {
	return vtime.Duration(max(0, c.ahead-c.burst)) * vtime.Second / vtime.Duration(c.rate)
}

// Storm returns the storm level at now, 0 to 3.
func (c *Calendar) Storm(now vtime.Time) uint8 {
	c.advance(now)
	return c.storm.level
}

// Level returns the storm level as it was when something last asked, and changes nothing.
func (c *Calendar) Level() uint8 { return c.storm.level }

// Backlog returns how long a node would wait that asked at now, at most the horizon.
func (c *Calendar) Backlog(now vtime.Time) vtime.Duration {
	c.advance(now)
	return c.backlog()
}
