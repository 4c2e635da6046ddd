package sim

import "github.com/ada420b6/overlay/internal/vtime"

// replay lets nodes come and go as users do: as the hosts of an availability trace did, or
// as the hours of the day have it.
//
// A trace has some hosts and a simulation any number of nodes: node i does what host
// i mod hosts did, so that each host counts equally often, as in a bootstrap. All keep the
// trace's clock, because what they have in common is what a rehearsal is about: the hours
// of the day, and the moments at which many went down together. But copies of one host in
// lockstep would be a fault that no real network has, so that each but the first is ahead
// of it by a time of its own, drawn from Availability.blur: a tenth of the median session,
// and at most maxBlur.
type replay struct {
	trace *Availability // nil when the day is followed
	day   *day          // nil when a trace is
	began vtime.Time    // Never before Play: then nodes are up or down as at its start
}

// maxBlur is about how finely such traces were sampled: what a copy is ahead by is no more
// than what a trace can't tell.
const maxBlur = 30 * vtime.Minute

// settling is within what time those go and come whom a day that begins amid a
// network's life finds at the wrong place.
const settling = 10 * vtime.Minute

const labelCopy uint64 = 0x636f70

// Replay prepares a trace: Start and its kin leave down whoever is not up at its start.
// It counts from before the first node is started.
func (s *Sim) Replay(a *Availability) { s.replay = &replay{trace: a, began: vtime.Never} }

// Play lets the trace, or the day, begin now.
func (s *Sim) Play() {
	r := s.replay
	r.began = s.now
	for i := range uint32(s.added) {
		switch {
		case r.day != nil:
			r.dawn(s, i)
		case s.hosts[i].is(hostUp):
			r.started(s, i)
		case r.start(s, i):
			s.absent(i, 1)
		}
	}
}

// dawn lets node i come, or go, when a day begins that wants it so.
func (r *replay) dawn(s *Sim, i uint32) {
	h, next := &s.hosts[i], r.next(s, i)
	on := next != nil && next.up <= r.at(s, i)
	switch {
	case h.is(hostUp) && on:
		r.started(s, i)
	case h.is(hostUp):
		s.queue.push(event{at: s.now.Add(s.within(settling)), host: i, kind: eventEnd})
	case r.start(s, i):
		if h.is(hostWaits) && h.due > s.now.Add(settling) { // for another day's morning, which does no harm
			h.set(hostWaits, false)
		}
		s.absent(i, 1+s.within(settling))
	}
}

// at is the time of node i in the trace, or that of the simulation.
func (r *replay) at(s *Sim, i uint32) vtime.Duration {
	if r.day != nil {
		return s.now.Sub(0)
	}
	at := vtime.Duration(0)
	if r.began != vtime.Never {
		at = s.now.Sub(r.began)
	}
	if int(i) >= r.trace.Hosts() {
		at += vtime.Duration(s.share(i, labelCopy) * float64(r.trace.blur))
	}
	return at
}

// next is the session of node i that is under way or comes next.
func (r *replay) next(s *Sim, i uint32) *session {
	if r.day != nil {
		return r.day.next(s, i, r.at(s, i))
	}
	return r.trace.next(int(i)%r.trace.Hosts(), r.at(s, i))
}

// start reports whether node i is up at this moment; if it comes up later its start is
// queued, by Play when that has not been.
func (r *replay) start(s *Sim, i uint32) bool {
	next, at := r.next(s, i), r.at(s, i)
	if next == nil || next.up <= at {
		return next != nil
	}
	if r.began != vtime.Never {
		s.absent(i, next.up-at)
	}
	return false
}

// started queues the end of the session of node i, which has come up. One that came up
// at another time, after a fault of the simulation's own, goes down again at once.
func (r *replay) started(s *Sim, i uint32) {
	if r.began == vtime.Never || int(i) >= s.cfg.Nodes {
		return
	}
	next, at := r.next(s, i), r.at(s, i)
	switch {
	case next == nil:
		r.off(s, i, 0)
	case next.up > at:
		r.off(s, i, next.up-at)
	case next.down < forever:
		s.queue.push(event{at: s.now.Add(next.down - at), host: i, kind: eventEnd})
	}
}

// ended takes node i down at the end of a session, until its next one.
func (r *replay) ended(s *Sim, i uint32) {
	next, at := r.next(s, i), r.at(s, i)
	switch {
	case next == nil:
		r.off(s, i, 0)
	case r.day != nil && next.up <= at: // it was to go when the day began, and is wanted again
		r.started(s, i)
	default:
		r.off(s, i, max(1, next.up-at))
	}
}

// off ends node i's session: hosts of a trace went as they went, users switch off, with a
// goodbye.
func (r *replay) off(s *Sim, i uint32, away vtime.Duration) {
	if r.day != nil {
		s.leave(i, away)
	} else {
		s.crash(i, away)
	}
}
