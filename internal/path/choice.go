package path

import "time"

// Which of several good ways is used: the one whose round trip is shortest, as probes
// measure it, with what the relay's own load adds. The end that chooses asks all of them
// now and then while there is traffic, which also shows a spare way that has died before it
// is needed, and moves when another one has been clearly better for long. A moment's
// difference is no reason: each move costs QUIC its measure of the way.
const (
	// compareEvery is the time between two comparisons, compareWait what the answers get.
	compareEvery = 10 * time.Second
	compareWait  = time.Second
	// compareRow is how many comparisons in a row another way must win: half a minute. The
	// first one that a conversation makes decides at once.
	compareRow = 3
	// clearly is by how much, beside a quarter: what a busy machine adds by itself.
	clearly = 5 * time.Millisecond
)

// choice is what a peer's comparisons have come to.
type choice struct {
	at    time.Duration // of the next step
	asked bool          // the ways have been asked, and are compared next
	begun bool          // there was a comparison
	row   int           // comparisons that the way in use has lost in a row

	settled time.Duration // when the other end must have followed to a way that was chosen
}

// choose compares the ways to a peer when it is time. The caller holds the peer's lock.
func (c *Conn) choose(p *peer, now time.Duration) {
	a := p.active
	if now < p.choice.at || p.follows || p.asking || p.lost || a == nil || !a.relayed() {
		return
	}
	if !p.choice.asked {
		p.choice.at = now + compareEvery
		if b := p.best(a); b == nil || !b.good() {
			return
		}
		for _, w := range p.ways {
			if w.good() {
				c.probe(w, now)
			}
		}
		p.choice.asked, p.choice.at = true, now+compareWait
		return
	}
	p.choice.asked, p.choice.at = false, now+compareEvery
	b := p.quickest()
	if b == nil || b == a || a.rtt == 0 || b.rtt > a.rtt*3/4-clearly {
		p.choice.row, p.choice.begun = 0, p.choice.begun || b != nil
		return
	}
	if p.choice.row++; p.choice.row >= compareRow || !p.choice.begun {
		p.choice.row, p.choice.settled = 0, now+patienceMax+a.rtt
		p.use(b)
	}
	p.choice.begun = true
}

// quickest returns the good way of the shortest round trip, of those that have answered.
func (p *peer) quickest() (b *way) {
	for _, w := range p.ways {
		if w.good() && w.relayed() && w.rtt > 0 && w.tries == 0 && (b == nil || w.rtt < b.rtt) {
			b = w
		}
	}
	return b
}
