package path

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ada420b6/overlay/internal/ident"
)

// How a direct way is found, below the relayed ones (PROTOCOL.md section 8).
//
// When a relayed way carries and QUIC has proven who the peer is, the end with the higher
// key, which leads, offers its addresses to the other one, which answers with its own. Half
// a round trip later both send a small packet to each of the other's addresses, at nearly
// the same moment: each opens the sender's NAT for what comes from there, and an answer
// with the right token proves that the peer is where it came from. The first address that
// is proven becomes a way like others, preferred while it works. It is probed when it was
// silent for keepEvery, which keeps NATs open; when it dies the relayed ways are there.
//
// One attempt is made, and one more retryAfter later; then again when a new channel stands,
// because an end may be somewhere else now, and ever more rarely after a direct way has
// died.
const (
	// offerEvery is the time until an offer that was not answered is sent again, and a
	// round trip more; it doubles. offerTries is how many are sent: the other end has 1.5 s
	// to know who this one is, and where it is itself.
	offerEvery = 100 * time.Millisecond
	offerTries = 4
	// sightFor is for how long a relay's word on this node's own address is believed, and
	// sightWait how long it is waited for.
	sightFor  = 10 * time.Second
	sightWait = 250 * time.Millisecond
	// punchEvery is the time between two rounds of punches, punchRounds how many there
	// are, and punchFor when the attempt is over: three quarters of a second for the
	// answers.
	punchEvery  = 200 * time.Millisecond
	punchRounds = 2
	punchFor    = punchEvery + 750*time.Millisecond
	// maxRow is how many attempts are made in a row, retryAfter the time between them.
	maxRow     = 2
	retryAfter = 2 * time.Second
	// keepEvery is how long a direct way may be silent before it is probed, up to a
	// quarter more: NATs that forget a binding after 30 s have had two packets by then.
	keepEvery = 10 * time.Second
	// renewMin and renewMax bound the pause before a direct way that has died is sought
	// anew. It doubles with every two attempts in vain, and while they die within renewMax.
	renewMin = time.Second
	renewMax = time.Minute
	// answerEvery is how often the end that follows answers another offer of one peer.
	answerEvery = 500 * time.Millisecond
	// repeatEvery is how often it answers the same offer: each answer looks at the machine's
	// interfaces, and whoever is on the way of an offer can repeat it.
	repeatEvery = offerEvery / 2
)

// attempt is one attempt at a direct way, and what it has proven for as long as the way
// lives. Guarded by the peer's mu.
type attempt struct {
	to      *peer
	channel uint64
	leads   bool // this end has offered
	named   bool // the other end has answered
	over    bool // it brought nothing, or its way was closed
	offers  uint8
	rounds  uint8
	begun   time.Duration // when the first punches went out, or will; 0 is not known yet
	next    time.Duration // the next offer, round, or the end
	trials  []trial       // at most maxTrials
	way     *way          // nil until an address is proven
}

// seeking is what a peer knows of direct ways beside the way itself. Guarded by its mu.
type seeking struct {
	known   bool          // QUIC has proven who it is: it may learn addresses
	attempt *attempt      // the latest; nil is none
	direct  *way          // the direct way, dead or alive; nil is none
	held    []byte        // an offer that waits until the peer is known, or this node's addresses are
	tried   uint8         // attempts since there was reason for a first one
	at      time.Duration // when the next one begins; 0 is not at all
	began   time.Duration // when this end began one last
	pause   time.Duration // before the next one after a death
	lived   time.Duration // when the direct way was entered
	looked  time.Duration // when the relays were asked for this node's own address
	replied time.Duration // when an offer was answered last
}

// attempts finds an attempt by its channel. Its lock is taken last.
type attempts struct {
	mu sync.RWMutex
	by map[uint64]*attempt // one or two for each peer
}

func (x *attempts) of(channel uint64) *attempt {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.by[channel]
}

func (x *attempts) enter(a *attempt) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.by == nil {
		x.by = make(map[uint64]*attempt)
	}
	x.by[a.channel] = a
}

// end forgets an attempt.
func (x *attempts) end(a *attempt) {
	if a == nil {
		return
	}
	a.over = true
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.by, a.channel)
}

// Proven says that QUIC has proven who the peer is: it may learn this node's addresses.
func (c *Conn) Proven(key ident.Key) {
	c.mu.RLock()
	p := c.peers[key]
	c.mu.RUnlock()
	if p == nil || c.own == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.known {
		p.known = true
		c.seekDirect(p, c.now())
		if p.held != nil {
			c.arm(p, 0)
		}
	}
}

// Direct reports whether packets to a peer go to its own address, without a relay.
func (c *Conn) Direct(key ident.Key) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	p := c.peers[key]
	if p == nil {
		return false
	}
	w := p.inUse()
	return w != nil && w.via == key
}

// Directs returns how many peers packets go to without a relay.
func (c *Conn) Directs() (n int) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for key, p := range c.peers {
		if w := p.inUse(); w != nil && w.via == key {
			n++
		}
	}
	return n
}

