package tier

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
)

// MaxDialBacks bounds the supernodes that must have reached a node from outside before it
// counts as reachable: each is remembered with its address group.
const MaxDialBacks = 3

// The rhythm of verification.
const (
	reachTry    = 3 * vtime.Second  // how long one attempt waits for its dial-backs: they take two round trips
	reachSlack  = 10 * vtime.Minute // how much longer than to the next attempt a success counts: until three have ended
	reachGap    = 30 * vtime.Minute // from a success to the next attempt, +-20 %: a mapping may vanish with its router
	reachLonger = 2                 // times twice as long with each success in a row: every 2 h who was always reached
	reachRetry  = 30 * vtime.Second // from a failure to the next attempt, +-20 %, four times as long with each in a row
	reachGrowth = 4                 // times: behind a NAT that lets nobody in, an attempt every 128 min
)

// Reach says whether a node can be reached from outside, as supernodes have shown by
// dialling it back from addresses it never wrote to. 56 B. The proof is for the node
// itself: who lies to himself is a supernode that nobody reaches, and is believed dead.
//
// The zero value is unverified, with an attempt due at once.
type Reach struct {
	nonce  uint64 // of the attempt that is running, 0 for none
	next   vtime.Time
	until  vtime.Time // verified until then
	from   [MaxDialBacks]ident.Handle
	groups [MaxDialBacks]ident.Group
	got    uint8 // dial-backs in this attempt
	want   uint8
	failed uint8 // attempts in a row that failed
	proofs uint8 // attempts in a row that succeeded, since the start or a change of the network
}

// WantDialBacks returns how many dial-backs there can be: as many as the policy wants, or
// as there are supernodes besides the one that is asked; its own when it is alone.
func (p *Policy) WantDialBacks(supernodes int) int {
	return max(1, min(p.DialBacks, MaxDialBacks, supernodes-1))
}

// Verified reports whether the node counts as reachable.
func (r *Reach) Verified(now vtime.Time) bool { return r.until > now }

// settledProofs is how many proofs in a row make a node settled: up for 24 min at least,
// 30 on average.
const settledProofs = 2

// Settled reports whether the node has been up and reachable at one address for a while.
func (r *Reach) Settled() bool { return r.proofs >= settledProofs }

// Failing reports whether the latest attempt has failed.
func (r *Reach) Failing() bool { return r.failed > 0 }

// Nonce returns what to ask for dial-backs with while an attempt is under way, else 0.
func (r *Reach) Nonce() uint64 { return r.nonce }

// Due ends an attempt whose time is up and begins one whose time has come; it reports
// whether one has begun, so that dial-backs are to be asked for with Nonce. want is
// WantDialBacks of the supernodes known.
func (r *Reach) Due(want int, now vtime.Time, rnd *seed.Rand) (begun bool) {
	if now < r.next {
		return false
	}
	if r.nonce != 0 {
		r.end(now, rnd)
		return false
	}
	r.nonce = rnd.Uint64() | 1
	r.got, r.want = 0, uint8(max(1, min(want, MaxDialBacks)))
	r.next = now.Add(reachTry)
	return true
}

// Confirm takes a dial-back, which counts once per supernode. With the wanted number in,
// from as many address groups (0, unknown, counts as one of its own), the attempt has
// succeeded; where they come from fewer groups, others may still replace them until its
// time is up, and then it has succeeded too. It reports false for a dial-back that
// nobody asked for.
func (r *Reach) Confirm(nonce uint64, from ident.Handle, group ident.Group, now vtime.Time, rnd *seed.Rand) bool {
	if nonce == 0 || nonce != r.nonce {
		return false
	}
	for _, h := range r.from[:r.got] {
		if h == from {
			return true
		}
	}
	twin := r.twin()
	switch {
	case r.got < r.want:
		r.from[r.got], r.groups[r.got] = from, group
		r.got++
	case twin >= 0:
		r.from[twin], r.groups[twin] = from, group
	}
	if r.got == r.want && r.twin() < 0 {
		r.end(now, rnd)
	}
	return true
}

// twin returns a dial-back whose address group an earlier one has already, or -1.
func (r *Reach) twin() int {
	for i := 1; i < int(r.got); i++ {
		for _, g := range r.groups[:i] {
			if g != 0 && g == r.groups[i] {
				return i
			}
		}
	}
	return -1
}

// Settle makes the node one that has run for long: proven again and again if it can be
// reached, or trying as rarely as it ever does.
func (r *Reach) Settle(reachable bool, now vtime.Time, rnd *seed.Rand) {
	*r = Reach{failed: reachGrowth}
	gap := int64(reachRetry) << (2 * reachGrowth)
	if reachable {
		gap = int64(reachGap) << reachLonger
		*r = Reach{proofs: reachLonger + 1}
	}
	ago := vtime.Duration(rnd.Between(0, gap*8/10)) // since the latest attempt
	r.next = now.Add(vtime.Duration(rnd.Between(gap*8/10, gap*12/10)) - ago)
	if reachable {
		r.until = r.next.Add(reachSlack)
	}
}

// Reset makes an attempt due at once: the network has changed, and old proof is void.
func (r *Reach) Reset() { *r = Reach{} }

// Next returns when Due has something to do.
func (r *Reach) Next() vtime.Time { return r.next }

// end closes an attempt and arms the next: soon enough to renew what succeeded, ever
// more rarely where it fails.
func (r *Reach) end(now vtime.Time, rnd *seed.Rand) {
	succeeded := r.got == r.want
	var gap int64
	if succeeded {
		gap = int64(reachGap) << min(r.proofs, reachLonger)
		r.failed, r.proofs = 0, min(r.proofs+1, 254)
	} else {
		gap = int64(reachRetry) << (2 * r.failed)
		r.failed, r.proofs = min(r.failed+1, reachGrowth), 0
	}
	r.nonce = 0
	r.next = now.Add(vtime.Duration(rnd.Between(gap*8/10, gap*12/10)))
	if succeeded {
		r.until = r.next.Add(reachSlack)
	}
}
