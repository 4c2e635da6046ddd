package sim

import (
	"math"
	"math/bits"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/vtime"
)

// How soon a network has come back, and how soon one could at best.

// Recovery tells of what has happened since the last ResetCensus, from the first machine
// that went down or came up to the last one.
type Recovery struct {
	First, Last vtime.Time // those machines' moments, Never when there was none

	// Most and All are when, at Last or later, 99.9 % and all of the running nodes were
	// attached; Never while they have not been. What does not last until every death has
	// been noticed does not count: see unnoticed.
	Most, All vtime.Time

	// Bound is before when nobody can have attached all: see Bound.
	Bound vtime.Time
}

// shock is when machines went down and came up, and when the network had come back.
type shock struct {
	first, last, most, all vtime.Time
	nodes                  uint64 // incidents until most
}

var quiescent = shock{first: vtime.Never, last: vtime.Never, most: vtime.Never, all: vtime.Never}

// unnoticed is longer than a death without goodbye can go unnoticed, 72 s in a thin slot
// (PROTOCOL.md section 4): until then nodes count as attached that are not.
const unnoticed = 75 * vtime.Second

// at notes that a machine went down or came up.
func (k *shock) at(now vtime.Time) {
	first := vtime.Earlier(k.first, now)
	*k = quiescent
	k.first, k.last = first, now
}

func (k *shock) watch(now vtime.Time, attached, running int, incidents uint64) {
	if k.last == vtime.Never {
		return
	}
	before := k.most
	k.note(&k.most, now, 1000*attached >= 999*running)
	if k.most != before {
		k.nodes = incidents
	}
	k.note(&k.all, now, attached == running)
}

// note keeps in since when something first held.
func (k *shock) note(since *vtime.Time, now vtime.Time, holds bool) {
	switch {
	case holds && *since == vtime.Never:
		*since = now
	case !holds && now.Sub(k.last) < unnoticed:
		*since = vtime.Never
	}
}

// recovery sums the shock up. Of the supernodes that there were, those count for the
// bound that have not been lost.
func (s *Sim) recovery() Recovery {
	t, p := &s.stats, &s.cfg.Policy
	k := t.shock
	r := Recovery{First: k.first, Last: k.last, Most: k.most, All: k.all, Bound: vtime.Never}
	if k.last == vtime.Never {
		return r
	}
	left := max(1, t.serving-int(t.promotions)+int(t.demotions))
	exchange := s.net.median + s.cfg.Service.cost(true)
	nodes := k.nodes
	if k.most == vtime.Never {
		nodes = t.incidents()
	}
	serve := Bound(int(nodes), float64(left*p.AttachRate), float64(p.TierGain)/128, p.ScalePeriod)
	r.Bound = vtime.Later(k.last.Add(exchange), k.first.Add(serve))
	return r
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
// first design): no policy is faster. The other bound is that of the last machine, which
// can't be attached before it is up, and one round trip and one handshake later.
func Bound(nodes int, rate, g float64, tau vtime.Duration) vtime.Duration {
	n := float64(nodes) / rate
	if g > 0 && tau > 0 {
		l := math.Log1p(g) / tau.Seconds()
		n = math.Log1p(n*l) / l
	}
	return vtime.Duration(n * float64(vtime.Second))
}

// orphans is a set of hosts.
type orphans struct {
	bits []uint64
	n    int
}

func (o *orphans) set(i uint32, in bool) {
	w, b := &o.bits[i/64], uint64(1)<<(i%64)
	switch had := *w&b != 0; {
	case in && !had:
		*w |= b
		o.n++
	case !in && had:
		*w &^= b
		o.n--
	}
}

// all yields them in order.
func (o *orphans) all(yield func(uint32) bool) {
	for k, w := range o.bits {
		for ; w != 0; w &= w - 1 {
			if !yield(uint32(k*64 + bits.TrailingZeros64(w))) {
				return
			}
		}
	}
}

// offered is the attach load that every supernode is offered, whether it has room for it
// or not: requests in each quarter of a second of the last five.
type offered map[uint32]*offer

type offer struct {
	at     int64 // the quarter that was counted in last
	recent [loadQuarters]uint16
	most   int // in any five seconds
}

// loadQuarters is the window, 5 s.
const loadQuarters = 20

// add counts an attach that comes to a supernode.
func (o offered) add(i uint32, now vtime.Time) {
	w := o[i]
	quarter := int64(now) / int64(vtime.Second/4)
	if w == nil {
		w = &offer{at: quarter}
		o[i] = w
	}
	if quarter-w.at >= loadQuarters {
		w.recent, w.at = [loadQuarters]uint16{}, quarter
	}
	for ; w.at < quarter; w.at++ {
		w.recent[(w.at+1)%loadQuarters] = 0
	}
	if c := &w.recent[quarter%loadQuarters]; *c < math.MaxUint16 {
		*c++
	}
	sum := 0
	for _, n := range w.recent {
		sum += int(n)
	}
	w.most = max(w.most, sum)
}

// peak is the highest load of any, as a ratio to the rate that the policy gives all.
func (o offered) peak(p *core.Policy) float64 {
	most := 0
	for _, w := range o { // the largest of all, in whatever order
		most = max(most, w.most)
	}
	return float64(most) / float64(5*p.AttachRate)
}