// loopback reports whether a relay of the peer is reached at this machine's loopback.
func (p *peer) loopback() bool {
	for _, w := range p.ways {
		if w.relayed() && w.addr.Load().Addr().IsLoopback() {
			return true
		}
	}
	return false
}

// carrier returns the relayed way for offers: the one in use, else the best; nil when
// there is none, or the peer is its own relay and is reached directly anyway.
func (p *peer) carrier() (b *way) {
	for _, w := range p.ways {
		if w.via == p.key && w.relayed() {
			return nil
		}
		if w.relayed() && w.good() && (b == nil || b.fresh && !w.fresh || w == p.active) {
			b = w
		}
	}
	return b
}

// seekDirect begins a row of attempts, if there is reason to: a relayed way works, and no
// direct one.
func (c *Conn) seekDirect(p *peer, now time.Duration) {
	if c.own == nil || p.follows || p.tried > 0 || p.at != 0 || p.direct != nil && p.direct.good() {
		return
	}
	if w := p.carrier(); w == nil || w.fresh || !p.known {
		return
	}
	p.at = now
	if p.began != 0 {
		p.at = max(now, p.began+answerEvery) // one that the other end would answer
	}
	c.arm(p, p.at-now)
}

// directDue does what is due for direct ways to a peer.
func (c *Conn) directDue(p *peer, now time.Duration) {
	if c.own == nil {
		return
	}
	if p.held != nil && p.known && c.look(p, now) {
		c.answerOffer(p, now)
	}
	if p.at != 0 && now >= p.at && c.look(p, now) {
		c.begin(p, now)
	}
	if a := p.attempt; a != nil && !a.over && a.next != 0 && now >= a.next {
		c.proceed(a, now)
	}
	if w := p.direct; w != nil && w.good() && w.tries == 0 && now >= w.quietTo() {
		w.keep = keepEvery + rand.N(keepEvery/4)
		c.probe(w, now)
	}
	c.armDirect(p, now)
}

func (c *Conn) armDirect(p *peer, now time.Duration) {
	if p.at > now {
		c.arm(p, p.at-now)
	}
	if a := p.attempt; a != nil && !a.over && a.next != 0 {
		c.arm(p, a.next-now)
	}
	if w := p.direct; w != nil && w.good() && w.tries == 0 {
		c.arm(p, w.quietTo()-now)
	}
	if (p.held != nil && p.known || p.at != 0) && p.looked+sightWait > now {
		c.arm(p, p.looked+sightWait-now)
	}
}

// begin offers this node's addresses to the peer.
func (c *Conn) begin(p *peer, now time.Duration) {
	p.at = 0
	if p.follows || p.carrier() == nil || p.direct != nil && p.direct.good() {
		return
	}
	p.tried++
	p.began = now
	c.attempts.end(p.attempt.unused())
	a := &attempt{to: p, channel: rand.Uint64() | 1, leads: true, next: now}
	p.attempt = a
	c.attempts.enter(a)
	c.proceed(a, now)
}

// unused returns the attempt unless its way is one.
func (a *attempt) unused() *attempt {
	if a == nil || a.way != nil {
		return nil
	}
	return a
}

// proceed takes an attempt to its next step.
func (c *Conn) proceed(a *attempt, now time.Duration) {
	p := a.to
	switch {
	case a.begun == 0 && a.offers < offerTries:
		w := p.carrier()
		if w == nil {
			c.finish(a, now)
			return
		}
		a.next = now + w.rtt + offerEvery<<a.offers
		a.offers++
		c.sendOffer(w, kindOffer, a.channel)
	case a.begun == 0, now >= a.begun+punchFor:
		c.finish(a, now)
	case a.rounds < punchRounds:
		a.rounds++
		a.next = now + punchEvery
		if a.rounds == punchRounds {
			a.next = a.begun + punchFor
		}
		c.round(a, now)
	}
}

// finish ends an attempt whose time is over. What it has proven stays.
func (c *Conn) finish(a *attempt, now time.Duration) {
	a.next = 0
	if a.way != nil {
		return
	}
	c.attempts.end(a)
	c.finished(a.to, now)
}

// finished has the second attempt follow the first one. Where a direct way has been there
// once in the conversation, that is not the end.
func (c *Conn) finished(p *peer, now time.Duration) {
	switch {
	case p.follows:
		return
	case p.tried < maxRow:
		p.at = now + retryAfter
	case p.lived != 0:
		p.pause = min(2*p.pause, renewMax)
		p.tried, p.at = 0, now+p.pause
	default:
		return
	}
	c.arm(p, p.at-now)
}

// punching begins to punch, unless that has begun.
func (c *Conn) punching(a *attempt, now time.Duration) {
	if a.rounds > 0 {
		return
	}
	a.begun = now
	c.proceed(a, now)
	c.arm(a.to, max(0, a.next-now))
}
