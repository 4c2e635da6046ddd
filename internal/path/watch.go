package path

import (
	"math/rand/v2"
	"net/netip"
	"time"
)

// How a way that has died is noticed and left within a second (rule R12).
//
// QUIC is answered by whoever it sends to. A peer is doubted when packets went out for
// some while and nothing came back on the way that is in use: then every way to it is
// probed, packets go on all of them, and those that may have been lost are sent once more.
// The first answer of the way in use ends the doubt; if only another one answers, that one
// is used from then on. A burst that needs no answer, such as QUIC's last acknowledgement,
// is no reason to doubt, and while nothing is sent nothing is probed.
//
// Several good ways need one chooser: the end with the higher key keeps its way as long as
// no other one is clearly quicker (choice.go), the other end follows it to where it speaks. Which channels there are is not decided here: a way
// whose probes are in vain is told to the core, which seeks another (PROTOCOL.md section 8).
const (
	// patienceMin and patienceMax bound the silence that raises a doubt. In between it is
	// three times what answers have taken lately, and at least one and a quarter round
	// trips and patienceMore: QUIC's acknowledgements may wait for 25 ms. While packets
	// flow, the next answer is never far; one question at a time takes the round trip.
	patienceMin  = 250 * time.Millisecond
	patienceMax  = 600 * time.Millisecond
	patienceMore = 75 * time.Millisecond
	// probeEvery is the time between two probes on a way, up to a quarter more, and
	// probeTries how many are sent before it counts as dead: one second. On a new way the
	// peer may have to be told of its channel first, again after 0.5 and 1.5 s.
	probeEvery    = 200 * time.Millisecond
	probeTries    = 4
	probeTriesNew = 12
	// maxEmpty is how many doubts in a row may end with nothing but an echo: a relay that
	// carries probes and drops what QUIC sends is left as well.
	maxEmpty = 2
	// wantMin and wantMax bound the pause between two wishes for a way to one peer: it
	// doubles while nothing is heard, so that a peer that is gone costs two look-ups and
	// some probes a minute for as long as QUIC tries (2 minutes).
	wantMin = 2 * time.Second
	wantMax = 30 * time.Second
	// wantFor is for how long after a send a way is wanted: QUIC's repetitions are at most
	// a minute apart.
	wantFor = time.Minute
	// stale is for how long the way in use must have been silent for a new one to take
	// its place at once.
	stale = 10 * time.Second
)

// patience returns how long an answer on the way in use is waited for.
func (p *peer) patience() time.Duration {
	if p.active == nil || p.active.rtt == 0 {
		return patienceMax
	}
	rtt := p.active.rtt
	least := 5*rtt/4 + patienceMore
	return max(min(max(3*p.wait, patienceMin), patienceMax), least)
}

// answered notes that the way in use works.
func (p *peer) answered(now time.Duration) {
	if p.since != 0 {
		p.wait = max(now-p.since, p.wait-p.wait/8)
	}
	p.since, p.asking = 0, false
}

// sending notes a send and returns the way for it.
func (c *Conn) sending(p *peer, now time.Duration) *way {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return nil
	}
	p.used = now
	if p.active == nil || p.lost || p.active.dead {
		c.want(p, now)
	}
	// What was sent long before, and needed no answer, says nothing of the way now.
	if p.since == 0 || !p.asking && now-p.last > 2*p.patience() {
		p.since = now
	}
	p.last = now
	if p.active == nil {
		c.arm(p, wantMin)
	}
	return p.active
}

// sent keeps what was sent, and sends it on the other ways when there is a doubt.
func (c *Conn) sent(p *peer, w *way, b *Buffer, now time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		b.Free()
		return
	}
	c.keep(p, w, b, now)
	c.watch(p, now)
}

// keep keeps a packet that was sent. The caller holds the peer's lock.
func (c *Conn) keep(p *peer, w *way, b *Buffer, now time.Duration) {
	if p.asking {
		for _, x := range p.ways {
			if x != w && x.good() {
				b.readdress(x.channel)
				c.send(*x.addr.Load(), b.Bytes())
			}
		}
	}
	p.recent.push(b, now)
}

// watch looks after a peer that something was sent to. The caller holds its lock.
func (c *Conn) watch(p *peer, now time.Duration) {
	if p.doubtful(now) {
		c.ask(p, now)
	}
	c.choose(p, now)
	c.arm(p, p.patience()/2)
}

