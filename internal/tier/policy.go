package tier

import (
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
)

// Load is utilisation in 1/128, as it travels: 128 is full, up to MaxLoad.
type Load uint8

// MaxLoad is the highest load there is, 1.3: a supernode can be fuller than full, in thin
// slots, but a liar can't claim more.
const MaxLoad Load = 166

// Clamp returns l, at most MaxLoad.
func Clamp(l Load) Load { return min(l, MaxLoad) }

// Policy is the thresholds. The dead band between the two is wide and demotion is slow,
// because a tier that shrinks too far in calm is too small in a storm: with a band of
// 0.45 to 0.55 it makes 102 000 promotions a day, with 0.30 to 0.65 those 30 000 that
// replace departures.
type Policy struct {
	Period       vtime.Duration // between two draws, of a node or a supernode
	Target       Load           // utilisation aimed at
	PromoteAbove Load           // promotions above this utilisation
	DemoteBelow  Load           // demotions below this one, of the tier and of one's own
	Gain         int64          // most promotions per period and supernode, in 1/128
	Tenure       vtime.Duration // a supernode serves at least that long
	Calm         vtime.Duration // and steps down only that long after the last storm
	MinSize      int            // supernodes below which the tier never falls, while nodes are eligible
	DialBacks    int            // supernodes that must have reached a node from outside, 1 to MaxDialBacks
}

// slower is how much slower than it grows the tier shrinks.
const slower = 10

// Odds is a probability as a fraction. The zero value is 0.
type Odds struct{ Num, Den int64 }

// Draw draws once. Certain outcomes draw nothing.
func (o Odds) Draw(r *seed.Rand) bool {
	return o.Num > 0 && (o.Num >= o.Den || r.Between(0, o.Den) < o.Num)
}

// Promote returns the odds that one eligible node becomes a supernode in one period:
// Gain x S/E x min(1, u/Target - 1) when u is above PromoteAbove, else 0. E nodes that
// draw make the tier grow by at most Gain, and by less the nearer it is to the target.
func (p *Policy) Promote(u Load, supernodes, eligible int) Odds {
	u = Clamp(u)
	if u <= p.PromoteAbove || u <= p.Target || supernodes <= 0 || eligible <= 0 {
		return Odds{}
	}
	t := int64(p.Target)
	over := min(int64(u)-t, t)
	return Odds{Num: p.Gain * int64(supernodes) * over, Den: 128 * int64(eligible) * t}
}

// Station is what a supernode knows when it asks whether to step down.
type Station struct {
	Util       Load       // of the tier, as it estimates it
	Own        Load       // its own
	Supernodes int        // alive, itself included
	Last       bool       // it ranks highest by ID among them
	Since      vtime.Time // when it began to serve
	Storm      vtime.Time // when there was a storm last; its start of service if never
}

// Demote returns the odds that this supernode steps down in one period: Gain/10 x
// (1 - u/DemoteBelow) while the tier and itself are below DemoteBelow, it has served
// Tenure and there was no storm for Calm. Load never leads here (R3): it must be low.
//
// The tier does not fall below MinSize. While it is under twice that, only the supernode
// that ranks highest by ID may go, so that several don't go at once on the same count.
func (p *Policy) Demote(s Station, now vtime.Time) Odds {
	low := s.Util < p.DemoteBelow && s.Own < p.DemoteBelow
	calm := now.Sub(s.Since) >= p.Tenure && now.Sub(s.Storm) >= p.Calm
	if !low || !calm || s.Supernodes <= p.MinSize || s.Supernodes < 2*p.MinSize && !s.Last {
		return Odds{}
	}
	b := int64(p.DemoteBelow)
	return Odds{Num: p.Gain / slower * (b - int64(s.Util)), Den: 128 * b}
}

// Resume reports whether a supernode that returns from a reboot serves again at once:
// when the tier is above its target, or too small. Else it waits like any other node.
func (p *Policy) Resume(u Load, supernodes int) bool {
	return u > p.Target || supernodes < p.MinSize
}
