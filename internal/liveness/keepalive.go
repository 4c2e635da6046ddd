package liveness

import (
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
)

// checks is how often a silent end is asked, a step apart; two steps after the last it
// counts as dead: 6 steps in all. Where 3 % of all packets are lost, so that 6 % of all
// checks are in vain, a living end is given up once in 10^6 rounds, every 7 months. Three
// checks in the same time would make that 1.5 days, and the re-attaching of nodes that
// lost nothing a constant load.
const checks = 5

// patience is how many steps in all the checks take.
const patience = checks + 1

// Keepalive watches one attachment for an ordinary node: 24 bytes, no pointer. The zero
// value watches nothing.
type Keepalive struct {
	// at is when the other end was heard last, so that a packet costs two stores and no
	// draw; once a check is out (sent > 0) it is when that check is given up.
	at   vtime.Time
	wait vtime.Duration // the silence of this round
	sent uint8          // checks sent since the other end was heard
	on   bool
}

// Verdict is what Due asks of its caller.
type Verdict uint8

// The verdicts.
const (
	Fine Verdict = iota // nothing to do: ask again at Next
	Send                // send a keepalive that is to be answered
	Gone                // the other end is dead; the watch has stopped
)

// Start begins to watch an attachment that was heard at now.
func (k *Keepalive) Start(now vtime.Time, p KeepaliveParams, r *seed.Rand) {
	*k = Keepalive{at: now, wait: draw(p, r), on: true}
}

// Stop ends the watch.
func (k *Keepalive) Stop() { *k = Keepalive{} }

// Heard tells that an authenticated packet of any kind came from the other end.
func (k *Keepalive) Heard(now vtime.Time) {
	if k.on {
		k.at, k.sent = now, 0
	}
}

// Doubt has the other end asked at now, because somebody has said that it is dead. A check
// that is out already is not disturbed.
func (k *Keepalive) Doubt(now vtime.Time) {
	if k.on && k.sent == 0 {
		k.at = now.Add(-k.wait)
	}
}

// Asked reports whether a check is out that was not answered.
func (k *Keepalive) Asked() bool { return k.sent > 0 }

// Next returns when Due has something to do, or Never.
func (k *Keepalive) Next() vtime.Time {
	switch {
	case !k.on:
		return vtime.Never
	case k.sent == 0:
		return k.at.Add(k.wait)
	default:
		return k.at
	}
}

// Due says what is to be done at now. Each check waits its full time from now on, so that
// a node that slept through its timers asks before it gives anybody up.
func (k *Keepalive) Due(now vtime.Time, p KeepaliveParams, r *seed.Rand) Verdict {
	if now < k.Next() {
		return Fine
	}
	if k.sent == checks {
		k.Stop()
		return Gone
	}
	k.sent++
	k.at = now.Add(p.Step)
	if k.sent == checks {
		k.at = k.at.Add(p.Step)
	}
	k.wait = draw(p, r) // for the round that an answer begins
	return Send
}

// draw returns the interval +-10 %.
func draw(p KeepaliveParams, r *seed.Rand) vtime.Duration {
	tenth := p.Interval / 10
	return vtime.Duration(r.Between(int64(p.Interval-tenth), int64(p.Interval+tenth)+1))
}

// Silence returns how long a supernode keeps a session from which nothing is heard:
//
//	1.1 x Interval       the longest silence of a living node
//	+ 6 x Step           its checks, of which one may have come through
//	+ 3 x Step           margin: the way here, and a busy driver on either side
//
// 31 s for a normal slot, 75 s for a thin one. Later than the node's own verdict, so that
// no node loses a session that it still counts on.
func Silence(p KeepaliveParams) vtime.Duration {
	return p.Interval + p.Interval/10 + patience*p.Step + 3*p.Step
}

// Quiet is the silence after which a supernode says of a node that it has gone, before it
// gives the session up: the last check is out for a step, with those before it in vain. 27 s
// for a normal slot, 71 s for a thin one.
func Quiet(p KeepaliveParams) vtime.Duration {
	return p.Interval + p.Interval/10 + checks*p.Step
}

// Last returns when the other end was heard last and the silence that this round waits
// for; false while a check is out or nothing is watched.
func (k *Keepalive) Last() (heard vtime.Time, wait vtime.Duration, ok bool) {
	return k.at, k.wait, k.on && k.sent == 0
}

// Foretell enters rounds that a simulator has drawn in place of carrying them out: the
// other end is heard last at at, which may be to come, and the check of the round that
// begins there is due after wait. When sent checks of that round were in vain, at is when
// the next one is due.
func (k *Keepalive) Foretell(at vtime.Time, wait vtime.Duration, sent int) {
	k.at, k.wait, k.sent = at, wait, uint8(sent)
}

// Checks is how often a silent end is asked.
const Checks = checks
