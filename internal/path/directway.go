package path

import (
	"net/netip"
	"slices"
	"time"
)

// A direct way is a way whose other end is the peer itself. It may have been proven at
// several addresses: packets go to one, which the end that leads has chosen by being
// the first to prove it, and are taken from all.

// relayed reports whether the way is a channel that was opened for this node, rather than
// one that the ends have found.
func (w *way) relayed() bool { return w.proof == nil }

// takes reports whether packets on the way may come from an address.
func (w *way) takes(from netip.AddrPort) bool {
	if *w.addr.Load() == from {
		return true
	}
	also := w.also.Load()
	return also != nil && slices.Contains(*also, from)
}

// enterDirect enters the way whose address was just proven, or one more address of it. The
// caller holds both locks.
func (c *Conn) enterDirect(a *attempt, t *trial, now time.Duration) {
	p, at := a.to, t.at
	if w := a.way; w != nil {
		also := []netip.AddrPort{at}
		if old := w.also.Load(); old != nil {
			also = append(also, *old...)
		}
		w.also.Store(&also)
		return
	}
	if c.channels[a.channel] != nil { // a number that the peer has not drawn
		c.attempts.end(a)
		return
	}
	c.dropDirect(p)
	w := &way{to: p, channel: a.channel, via: p.key, proof: a, fresh: true, heard: now, keep: keepEvery}
	w.addr.Store(&at)
	w.also.Store(&[]netip.AddrPort{at})
	a.way, p.direct, p.lived = w, w, now
	c.channels[w.channel] = w
	p.ways = append(p.ways, w)
	c.probe(w, now)
}

// dropDirect forgets the direct way. The caller holds both locks.
func (c *Conn) dropDirect(p *peer) {
	w := p.direct
	if w == nil {
		return
	}
	p.direct = nil
	delete(c.channels, w.channel)
	c.attempts.end(w.proof)
	p.ways = slices.DeleteFunc(p.ways, func(x *way) bool { return x == w })
	if p.active == w {
		p.use(p.best(w))
	}
}

// probed takes a probe on a direct way. The first one says that the other end has proven
// it as well. Where several addresses are proven, the end that follows writes to the one
// that the other end probes from.
func (c *Conn) probed(w *way, from netip.AddrPort, now time.Duration) {
	w.nudged = now
	if w.to.follows {
		w.addr.Store(&from)
	}
	switch {
	case w.fresh:
		c.confirmed(w, now)
	case w.dead: // it has come back, this way at least
		c.probeFirst(w, now)
	}
}

// confirmed has a direct way used, which works in both directions.
func (c *Conn) confirmed(w *way, now time.Duration) {
	p := w.to
	c.alive(w, now)
	switch a := p.active; {
	case a == w || !w.good():
	case a == nil, !a.good(), p.asking:
		c.move(p, w, now)
	default:
		p.use(w)
	}
}

// quietTo returns until when a direct way may be left alone: who has probed it has kept it
// open for both ends. An end that has left it and could come back finds out by itself.
func (w *way) quietTo() time.Duration {
	if w.to.active != w {
		return w.heard + w.keep
	}
	return max(w.heard, w.nudged) + w.keep
}

// died seeks a direct way in place of one that does not work any more. What the relays
// said of this node's own address may have changed with it.
func (c *Conn) died(w *way, now time.Duration) {
	p := w.to
	if p.active == w && !p.asking { // else all ways are being asked already
		if b := p.best(w); b != nil && b.good() {
			c.move(p, b, now)
		}
	}
	switch {
	case w.fresh: // the other end has not proven it
		c.finished(p, now)
		return
	case w.over: // it carries small packets only, and so would the next one: no offer is made, nor answered
		p.tried, p.at = maxRow, 0
		return
	}
	if now-p.lived < renewMax {
		p.pause = min(max(2*p.pause, renewMin), renewMax)
	} else {
		p.pause = renewMin
	}
	p.tried, p.at = 0, 0
	if !p.follows {
		p.at = now + p.pause
	}
	for _, x := range p.ways { // what has cut it may have cut them as well
		if x.relayed() {
			c.probe(x, now)
		}
	}
	c.lookAll(p, now)
	c.armDirect(p, now)
}
