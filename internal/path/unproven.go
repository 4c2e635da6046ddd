package path

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// maxUnproven is how many packets go to an address, in unprovenFor, before it has
	// proven that the peer is there: each opens a NAT's hole or crosses another one. Two
	// are for the attempt, and one for the answer, or the second attempt.
	maxUnproven = 3
	unprovenFor = time.Minute
	// maxUnprovenAddresses bounds the addresses that are being tried, of all peers
	// together: 512 x 48 B = 24 KiB, and 1 500 packets of 42 bytes a minute, whatever the
	// peers name.
	maxUnprovenAddresses = 512
)

// unproven counts what was sent to addresses that have proven nothing: a peer can name
// any, a victim's too, and several peers the same.
type unproven struct {
	mu    sync.Mutex
	sent  map[netip.AddrPort]unprovenCount
	swept time.Duration
}

type unprovenCount struct {
	n     uint8
	since time.Duration // the first of them
}

// left returns how many packets may still go to an address.
func (u *unproven) left(at netip.AddrPort, now time.Duration) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.leftOf(at, now)
}

func (u *unproven) leftOf(at netip.AddrPort, now time.Duration) int {
	x, ok := u.sent[at]
	switch {
	case ok && now-x.since < unprovenFor:
		return maxUnproven - int(x.n)
	case !ok && len(u.sent) >= maxUnprovenAddresses:
		return 0
	}
	return maxUnproven
}

// take counts a packet to an address, and reports whether it may be sent.
func (u *unproven) take(at netip.AddrPort, now time.Duration) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now-u.swept > unprovenFor/4 || len(u.sent) >= maxUnprovenAddresses && now-u.swept > time.Second {
		u.swept = now
		for at, x := range u.sent {
			if now-x.since >= unprovenFor {
				delete(u.sent, at)
			}
		}
	}
	left := u.leftOf(at, now)
	if left == 0 {
		return false
	}
	x := u.sent[at]
	if left == maxUnproven {
		x = unprovenCount{since: now}
	}
	x.n++
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
