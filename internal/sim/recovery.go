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
	// attached to a supernode that lives; Never while they have not been.
	Most, All vtime.Time

	// Bound is before when no policy has 99.9 % attached: see bound.go.
	Bound vtime.Time
}

// shock is when machines went down and came up, and when the network had come back.
type shock struct {
	first, last, most, all vtime.Time
	nodes                  uint64 // incidents until most
}

var quiescent = shock{first: vtime.Never, last: vtime.Never, most: vtime.Never, all: vtime.Never}

// at notes that a machine went down or came up.
func (k *shock) at(now vtime.Time) {
	first := vtime.Earlier(k.first, now)
	*k = quiescent
	k.first, k.last = first, now
}

// watch notes when 99.9 % and all of those that run were first attached to who lives.
func (k *shock) watch(now vtime.Time, attached, running int, incidents uint64) {
	if k.last == vtime.Never {
		return
	}
	if k.most == vtime.Never && 1000*attached >= 999*running {
		k.most, k.nodes = now, incidents
	}
	if k.all == vtime.Never && attached == running {
		k.all = now
	}
}

// hostSet is a set of hosts.
type hostSet struct {
	bits []uint64
	n    int
}

func (o *hostSet) has(i uint32) bool { return o.bits[i/64]&(1<<(i%64)) != 0 }

func (o *hostSet) set(i uint32, in bool) {
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
func (o *hostSet) all(yield func(uint32) bool) {
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
