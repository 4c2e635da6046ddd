package path

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/stream"
)

// Route is one way to a peer.
type Route struct {
	Channel uint64
	Via     ident.Key      // whose address Addr is: the relay's, or the peer's own
	Addr    netip.AddrPort // where packets on the channel go to and come from
}

// way is a Route in use.
type way struct {
	to      *peer
	channel uint64
	via     ident.Key                        // changed only with both locks held
	addr    atomic.Pointer[netip.AddrPort]   // moves when Via roams
	also    atomic.Pointer[[]netip.AddrPort] // of a direct way: where packets may come from as well
	proof   *attempt                         // of a direct way: what has proven it; nil is a relayed one

	// What follows is guarded by the peer's mu.
	heard time.Duration // when something last came on it, or it was opened
	rtt   time.Duration // smoothed, of probes; 0 until one was answered
	dead  bool          // its probes were in vain, and nothing has come since
	fresh bool          // nothing has come on it yet
	over  bool          // its relay has said that it ends: only for want of another
	nonce uint64        // of the probes that are out, but for the last byte, which counts them
	tries uint8         // how many are out; 0 is none
	asked time.Duration // when the first of them was sent
	sent  time.Duration // when the last of them was
	again time.Duration // when the next one is

	keep   time.Duration  // of a direct way: how long it may be silent
	nudged time.Duration  // of a direct way: when the other end has probed it last
	seen   netip.AddrPort // of a relayed one: how its relay sees this node
	seenAt time.Duration
	mirror uint64 // the nonce of the question, 0 when none is out
}

// good reports whether the way is one to send on while there is a choice.
func (w *way) good() bool { return !w.dead && !w.over }

// maxWays bounds the ways to one peer: two channels that this node has opened, two that the
// peer has, and their predecessors with packets still on them, or the direct way.
const maxWays = 6

// peer is what is known of the ways to one key.
type peer struct {
	key     ident.Key
	boxed   net.Addr // key as ReadFrom returns it, boxed once
	follows bool     // the peer chooses the way while several are good

	mu     sync.Mutex
	ways   []*way // newest first, at most maxWays; changed only with Conn.mu held as well
	active *way   // the one to send on
	used   time.Duration
	heard  time.Duration // when something was last heard, or a way opened
	since  time.Duration // the first send that nothing on the active way has answered; 0 is none
	last   time.Duration // the last send
	wait   time.Duration // how long answers have taken lately: the longest, fading
	asking bool          // it is not known which way works: packets go on all of them
	begun  time.Duration // when asking began
	empty  uint8         // doubts in a row that ended with an echo and nothing else
	gone   bool          // it was forgotten: nothing is done for it any more
	lost   bool          // no way has answered: what was sent last is kept for the next one
	recent recent
	choice choice
	timer  *time.Timer // runs Conn.tick; nil until first armed
	armed  bool
	due    time.Duration // of timer, while it is armed
	wantAt time.Duration // no wish, and no doubt, before this
	rest   time.Duration // after the next wish
	macs   *macKey       // nil until the first probe
	seeking
}

func newPeer(self, key ident.Key, now time.Duration) *peer {
	return &peer{key: key, boxed: stream.Addr{Key: key}, follows: string(self[:]) < string(key[:]), used: now, rest: wantMin}
}

// best returns the way to use in place of not: a good one, a direct one, heard last.
func (p *peer) best(not *way) (b *way) {
	for _, w := range p.ways {
		if w != not && (b == nil || w.better(b)) {
			b = w
		}
	}
	return b
}

// better reports whether the way is to be used rather than another one.
func (w *way) better(b *way) bool {
	switch {
	case w.good() != b.good():
		return w.good()
	case w.relayed() != b.relayed() && w.good() && !w.fresh && !b.fresh:
		return !w.relayed()
	}
	return w.heard > b.heard
}

// victim returns the way to forget for a new one: the oldest that does not work, else the
// oldest that is not in use.
func (p *peer) victim() (v *way) {
	for i := len(p.ways) - 1; i >= 0; i-- {
		if w := p.ways[i]; w != p.active && w.relayed() && (v == nil || !w.good() && v.good()) {
			v = w
		}
	}
	return v
}

// quiet returns for how long nothing was sent or heard, and for how long nothing was
// heard; a way that was just opened has had no time to.
func (p *peer) quiet(now time.Duration) (unused, silent time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now - p.used, now - p.heard
}

func (p *peer) inUse() *way {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.active
}
