package runtime

import (
	"sync"
	"time"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/ident"
)

// A machine's clock may be wrong by days, and who judges by such a clock finds a whole
// network expired. So a clock is believed about certificates only while it fits what
// the network itself has signed:
//
//   - That a certificate begins later than now is never a reason to refuse it. The
//     network's key dates nothing ahead: what it shows is a clock that is slow.
//   - A certificate is refused for its age by a clock by which at least half of the
//     certificates that others have shown lately are in force. If most are over, the clock
//     is fast (or login servers have been dead for weeks): then a certificate is over only
//     when another one was issued after its end, which signatures prove.
//
// Those that were over when they were shown have places of their own: however many
// somebody has kept, they never outvote a node that hears of as many living peers.

const (
	// voters is how many certificates of each kind have a vote: 2 x 16 x 64 B.
	voters = 16
	// witnessLife is how long one has it. An ordinary node does not see its supernodes'
	// certificates again when they renew them.
	witnessLife = 24 * time.Hour
)

// networkTime judges the age of certificates. Several goroutines may use it.
type networkTime struct {
	clock func() time.Time
	begun time.Time // what has a monotonic reading, which no turned clock changes
	self  ident.Key

	mu   sync.Mutex
	seen [2][voters]witness // in force when they came, and over
	next [2]int
}

// witness is a certificate of another node whose signature was verified.
type witness struct {
	key    ident.Key
	begins int64
	ends   int64 // grace included; 0 for none
	at     time.Duration
}

func newNetworkTime(self ident.Key) *networkTime {
	return &networkTime{clock: time.Now, begun: time.Now(), self: self}
}

// endOf is when the network stops to believe a certificate, in unix seconds.
func endOf(c *cert.Certificate) int64 { return c.NotAfter + int64(Grace/time.Second) }

// check hears a certificate whose signature was verified as a witness, and returns
// ErrExpired when it is over.
func (t *networkTime) check(c *cert.Certificate) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock().Unix()
	if c.Session != t.self {
		t.note(c, now)
	}
	if endOf(c) > now {
		return nil
	}
	if fits, newest := t.weigh(now); fits || endOf(c) <= newest {
		return cert.ErrExpired
	}
	return nil
}

// aged reports whether c is over by this machine's clock alone. What comes from disk is
// judged so: it may be the node that was away for long, and it is no witness.
func (t *networkTime) aged(c *cert.Certificate) bool { return endOf(c) <= t.clock().Unix() }

// note gives a certificate its vote. Of two of one peer the later counts: old ones can
// be shown again by anybody.
func (t *networkTime) note(c *cert.Certificate, now int64) {
	w := witness{key: c.Session, begins: c.NotBefore, ends: endOf(c), at: time.Since(t.begun)}
	for side := range t.seen {
		for i := range t.seen[side] {
			if s := &t.seen[side][i]; s.ends != 0 && s.key == w.key {
				if w.ends >= s.ends {
					*s = w
				}
				return
			}
		}
	}
	side := 0
	if w.ends <= now {
		side = 1
	}
	t.seen[side][t.next[side]] = w
	t.next[side] = (t.next[side] + 1) % voters
}

// weigh says whether the clock fits the network, and when the newest certificate was
// issued.
func (t *networkTime) weigh(now int64) (fits bool, newest int64) {
	n, over := 0, 0
	for side := range t.seen {
		for _, w := range t.seen[side] {
			if w.ends == 0 || time.Since(t.begun)-w.at > witnessLife {
				continue
			}
			n++
			if w.ends <= now {
				over++
			}
			newest = max(newest, w.begins)
		}
	}
	return 2*over <= n, newest
}
