package path

import (
	"net/netip"
	"sync"
	"time"

	"github.com/ada420b6/overlay/internal/ident"
)

const (
	// maxUnproven is how many packets go to an address, in unprovenFor, before it has
	// proven that the peer is there: each opens a NAT's hole or crosses another one. Two
	// are for the attempt, and one for the answer, or the second attempt.
	maxUnproven = 3
	unprovenFor = time.Minute
	// maxUnprovenAddresses bounds the addresses that are being tried, of all peers
	// together: 512 x 80 B = 40 KiB, and 1 500 packets of 42 bytes a minute, whatever the
	// peers name.
	maxUnprovenAddresses = 512
	// maxUnprovenOfPeer bounds those that one peer has caused, so that none of them takes
	// all: as many as two attempts have.
	maxUnprovenOfPeer = 2 * maxTrials
)

// unproven counts what was sent to addresses that have proven nothing: a peer can name
// any, a victim's too, and several peers the same.
type unproven struct {
	mu    sync.Mutex
	sent  map[netip.AddrPort]unprovenCount
	swept time.Duration
}

type unprovenCount struct {
	n  uint8
	at time.Duration // of the last of them: no minute sees more than maxUnproven
	by ident.Key     // the peer that caused the first
}

// left returns how many packets may still go to an address, for a peer.
func (u *unproven) left(at netip.AddrPort, by ident.Key, now time.Duration) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.leftOf(at, by, now)
}

func (u *unproven) leftOf(at netip.AddrPort, by ident.Key, now time.Duration) int {
	u.sweep(now)
	x, ok := u.sent[at]
	switch {
	case ok && now-x.at < unprovenFor:
		return maxUnproven - int(x.n)
	case !ok && (len(u.sent) >= maxUnprovenAddresses || u.of(by, now) >= maxUnprovenOfPeer):
		return 0
	}
	return maxUnproven
}

// of returns how many addresses a peer has had tried.
func (u *unproven) of(by ident.Key, now time.Duration) (n int) {
	for _, x := range u.sent {
		if x.by == by && now-x.at < unprovenFor {
			n++
		}
	}
	return n
}

// sweep forgets what was long ago.
func (u *unproven) sweep(now time.Duration) {
	if now-u.swept <= unprovenFor/4 && (len(u.sent) < maxUnprovenAddresses || now-u.swept <= time.Second) {
		return
	}
	u.swept = now
	for at, x := range u.sent {
		if now-x.at >= unprovenFor {
			delete(u.sent, at)
		}
	}
}

// take counts a packet to an address, and reports whether it may be sent.
func (u *unproven) take(at netip.AddrPort, by ident.Key, now time.Duration) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	left := u.leftOf(at, by, now)
	if left == 0 {
		return false
	}
	x := u.sent[at]
	if left == maxUnproven {
		x = unprovenCount{by: by}
	}
	x.n++
	x.at = now
	if u.sent == nil {
		u.sent = make(map[netip.AddrPort]unprovenCount)
	}
	u.sent[at] = x
	return true
}

// proven forgets an address: it has shown that the peer is there.
func (u *unproven) proven(at netip.AddrPort) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.sent, at)
}
