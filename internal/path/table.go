package path

import (
	"net/netip"
	"slices"
	"time"

	"github.com/ada420b6/overlay/internal/ident"
)

// MaxPeers bounds the peers that a node has ways to: twice the links that an endpoint
// may have (1024 in, 1024 out), and about 300 B each with three ways: 1 MiB.
const MaxPeers = 2 * 2048

// Open enters a way to a peer, and sends on it from now on. It reports false when the
// table is full.
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
	if w == nil || w.to != p {
		c.close(w)
		w = &way{to: p, channel: r.Channel}
		c.channels[r.Channel] = w
	}
	w.via = r.Via
	w.addr.Store(&r.Addr)
	p.ways = slices.Insert(slices.DeleteFunc(p.ways, func(x *way) bool { return x == w }), 0, w)
	for len(p.ways) > maxWays {
		c.close(p.ways[maxWays])
	}
	p.active.Store(w)
	p.opened(now)
	return true
}

// enter returns the peer of key, nil when there is no room for it. The caller holds
// the lock.
func (c *Conn) enter(key ident.Key, now time.Duration) *peer {
	p := c.peers[key]
	if p == nil && len(c.peers) < MaxPeers {
		p = newPeer(key, now)
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
	p.ways = slices.DeleteFunc(p.ways, func(x *way) bool { return x == w })
	if p.active.Load() != w {
		return
	}
	p.active.Store(nil)
	if len(p.ways) > 0 {
		p.active.Store(p.ways[0])
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
	if _, silent := p.quiet(c.now()); silent < quiet {
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
	}
}

// Moved says that the packets of via come from another address now.
func (c *Conn) Moved(via ident.Key, to netip.AddrPort) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, w := range c.channels {
		if w.via == via {
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
	if p == nil || p.active.Load() == nil {
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
		if w := p.active.Load(); w != nil {
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