// doubtful reports whether it is time to ask whether the way in use works: packets went
// out over some time, so that they are not one burst that needs no answer.
func (p *peer) doubtful(now time.Duration) bool {
	if p.asking || p.lost || p.active == nil || p.since == 0 || now < p.wantAt {
		return false
	}
	t, start := p.patience(), p.since
	if heard := p.active.heard; p.flows() && start-heard < t {
		start = heard // QUIC may have sent all that it may before an answer
	}
	return now-start >= t && p.last-start >= t/4
}

// flows reports whether answers come all the time, not only to one question after the
// other.
func (p *peer) flows() bool { return p.wait > 0 && p.wait < p.active.rtt*3/4 }

// ask begins to send on every way there is, and to probe each.
func (c *Conn) ask(p *peer, now time.Duration) {
	p.asking, p.begun = true, now
	for _, w := range p.ways {
		c.probe(w, now)
		if w != p.active && w.good() {
			c.repeat(p, p.missed(p.active), w)
		}
	}
}

// probe begins to ask whether a way works, unless that is being asked. A direct way that
// does not is left alone: its address may be somebody else's by now.
func (c *Conn) probe(w *way, now time.Duration) {
	if !w.dead || w.relayed() {
		c.probeFirst(w, now)
	}
}

func (c *Conn) probeFirst(w *way, now time.Duration) {
	if w.tries > 0 || w.over {
		return
	}
	w.nonce, w.asked = rand.Uint64()&^0xff, now
	c.probeAgain(w, now)
}

func (c *Conn) probeAgain(w *way, now time.Duration) {
	w.tries++
	w.sent = now
	step := max(probeEvery, w.rtt)
	w.again = now + step + rand.N(step/4)
	c.control(w, *w.addr.Load(), kindProbe, w.nonce|uint64(w.tries))
	c.arm(w.to, w.again-now)
}

// missed returns since when what was sent on a way may have been lost: since it was last
// heard, and one patience before.
func (p *peer) missed(w *way) time.Duration { return w.heard - p.patience() }

// repeat sends on a way once more what was sent to the peer since t.
func (c *Conn) repeat(p *peer, t time.Duration, on *way) {
	p.recent.each(t, func(b *Buffer) {
		b.readdress(on.channel)
		c.send(*on.addr.Load(), b.Bytes())
	})
}

// use makes w the way to send on.
func (p *peer) use(w *way) { p.active, p.since, p.asking = w, 0, false }

// move leaves the way in use for another, with what may have been lost on it.
func (c *Conn) move(p *peer, to *way, now time.Duration) {
	from := p.active
	p.use(to)
	if from != nil && from != to {
		c.repeat(p, p.missed(from), to)
		c.probe(from, now)
	}
}

// hearing notes that something of the peer's QUIC came on a way.
func (c *Conn) hearing(w *way, now time.Duration) {
	p := w.to
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used = now
	c.alive(w, now)
	p.rest, p.wantAt = wantMin, 0
	a := p.active
	switch {
	case w == a:
		p.answered(now)
		p.empty = 0
	case a == nil, !a.good() && w.good():
		c.move(p, w, now)
	case !w.good() || p.asking || now-a.heard <= p.patience()/2 || now < p.choice.settled:
	case p.follows:
		c.move(p, w, now)
	default: // the peer has left this way: is it dead?
		c.ask(p, now)
	}
}

// alive notes that a way carries.
func (c *Conn) alive(w *way, now time.Duration) {
	p := w.to
	if p.lost {
		c.found(p, w)
	}
	p.heard, w.heard = now, now
	w.dead, w.fresh = false, false
}

// answer handles a probe or an echo that came from an address.
func (c *Conn) answer(w *way, payload []byte, from netip.AddrPort, now time.Duration) {
	p := w.to
	p.mu.Lock()
	defer p.mu.Unlock()
	nonce, ok := c.proven(w, payload)
	switch {
	case !ok, payload[0] == kindEcho && (w.tries == 0 || nonce&^0xff != w.nonce):
		c.n.probe.Add(1)
	case payload[0] == kindProbe && w.over && !w.relayed(): // the other end shall leave it as well
	case payload[0] == kindProbe:
		c.control(w, from, kindEcho, nonce)
		if !w.relayed() {
			c.probed(w, from, now)
		}
	default:
		switch uint8(nonce) {
		case w.tries:
			w.timed(now - w.sent)
		case 1:
			w.timed(now - w.asked)
		}
		c.alive(w, now)
		w.tries = 0
		if w == p.active {
			c.echoed(p, now)
		}
		if !w.relayed() {
			c.confirmed(w, now)
		} else {
			c.seekDirect(p, now)
		}
	}
}

