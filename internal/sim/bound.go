package sim

import (
	"math"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/vtime"
)

// How soon a network can have come back at best, with the rates and rhythms of its policy.
// Three things take their time, side by side, so that the longest of them is the bound:
//
//   - the last machine can't be attached before it is up, and one round trip and one
//     handshake later;
//   - the supernodes that are left take so many a second, and become more only so fast: Bound;
//   - who has lost all supernodes to deaths without goodbye can't look for another before a
//     silence has told it so, which depends on the rhythm of its keepalives: unaware.
//
// All three are counted from when machines went down or came up, so a ratio to the bound says
// something of the policy only where machines do not take most of the time themselves: of a
// reboot in which the last machine is up after 8 min it says that everybody else was attached
// by then, and no more.

// recovery sums the shock up.
func (s *Sim) recovery() Recovery {
	t, p := &s.stats, &s.cfg.Policy
	k := t.shock
	r := Recovery{First: k.first, Last: k.last, Most: k.most, All: k.all, Bound: vtime.Never}
	if k.last == vtime.Never {
		return r
	}
	exchange := s.net.median + s.cfg.Service.cost(true)
	nodes := k.nodes
	if k.most == vtime.Never {
		nodes = t.incidents()
	}
	serve := Bound(int(nodes), float64(s.ready()*p.AttachRate), float64(p.TierGain)/128, p.ScalePeriod)
	aware := s.stranded.aware(k.last, t.running/1000)
	r.Bound = vtime.Later(vtime.Later(k.last, aware).Add(exchange), k.first.Add(serve))
	return r
}

// ready is how many supernodes there are without waiting for the tier to grow: of those that
// there were the ones that have not been lost, and the standbys of the others.
func (s *Sim) ready() int {
	t := &s.stats
	left := t.serving - int(t.promotions) + int(t.demotions)
	return max(1, left+t.lost*s.cfg.Policy.Standbys)
}

// Bound is how long it takes at least to attach nodes at supernodes that together take
// rate a second, when the tier grows by the share g in every period tau: the policy's
// TierGain and ScalePeriod, since S/E is what an eligible node's odds to promote itself
// are at most multiplied with (PROTOCOL.md section 6). After a time T
// they have taken rate tau/ln(1+g) ((1+g)^(T/tau) - 1) nodes, the integral of a rate that
// grows so; that this is N gives
//
//	T* = tau/ln(1+g) ln(1 + N ln(1+g) / (rate tau))
//
// and N/rate when nothing grows. The first design states it (PROTOCOL.md, section 10 of the
// first design): where need alone makes supernodes, no policy is faster. Standbys serve
// without it, so they count into the rate. What is left out is what each serves at once
// (AttachBurst), the higher rate of large supernodes, and those that come back: it is a
// bound for many nodes at few supernodes of users.
func Bound(nodes int, rate, g float64, tau vtime.Duration) vtime.Duration {
	n := float64(nodes) / rate
	if g > 0 && tau > 0 {
		l := math.Log1p(g) / tau.Seconds()
		n = math.Log1p(n*l) / l
	}
	return vtime.Duration(n * float64(vtime.Second))
}

// spread is by how much the rhythm of keepalives is drawn longer or shorter each time
// (PROTOCOL.md section 13).
const spread = 0.1

// unchecked is the share of attachments that have not been checked yet a time d after their
// supernode died. A node checks after a silence W, drawn from I (1-a) to I (1+a) anew each
// time, and a death falls anywhere into that. Long enough after all have attached the time
// left until the next check is what renewal theory says, P(R > d) = 1/E[W] times the integral
// of P(W > w) from d on, which is with x = d/I
//
//	1 - x                  as long as x < 1-a: no W is shorter
//	(1 + a - x)^2 / 4a     up to 1+a
//	0                      beyond
func unchecked(d, interval vtime.Duration) float64 {
	switch x := d.Seconds() / interval.Seconds(); {
	case x <= 0:
		return 1
	case x < 1-spread:
		return 1 - x
	case x < 1+spread:
		return (1 + spread - x) * (1 + spread - x) / (4 * spread)
	}
	return 0
}

// patience is how long the checks of a silent attachment take, from the first to the verdict.
func patience(step vtime.Duration) vtime.Duration { return (core.Checks + 1) * step }

// unaware is the share of the nodes of a silence that can't know at t that they are alone
// (PROTOCOL.md section 4): the share that has given up none of its supernodes. A check that
// began less than the patience P ago proves nothing, so that is
//
//	U(t) = product over its supernodes, which died at d, of unchecked(t - d - P)
//
// From the first that it gives up a node may look for another, hence the product and not
// the later of the two. Nobody can tell it sooner: who told of a death would be a supernode
// that lives and holds it. With 20 s and a step of 1 s a node of one supernode knows after
// 16 s on average and 28 s at worst; of 1 000 nodes of two, which died together, all but one
// after 25.3 s. Of a machine that is back within that time the first check brings a Reset:
// P is 0 then.
func (q *silence) unaware(t vtime.Time) float64 {
	share := 1.0
	for k, died := range q.died {
		if died == vtime.Never {
			continue
		}
		d := t.Sub(died)
		if !q.told {
			d -= patience(q.watch[k].Step)
		}
		share *= unchecked(d, q.watch[k].Interval)
	}
	return share
}

// aware is when, at from or later, all but missing of those stranded can know it. The last
// but missing of many independent moments is on average where missing+1 of them are still
// expected:
//
//	sum over all silences of nodes U(T) = missing + 1
func (x *stranded) aware(from vtime.Time, missing int) vtime.Time {
	expected := func(t vtime.Time) (n float64) {
		for k := range x.silences {
			q := &x.silences[k]
			n += float64(q.nodes) * q.unaware(t)
		}
		return n
	}
	lo, hi := from, from
	for k := range x.silences {
		hi = vtime.Later(hi, x.silences[k].over())
	}
	if expected(from) <= float64(missing+1) {
		return from
	}
	for hi.Sub(lo) > vtime.Millisecond { // it never grows
		if mid := lo + (hi-lo)/2; expected(mid) > float64(missing+1) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}
