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
	via     ident.Key
	addr    atomic.Pointer[netip.AddrPort] // moves when Via roams
}

// maxWays bounds the channels to one peer: the one in use, its predecessor with packets
// still on it, and one that the peer opened at the same time.
const maxWays = 3

// When a way counts as dead, and how often another is asked for.
const (
	// slot and deadSlots: packets were sent in so many different half seconds and
	// nothing was heard. QUIC repeats what is not acknowledged after 0.2, 0.6, 1.4 and
	// 3 s, so a dead relay is noticed after 3 s, while an idle conversation whose
	// keepalive is lost is not.
	slot      = 500 * time.Millisecond
	deadSlots = 4
	// wantMin and wantMax bound the pause between two wishes for a way to one peer: it
	// doubles while nothing is heard, so that a peer that is gone costs two look-ups a
	// minute for as long as QUIC tries (2 minutes).
	wantMin = 2 * time.Second
	wantMax = 30 * time.Second
)

// peer is what is known of the ways to one key.
type peer struct {
	key    ident.Key
	boxed  net.Addr            // key as ReadFrom returns it, boxed once
	active atomic.Pointer[way] // the one to send on: opened or heard last
	ways   []*way              // newest first, at most maxWays; guarded by Conn.mu

	mu     sync.Mutex
	used   time.Duration // when something was last sent or heard
	heard  time.Duration // when something was last heard, or a way opened
	slot   int64         // half second of the last send since then
	unsaid int           // half seconds with a send since then
	wantAt time.Duration // no wish before this
	pause  time.Duration // after the next wish
}

func newPeer(key ident.Key, now time.Duration) *peer {
	return &peer{key: key, boxed: stream.Addr{Key: key}, used: now, pause: wantMin}
}

// sending notes a send and reports whether a way is wanted.
func (p *peer) sending(now time.Duration, routed bool) (wanted bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used = now
	if s := int64(now / slot); s != p.slot {
		p.slot = s
		p.unsaid++
	}
	if routed && p.unsaid < deadSlots || now < p.wantAt {
		return false
	}
	p.wantAt = now + p.pause
	p.pause = min(2*p.pause, wantMax)
	p.unsaid = 0
	return true
}

// hearing notes that something came.
func (p *peer) hearing(now time.Duration) {
	p.mu.Lock()
	p.used, p.heard = now, now
	p.unsaid, p.slot = 0, 0
	p.pause, p.wantAt = wantMin, 0
	p.mu.Unlock()
}

// opened notes a new way: it gets its time before another is asked for.
func (p *peer) opened(now time.Duration) {
	p.mu.Lock()
	p.used, p.heard = now, now
	p.unsaid, p.slot = 0, 0
	p.mu.Unlock()
}

// quiet returns for how long nothing was sent or heard, and for how long nothing was
// heard; a way that was just opened has had no time to.
func (p *peer) quiet(now time.Duration) (unused, silent time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now - p.used, now - p.heard
}
