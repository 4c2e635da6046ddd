package liveness

import (
	"github.com/ada420b6/overlay/internal/vtime"
)

// ProberParams is the policy of a Prober.
type ProberParams struct {
	// Period is the time from one probe to the next, and how long a probe takes that ends
	// in a verdict. Higher: fewer packets, a crash is noticed later, in proportion.
	Period vtime.Duration
	// Timeout is how long the target may take before others are asked. Above the round
	// trip of nearly everybody, and below half of Period, so that the detour has time.
	Timeout vtime.Duration
	// DeadPeriod is the time from one question to a member believed dead to the next.
	// Higher: the halves of a partition find each other later, in proportion.
	DeadPeriod vtime.Duration
}

// relayTimeout is how long this node, asked to ping for another, waits before it says that
// the target is silent: 400 ms of 500. It is below Period - Timeout by a round trip where
// Timeout is half of Period, or it would say so too late.
func (p *ProberParams) relayTimeout() vtime.Duration { return p.Timeout * 4 / 5 }

// KeepaliveParams is the policy of a Keepalive.
type KeepaliveParams struct {
	// Interval is the silence after which the other end is asked, +-10 % drawn anew each
	// time, so that those who attached together do not ask together. Higher: fewer
	// packets, a crash is noticed later, and address translators forget the session.
	Interval vtime.Duration
	// Step is the unit of the checks: an unanswered one is repeated after each step, five
	// in all, and two steps after the last the other end counts as dead.
	Step vtime.Duration
}