// echoed notes that the way in use has answered a probe. When that is all that it does, it
// is left, or another one is wanted.
func (c *Conn) echoed(p *peer, now time.Duration) {
	if p.asking {
		p.empty++
	}
	p.since, p.asking = 0, false // no measure of answers: the probe came later
	if p.empty <= maxEmpty {
		return
	}
	if b := p.best(p.active); b != nil && b.good() {
		p.empty = 0
		if w := p.active; !w.relayed() { // only for want of another, from now on
			w.over, w.tries = true, 0
			c.died(w, now)
			return
		}
		c.move(p, b, now)
		return
	}
	c.want(p, now)
}

// timed notes how long a probe and its echo took.
func (w *way) timed(took time.Duration) {
	if w.rtt == 0 {
		w.rtt = took
	}
	w.rtt = (3*w.rtt + took) / 4
}

// tick does what is due for a peer.
func (c *Conn) tick(p *peer) {
	select {
	case <-c.closed:
		return
	default:
	}
	now := c.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = false
	if p.gone {
		return
	}
	if p.doubtful(now) {
		c.ask(p, now)
	}
	for _, w := range p.ways {
		if w.tries > 0 && now >= w.again {
			c.vain(w, now)
		}
	}
	if p.asking && p.active != nil && p.active.tries != 1 { // it has had its time
		c.decide(p, now)
	}
	for _, w := range p.ways {
		if w.tries > 0 {
			c.arm(p, w.again-now)
		}
	}
	c.directDue(p, now)
	if p.lost || p.active == nil {
		c.seek(p, now)
		return
	}
	p.recent.drop(now - 2*p.patience())
	if p.since != 0 && now-p.since < p.patience() {
		c.arm(p, p.since+p.patience()-now)
	} else if p.recent.n > 0 {
		c.arm(p, p.patience()/2)
	}
}

// vain sends another probe on a way that does not answer, or gives it up.
func (c *Conn) vain(w *way, now time.Duration) {
	most := uint8(probeTries)
	if w.fresh {
		most = probeTriesNew
	}
	if w.tries < most {
		c.probeAgain(w, now)
		return
	}
	w.tries = 0
	if w.heard > w.asked { // it carries, at least this way
		return
	}
	was := w.dead
	w.dead = true
	if !w.relayed() {
		if !was {
			c.died(w, now)
		}
		return
	}
	c.silent(w.to.key, w.channel, w.via)
}

// decide ends a doubt: another way has answered, or none does.
func (c *Conn) decide(p *peer, now time.Duration) {
	if b := p.best(p.active); b != nil && b.good() && b.heard >= p.begun {
		p.use(b)
		return
	}
	for _, w := range p.ways {
		if w.tries > 0 {
			return
		}
	}
	p.asking, p.since, p.lost = false, 0, true
	c.want(p, now)
}

// seek says again and again that a way is wanted, for as long as somebody has something to
// say: QUIC sends ever more rarely, and what it sent last is kept to wake it.
func (c *Conn) seek(p *peer, now time.Duration) {
	if now-p.last > wantFor {
		p.recent.drop(now + 1)
		return
	}
	if c.want(p, now) { // those that there are may have come back
		for _, w := range p.ways {
			c.probe(w, now)
		}
	}
	c.arm(p, p.wantAt-now)
}

// found ends a time without a way: what was sent last goes on it, which wakes QUIC.
func (c *Conn) found(p *peer, w *way) {
	p.lost = false
	p.use(w)
	c.repeat(p, 0, w)
}

// want says that a way to the peer is wanted, if it is time to say it again.
func (c *Conn) want(p *peer, now time.Duration) bool {
	if now < p.wantAt {
		return false
	}
	p.wantAt = now + p.rest
	p.rest = min(2*p.rest, wantMax)
	c.wanted(p.key)
	return true
}

// arm has tick run within d. A timer that is armed for later is moved.
func (c *Conn) arm(p *peer, d time.Duration) {
	at := c.now() + d
	if p.armed && p.due <= at {
		return
	}
	p.armed, p.due = true, at
	if p.timer == nil {
		p.timer = time.AfterFunc(d, func() { c.tick(p) })
		return
	}
	p.timer.Reset(d)
}
