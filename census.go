package overlay

import (
	"fmt"
	"time"

	"github.com/ada420b6/overlay/internal/vtime"
)

// Census is a Simulation at one moment, and what has happened since it began or since
// ResetCensus.
type Census struct {
	Time        time.Duration // simulated time since the start
	Running     int           // nodes whose machine runs
	Attached    int           // of these, nodes that can be found and called
	Supernodes  int           // of these, nodes that serve
	MinAttached float64       // smallest share of the running nodes that was attached

	Promotions, Demotions uint64 // changes of role
	SupernodesLost        int    // supernodes that went down without placing their nodes first
	Messages              uint64 // messages that arrived
	Bytes                 uint64 // their size, without packet headers
	Events                uint64 // steps of the simulation

	// WaitP50, WaitP99, WaitP999 and WaitMax say how long nodes were without an
	// attachment, over all times that one started or lost its last; within 3 %. Those
	// that still wait count with what they have waited so far.
	WaitP50, WaitP99, WaitP999, WaitMax time.Duration
	// AttemptsMean and AttemptsP999 are how many attempts that took. An attempt is a round of
	// probes and the attach that it leads to; one at which nothing goes wrong is three
	// packets, a probe to each of ProbeWidth and an attach.
	AttemptsMean float64
	AttemptsP999 int
	// PeakOverload is the highest load of attaches that any supernode was offered over
	// 5 s, as a multiple of the policy's AttachRate.
	PeakOverload float64
	// AttachesOffered is how many attaches came to a supernode, and AttachesAccepted how many
	// were answered with an attachment.
	AttachesOffered, AttachesAccepted uint64
	// StormLevel is the highest storm level, 0 to 3, that a supernode tells, and StormMean the
	// mean of all.
	StormLevel int
	StormMean  float64

	// Logins is how many applications the login servers have decided, and LoginsInTime
	// how many of these for a node that still waited for the answer. LoginWait is how long
	// one that comes now waits for its turn.
	Logins, LoginsInTime uint64
	LoginWait            time.Duration

	// FirstFault and LastFault are when the first and the last machine went down or came
	// up, -1 when none has.
	FirstFault, LastFault time.Duration
	// TimeTo999 and TimeToAll are how long after LastFault 99.9 % and all of the running
	// nodes were attached first, -1 while they have not been. Here a node whose supernodes
	// are dead does not count, although in Attached it does until it has noticed.
	TimeTo999, TimeToAll time.Duration
	// Bound is how long after LastFault that is possible at best. The last machine needs a
	// round trip and a handshake. All that lost their attachment need one of the supernodes
	// and standbys that are left, which take AttachRate each and become more by TierGain in
	// every ScalePeriod at most. And whose supernodes all died without a goodbye can't know
	// before a check that is due after Keepalive was repeated for six times CheckStep: for
	// half of a large tier that is 25 s.
	Bound time.Duration
}

// Ratio is how long after FirstFault 99.9 % of the nodes were attached again, as a
// multiple of what is possible at best. It reports false while they are not. Where machines
// take minutes to come back it is 1 if all others are attached by then, and says no more;
// it is below 1 if 99.9 % were attached all the time.
func (c Census) Ratio() (float64, bool) {
	if c.TimeTo999 < 0 {
		return 0, false
	}
	before := c.LastFault - c.FirstFault
	return (before + c.TimeTo999).Seconds() / (before + c.Bound).Seconds(), true
}

// String tells the census in a line.
func (c Census) String() string {
	return fmt.Sprintf("%v: %d running, %d attached (never under %.1f %%), %d supernodes", c.Time.Round(time.Second), c.Running, c.Attached, 100*c.MinAttached, c.Supernodes)
}

// Census counts. It is the zero Census before there are nodes.
func (s *Simulation) Census() Census {
	if s.sim == nil {
		return Census{}
	}
	c := s.sim.Census()
	r := &c.Recovery
	level, mean := storm(c.Storms)
	return Census{
		Time: time.Duration(c.At), Running: c.Running, Attached: c.Attached, Supernodes: c.Supernodes, MinAttached: c.MinAttached,
		Promotions: c.Promotions, Demotions: c.Demotions, SupernodesLost: c.Lost,
		Messages: c.Delivered, Bytes: c.Bytes, Events: c.Events,
		WaitP50: time.Duration(c.Waits.P50), WaitP99: time.Duration(c.Waits.P99),
		WaitP999: time.Duration(c.Waits.P999), WaitMax: time.Duration(c.Waits.Max),
		AttemptsMean: c.Waits.MeanAttempts, AttemptsP999: c.Waits.P999Attempts, PeakOverload: c.Overload,
		AttachesOffered: c.Offered, AttachesAccepted: c.Accepted, StormLevel: level, StormMean: mean,
		Logins: c.Login.Decided, LoginsInTime: c.Login.Granted, LoginWait: time.Duration(c.Login.Wait),
		FirstFault: since(r.First, 0), LastFault: since(r.Last, 0),
		TimeTo999: since(r.Most, r.Last), TimeToAll: since(r.All, r.Last), Bound: since(r.Bound, r.Last),
	}
}

// storm is the highest level of all supernodes, and the mean.
func storm(levels [4]int) (highest int, mean float64) {
	n, sum := 0, 0
	for level, k := range levels {
		n, sum = n+k, sum+k*level
		if k > 0 {
			highest = level
		}
	}
	return highest, float64(sum) / float64(max(n, 1))
}

// WaitQuantile is how long nodes were without an attachment: a share q of all times that one
// started or lost its last, from 0 to 1, was no longer, within 3 %. Those that still wait
// count with what they have waited so far.
func (s *Simulation) WaitQuantile(q float64) time.Duration {
	if s.sim == nil {
		return 0
	}
	return time.Duration(s.sim.WaitQuantile(min(max(q, 0), 1)))
}

// since is how long after from t is, -1 for never.
func since(t, from vtime.Time) time.Duration {
	if t == vtime.Never {
		return -1
	}
	return time.Duration(t.Sub(from))
}
