package path

import (
	"net/netip"
	"slices"
	"time"

	"github.com/ada420b6/overlay/internal/ident"
)

// MaxPeers bounds the peers that a node has ways to: twice the links that an endpoint
// may have (1024 in, 1024 out), and about 2.5 KiB each with six channels and a direct way:
// 10 MiB, and 48 KiB for each that there is traffic with (see recentSize).
const MaxPeers = 2 * 2048

// Open enters a way to a peer, which is probed once. It is sent on from now on unless
// there is one that works. It reports false when the table is full.
func (c *Conn) Open(key ident.Key, r Route) bool {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.enter(key, now)
	if p == nil {
		c.n.full.Add(1)
		return false
	}
	w := c.channels[r.Channel]
	if w == nil || w.to != p || !w.relayed() {
		c.close(w)
		w = &way{to: p, channel: r.Channel, fresh: true}
		c.channels[r.Channel] = w
	}
	w.addr.Store(&r.Addr)
	p.mu.Lock()
	w.via = r.Via
	p.ways = slices.Insert(slices.DeleteFunc(p.ways, func(x *way) bool { return x == w }), 0, w)
	if a := p.active; p.lost {
		c.found(p, w)
	} else if a == nil || !a.good() || a.relayed() && now-a.heard > stale {
		c.move(p, w, now)
	}
	w.dead, w.over, w.heard = false, false, now
	p.used, p.heard = now, now
	c.probe(w, now)
	if c.own != nil {
		p.tried = 0 // an end may be somewhere else now
		c.lookBy(w, now)
	}
	var old *way
	if len(p.ways) > maxWays {
		old = p.victim()
	}
	p.mu.Unlock()
	c.close(old)
	return true
}

// Over says that a channel ends: its relay has said so. What is still on it is taken, and
// it is sent on only for want of another.
func (c *Conn) Over(channel uint64, via ident.Key) {
	c.mu.RLock()
	w := c.channels[channel]
	c.mu.RUnlock()
	if w == nil {
		return
	}
	p := w.to
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.via != via {
		return
	}
	w.over, w.tries = true, 0
	if b := p.best(w); w == p.active && b != nil && b.good() {
		c.move(p, b, c.now())
	}
}

// enter returns the peer of key, nil when there is no room for it. The caller holds
// the lock.
func (c *Conn) enter(key ident.Key, now time.Duration) *peer {
	p := c.peers[key]
	if p == nil && len(c.peers) < MaxPeers {
		p = newPeer(c.self, key, now)
		c.peers[key] = p
	}
	return p
}

// close forgets one way. The caller holds the lock.
func (c *Conn) close(w *way) {
	if w == nil {
		return
	}
	delete(c.channels, w.channel)
	p := w.to
	p.mu.Lock()
	defer p.mu.Unlock()
	if w == p.direct {
		c.dropDirect(p)
		return
	}
	p.ways = slices.DeleteFunc(p.ways, func(x *way) bool { return x == w })
	if p.active == w {
		p.use(p.best(w))
	}
}

// Lost forgets the ways to a peer on which nothing was heard for quiet: no channel
// could be opened, but the peer may have opened one that works.
func (c *Conn) Lost(key ident.Key, quiet time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.peers[key]
	if p == nil {
		return
	}
	if _, silent := p.quiet(c.now()); silent < quiet || p.direct != nil && p.inUse() == p.direct {
		return
	}
	for len(p.ways) > 0 {
		c.close(p.ways[0])
	}
}

// Forget forgets a peer and all ways to it.
func (c *Conn) Forget(key ident.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.peers[key]; p != nil {
		for len(p.ways) > 0 {
			c.close(p.ways[0])
		}
		delete(c.peers, key)
		p.mu.Lock()
		p.gone = true
		c.attempts.end(p.attempt)
		p.recent.drop(c.now() + 1)
		p.mu.Unlock()
	}
}

// Moved says that the packets of via come from another address now.
func (c *Conn) Moved(via ident.Key, to netip.AddrPort) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, w := range c.channels {
		if w.via == via && w.relayed() {
			w.addr.Store(&to)
		}
	}
}

// Has reports whether there is a way to a peer, and for how long nothing was heard on
// it; a way that is not used says nothing by its silence.
func (c *Conn) Has(key ident.Key) (ok bool, silent time.Duration) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	p := c.peers[key]
	if p == nil || p.inUse() == nil {
		return false, 0
	}
	_, silent = p.quiet(c.now())
	return true, silent
}

// Via returns whom the way to a peer leads over; the zero key when there is none.
func (c *Conn) Via(key ident.Key) (via ident.Key) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if p := c.peers[key]; p != nil {
		if w := p.inUse(); w != nil {
			via = w.via
		}
	}
	return via
}

// Unused returns the peers to and from which nothing went for longer than d.
func (c *Conn) Unused(d time.Duration) (keys []ident.Key) {
	now := c.now()
	c.mu.RLock()
	defer c.mu.RUnlock()
	for key, p := range c.peers {
		if unused, _ := p.quiet(now); unused > d {
			keys = append(keys, key)
		}
	}
	return keys
}

// Each calls mark for the key of every peer and of everybody a way leads over.
func (c *Conn) Each(mark func(ident.Key)) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for key := range c.peers {
		mark(key)
	}
	for _, w := range c.channels {
		mark(w.via)
	}
}

// Len returns the number of peers that there is a way to or was asked for.
func (c *Conn) Len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.peers)
}
