package liveness

import (
	"github.com/ada420b6/overlay/internal/vtime"
)

// ProberParams is the policy of a Prober. Start from ProberDefaults.
type ProberParams struct {
	// Period is the time from one probe to the next, and how long a probe takes that ends
	// in a verdict. Higher: fewer packets, a crash is noticed later, in proportion.
	Period vtime.Duration
	// Timeout is how long the target may take before others are asked. Above the round
	// trip of nearly everybody, and below half of Period, so that the detour has time.
	Timeout vtime.Duration
	// RelayTimeout is how long this node, asked to ping for another, waits before it says
	// that the target is silent. Below Period - Timeout by a round trip, or it says so
	// too late.
	RelayTimeout vtime.Duration
	// DeadPeriod is the time from one question to a member believed dead to the next.
	// Higher: the halves of a partition find each other later, in proportion.
	DeadPeriod vtime.Duration
}

// ProberDefaults returns the policy of PROTOCOL.md section 6.
func ProberDefaults() ProberParams {
	return ProberParams{
		Period:       1 * vtime.Second,
		Timeout:      500 * vtime.Millisecond,
		RelayTimeout: 400 * vtime.Millisecond,
		DeadPeriod:   10 * vtime.Second,
	}
}

// KeepaliveParams is the policy of a Keepalive. Start from KeepaliveDefaults.
type KeepaliveParams struct {
	// Interval is the silence after which the other end is asked, +-10 % drawn anew each
	// time, so that those who attached together do not ask together. Higher: fewer
	// packets, a crash is noticed later, and address translators forget the session.
	Interval vtime.Duration
	// Step is the unit of the checks: an unanswered one is repeated after 1 step, again
	// after 2, and after 3 more the other end counts as dead.
	Step vtime.Duration
}

// KeepaliveDefaults returns the policy of PROTOCOL.md section 5 for a normal slot. A dead
// supernode is noticed after 16 s on average, 26 s at the full interval and 28 s when the
// draw added 10 %.
func KeepaliveDefaults() KeepaliveParams {
	return KeepaliveParams{Interval: 20 * vtime.Second, Step: 1 * vtime.Second}
}

// ThinDefaults returns the same for a thin slot.
func ThinDefaults() KeepaliveParams {
	return KeepaliveParams{Interval: 60 * vtime.Second, Step: 1 * vtime.Second}
}
