package sim

import (
	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
	"github.com/ada420b6/overlay/internal/vtime"
)

// How a host comes up and goes down, and what is on its disk in between.

// certLife is how long a certificate is valid; it is renewed at a random point in 50 to
// 75 % of that (PROTOCOL.md section 7).
const certLife = 30 * vtime.Day

// maxKnown bounds the roster on one disk: 4 096 entries of 12 bytes are 48 KiB, so that
// the disks of 25 000 rebooting supernodes are 1.2 GB at worst. A longer roster is
// thinned out evenly, which leaves the node more than enough living ones to begin with.
const maxKnown = 4096

// start brings host i up with what is on its disk.
func (s *Sim) start(i uint32) {
	h := &s.hosts[i]
	if h.is(hostUp) {
		return
	}
	h.boots++
	h.set(hostUp, true)
	h.due, h.armed, h.busy = vtime.Never, vtime.Never, s.now
	if h.is(hostWasSuper) {
		s.stranded.back(h.orphan)
	}
	h.orphan, h.tries = s.now, 0
	s.in = core.Input{Kind: core.InputStart, Start: s.disk(i, h)}
	delete(s.rosters, i)
	if int(i) < s.cfg.Nodes {
		s.orphans.set(i, true)
		s.stats.up(s.now, s.stranded.n)
	}
	s.step(i)
	s.watchAgain(i)
	if s.replay != nil {
		s.replay.started(s, i)
	}
}

// disk is what host i finds when it comes up.
func (s *Sim) disk(i uint32, h *host) core.Start {
	key := s.book.hash(handle(i), labelStart)
	st := core.Start{
		Self:      handle(i),
		Key:       [2]uint64{key, uint64(h.boots)},
		TicketKey: [2]uint64{key, labelTicket},
		Tickets:   s.machines.tickets(i),
		Seq:       h.seq,
		Inc:       h.inc,
		Role:      h.role,
		Slots:     s.book.slots[i],
		WasSuper:  h.is(hostWasSuper),
		HasCert:   h.certified != 0,
		Roster:    s.rosters[i],
	}
	if int(i) < s.cfg.Nodes {
		st.Name = ident.HashName(s.Name(int(i)))
	}
	if st.HasCert {
		st.RenewIn = s.renewIn(i, h)
	}
	s.beginAs(i, &st)
	return st
}

// renewIn is how long from now host i should renew its certificate. What is overdue is
// spread over an hour, as the runtime does.
func (s *Sim) renewIn(i uint32, h *host) vtime.Duration {
	age := s.now.Sub(vtime.Time(h.certified-1) * vtime.Time(vtime.Second))
	at := vtime.Duration((0.5 + 0.25*s.share(i, labelRenew)) * float64(certLife))
	if at <= age {
		return vtime.Duration(s.share(i, labelRenew) * float64(vtime.Hour))
	}
	return at - age
}

// look returns what the machine of host i looks like from outside.
func (s *Sim) look(i uint32) view { return s.machines.view(i, s.supers.get(s.hosts[i].super)) }

// crash ends host i's process without a word. It comes back after away, unless that is 0.
func (s *Sim) crash(i uint32, away vtime.Duration) {
	h := &s.hosts[i]
	if !h.is(hostUp) {
		return
	}
	s.rouse(i)
	if h.naps != 0 {
		s.wakeNode(i)
	}
	if s.tracer != nil && s.tracer.memory != nil {
		s.tracer.memory.down(s, i, away)
	}
	v := s.look(i)
	h.seq, h.inc = max(h.seq, v.seq+1), max(h.inc, v.inc+1)
	if v.attached { // one that has not found its place again yet is still what it was
		h.set(hostWasSuper, v.serving)
	}
	h.orphan = s.now
	s.unstrand(i)
	if super := s.supers.get(h.super); super != nil {
		s.rosters[i] = thin(s.machines.remember(nil, super))
		s.strand(i, super)
	}
	if h.calls != 0 {
		s.unanswered(i)
	}
	if c := s.calmOf(i); c != nil {
		*c = calm{}
	}
	h.super = s.supers.put(h.super, nil)
	h.calls = s.callers.put(h.calls, nil)
	h.watch = s.lookout.put(h.watch, nil)
	h.gen++ // whatever timer is queued is void
	h.due, h.armed = vtime.Never, vtime.Never
	if int(i) < s.cfg.Nodes {
		s.orphans.set(i, false)
		s.stats.down(h, s.now, s.stranded.n)
	}
	h.state &^= hostUp | hostAttached | hostServing | hostSecond
	delete(s.away, i)
	if s.oracle != nil {
		s.oracle.down(i)
	}
	s.absent(i, away)
}

// absent queues host i's return after away, unless that is 0.
func (s *Sim) absent(i uint32, away vtime.Duration) {
	h := &s.hosts[i]
	if away <= 0 || h.is(hostWaits) {
		return
	}
	h.set(hostWaits, true)
	h.due = s.now.Add(away) // its deadline while it is down: to be up
	s.starting++
	s.queue.push(event{at: h.due, host: i, kind: eventStart})
}

// leave lets host i say goodbye first; its process ends when its machine says so.
func (s *Sim) leave(i uint32, away vtime.Duration) {
	if !s.hosts[i].is(hostUp) {
		return
	}
	s.away[i] = away
	if super := s.supers.get(s.hosts[i].super); super != nil {
		s.rosters[i] = thin(s.machines.remember(nil, super))
	}
	s.in = core.Input{Kind: core.InputLeave}
	s.step(i)
}

// thin keeps at most maxKnown of a roster, evenly.
func thin(known []core.Known) []core.Known {
	if len(known) <= maxKnown {
		return known
	}
	kept := make([]core.Known, maxKnown)
	for k := range kept {
		kept[k] = known[k*len(known)/maxKnown]
	}
	return kept
}

// observe notes what a step has changed about host i.
func (s *Sim) observe(i uint32, h *host, v *view) {
	if int(i) >= s.cfg.Nodes {
		return
	}
	invariant.Check(h.is(hostUp), "sim: a machine was stepped on a host that is down")
	s.aware(i, v)
	second := v.at[0] != ident.None && v.at[1] != ident.None
	if v.attached == h.is(hostAttached) && v.serving == h.is(hostServing) && second == h.is(hostSecond) {
		return
	}
	st := &s.stats
	if v.attached != h.is(hostAttached) {
		if v.attached {
			st.attached++
			st.healed(s.now.Sub(h.orphan), h.tries)
			s.tooLate(i, v)
		} else {
			st.attached--
			h.orphan = s.now
		}
		h.tries = 0
		s.orphans.set(i, !v.attached)
	}
	st.serving += toInt(v.serving) - toInt(h.is(hostServing))
	st.second += toInt(second) - toInt(h.is(hostSecond))
	h.set(hostAttached, v.attached)
	h.set(hostServing, v.serving)
	h.set(hostSecond, second)
	st.watermark(s.now, s.stranded.n)
}

func toInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
