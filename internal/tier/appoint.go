package tier

import (
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
)

// The timing of appointments.
const (
	settleMin   = vtime.Second / 2     // drawn between the two before anything is done,
	settleMax   = 3 * vtime.Second / 2 // so that a roster being read settles
	stepIn      = 5 * vtime.Second     // each rank waits that much longer for progress than the one before it
	appointWait = 6 * vtime.Second     // after which an appointed node that has not shown up is given up
)

// Appointer brings a tier below its minimum size up to it: one supernode becomes five
// within seconds. The supernode that ranks lowest by ID appoints what is missing; the
// next in rank steps in when the tier has not grown for 5 s, and so on.
//
// How far it can overshoot. One appointer never has more open appointments than are
// missing, since those it has made count as present until they show up or appointWait is
// over. The next in rank acts only if its roster has not grown for 5 s, and a newcomer,
// whatever its rank, not in its first 5 s; news takes under a second. If all news is lost,
// each of the S there are appoints min-S: at most S + S(min-S) in all, 9 for a minimum of
// 5 (at S = 3). News of up to 3 s and half of the appointed missing stays within that,
// simulated. What is too many steps down again when it is calm.
//
// The zero value is ready.
type Appointer struct {
	known  bool       // there was an earlier look: this supernode is no newcomer
	short  bool       // the tier has been too small
	begun  vtime.Time // moment from which rank 0 may act; the last progress
	expire vtime.Time // when open appointments are given up
	open   int        // appointments that have not shown up
	alive  int        // supernodes at the last look
}

// Census is what a supernode knows of the tier when it looks.
type Census struct {
	Supernodes int // alive, itself included
	Rank       int // how many of them have a lower ID than this one
	Eligible   int // nodes at hand that could be appointed
}

// Due returns how many nodes to appoint now: 0 nearly always. The caller calls it on
// every change of the roster or of the eligible nodes, and at Next.
func (a *Appointer) Due(p *Policy, c Census, now vtime.Time, r *seed.Rand) int {
	if c.Supernodes >= p.MinSize {
		*a = Appointer{known: true}
		return 0
	}
	if !a.short {
		settle := vtime.Duration(r.Between(int64(settleMin), int64(settleMax)))
		if !a.known && c.Supernodes > 1 {
			// A newcomer, perhaps appointed itself, does not know yet who else was.
			settle += stepIn
		}
		*a = Appointer{known: true, short: true, alive: c.Supernodes, begun: now.Add(settle)}
	}
	if c.Supernodes > a.alive {
		// Who showed up may have been appointed by another. That is taken for one of ours
		// all the same: the tier needs as many as it needs, whoever called them.
		a.open = max(0, a.open-(c.Supernodes-a.alive))
		a.begun = vtime.Later(a.begun, now)
	}
	a.alive = c.Supernodes
	if now >= a.expire {
		a.open = 0
	}
	if now < a.turn(c.Rank) {
		return 0
	}
	n := min(p.MinSize-c.Supernodes-a.open, c.Eligible)
	if n <= 0 {
		return 0
	}
	a.open += n
	a.expire = now.Add(appointWait)
	return n
}

// Next returns when Due has something to do for a supernode of that rank, roster and
// eligible nodes unchanged.
func (a *Appointer) Next(rank int) vtime.Time {
	switch {
	case !a.short:
		return vtime.Never
	case a.open > 0:
		return vtime.Later(a.expire, a.turn(rank))
	}
	return a.turn(rank)
}

// turn is when a rank may act.
func (a *Appointer) turn(rank int) vtime.Time {
	return a.begun.Add(vtime.Duration(rank) * stepIn)
}
