package sim

import (
	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// handle carries out one event.
func (s *Sim) handle(e *event) {
	if e.at > s.now {
		s.now, s.atOnce = e.at, 0
	}
	s.stats.events++
	if s.atOnce++; s.atOnce > 10*len(s.hosts)+100_000 {
		s.violated("R2", e.host, "%d events at one moment: a machine is going in circles", s.atOnce)
		return
	}
	h := &s.hosts[e.host]
	switch e.kind {
	case eventTimer:
		s.timer(e.host, h, e.gen)
	case eventArrive:
		s.arrive(e, h)
	case eventServe:
		if h.is(hostUp) && h.boots == e.gen {
			s.deliver(e)
		} else {
			s.stats.dropped[DropDown]++
		}
		s.arena.free(e.ref)
	case eventStart:
		h.set(hostWaits, false)
		s.starting--
		s.start(e.host)
	case eventCrash:
		s.crash(e.host, vtime.Duration(e.ref)*vtime.Millisecond)
	case eventLeave:
		s.leave(e.host, vtime.Duration(e.ref)*vtime.Millisecond)
	case eventEnd:
		s.replay.ended(s, e.host)
	case eventIssue:
		if h.is(hostUp) && h.boots == e.gen {
			s.stats.decided++
			s.in = core.Input{Kind: core.InputIssued, From: handle(e.from), Query: e.ref, Status: uint8(wire.LoginGranted)}
			s.step(e.host)
		}
	}
}

// lookAhead is how many events are looked at together before they are carried out.
const lookAhead = 16

// fetch touches the memory that the next events will need. With more nodes than the
// caches of the processor hold, finding them is most of the work; asked for together, they
// are fetched side by side, and not one after the other.
func (s *Sim) fetch(next []event) {
	for i := range next {
		e := &next[i]
		s.touched += uint64(s.hosts[e.host].gen)
		if e.n > 0 {
			s.touched += uint64(s.arena.get(e.ref, 1)[0])
		}
	}
	for i := range next {
		e := &next[i]
		if h := &s.hosts[e.host]; h.is(hostUp) && (e.kind != eventTimer || e.gen == h.gen && h.due <= e.at) {
			s.touched += s.machines.touch(e.host)
			if h.super == 0 && int(e.host) < s.cfg.Nodes { // whether it is full is asked at every check
				s.touched += uint64(s.cache[(int(e.host)+1)*s.cfg.Cache-1].Peer)
			}
		}
	}
	for i := range next {
		e := &next[i]
		if super := s.supers.get(s.hosts[e.host].super); super != nil {
			kind := wire.KindNone
			if e.n > 0 {
				kind = wire.KindOf(s.arena.get(e.ref, 1))
			}
			s.touched += super.Touch(handle(e.from), kind)
		}
	}
}

// step hands s.in to the machine of host i and carries out what it answers.
func (s *Sim) step(i uint32) {
	h := &s.hosts[i]
	s.lend(i, h)
	if s.tamper != nil {
		s.tamper(i, &s.in)
	}
	if s.tracer != nil {
		s.tracer.input(s, i, &s.in)
	}
	s.absorb(i)
	if s.oracle != nil {
		s.oracle.input(i, &s.in)
	}
	if s.in.Kind == core.InputMessage && wire.KindOf(s.in.Bytes) == wire.KindPresence {
		s.countPresence(i, s.in.Bytes)
	}
	s.out.Reset()
	s.machines.step(i, &s.env, s.now, &s.in, &s.out)
	s.arm(i, s.machines.next(i, &s.env))
	if s.env.Super == nil && h.super != 0 && s.naps != nil {
		*s.calmOf(i) = calm{}
	}
	h.super = s.supers.put(h.super, s.env.Super)
	h.calls = s.callers.put(h.calls, s.env.Calls)
	h.watch = s.lookout.put(h.watch, s.env.Watching)
	v := s.look(i)
	s.observe(i, h, &v)
	ack := s.acked()
	for k := range s.out.List {
		s.carryOut(i, &s.out.List[k])
	}
	if s.renewing.all {
		s.renewedAll(i)
	}
	if s.naps != nil && int(i) < s.cfg.Nodes {
		s.foresee(i, h, ack)
	}
	if s.book.fault != "" {
		s.violated("R8", i, "%s", s.book.fault)
	}
	if s.oracle != nil {
		s.oracle.stepped(i, h, &v)
	}
	if s.book.certified == handle(i) {
		s.certified(i, h)
	}
	if s.gone { // the machine has left, and with its last message sent the process ends
		s.gone = false
		away := s.away[i]
		delete(s.away, i)
		s.crash(i, away)
	}
}

// certified keeps a certificate that has come and tells its machine when to renew it.
func (s *Sim) certified(i uint32, h *host) {
	s.book.certified = ident.None
	h.certified = uint32(vtime.Duration(s.now)/vtime.Second) + 1
	s.in = core.Input{Kind: core.InputCertified, Start: core.Start{RenewIn: s.renewIn(i, h)}}
	s.step(i)
}

// lend points the environment at host i.
func (s *Sim) lend(i uint32, h *host) {
	s.book.self = handle(i)
	s.env.Cache = nil
	if int(i) < s.cfg.Nodes {
		s.env.Cache = s.cacheOf(i)
	}
	s.env.Super = s.supers.get(h.super)
	s.env.Calls = s.callers.get(h.calls)
	s.env.Watching = s.lookout.get(h.watch)
}

func (s *Sim) cacheOf(i uint32) []core.CacheEntry {
	n := s.cfg.Cache
	return s.cache[int(i)*n : (int(i)+1)*n : (int(i)+1)*n]
}

// absorb lets s.in enter the trace.
func (s *Sim) absorb(i uint32) {
	t := fold(s.trace, uint64(s.now))
	t = fold(t, uint64(i)<<32|uint64(s.in.From)^uint64(s.in.Kind)<<56)
	s.trace = foldBytes(t, s.in.Bytes)
}

// timer lets a deadline pass, unless the machine has changed its mind since.
func (s *Sim) timer(i uint32, h *host, gen uint32) {
	if gen != h.gen || !h.is(hostUp) {
		return
	}
	h.armed = vtime.Never
	if h.due > s.now {
		s.arm(i, h.due)
		return
	}
	s.in = core.Input{Kind: core.InputTimer}
	s.step(i)
}

// arm sets the machine's one deadline. A timer that is queued too early stays queued
// and is looked at when it fires: most deadlines are put off again and again, and
// never reached.
func (s *Sim) arm(i uint32, due vtime.Time) {
	h := &s.hosts[i]
	if s.deaf != nil && s.deaf(i) {
		due = vtime.Never
	}
	h.due = due
	if due >= h.armed {
		return
	}
	h.gen++
	h.armed = vtime.Later(due, s.now)
	s.queue.push(event{at: h.armed, host: i, kind: eventTimer, gen: h.gen})
}

// carryOut does what one effect asks for.
func (s *Sim) carryOut(i uint32, f *core.Effect) {
	b := s.out.Bytes(f)
	if s.mutate != nil && !s.mutate(i, f, b) {
		return
	}
	if s.tracer != nil {
		s.tracer.effect(s, i, f, b)
	}
	if s.oracle != nil {
		s.oracle.effect(i, f, b)
	}
	switch f.Kind {
	case core.EffectSend:
		s.countPresence(i, b)
		s.send(i, f, b)
	case core.EffectApplication:
		s.issue(i, f)
	case core.EffectFound:
		s.found(i, f)
	case core.EffectPresence:
		s.presence(i, f)
	case core.EffectChannel, core.EffectNoChannel:
		s.channel(i, f)
	case core.EffectCertified:
		s.stats.granted++
	case core.EffectPromoted:
		s.stats.promotions++
	case core.EffectDemoted:
		s.stats.demotions++
		// Who steps down to leave is called back to its role by the disk.
		_, leaving := s.away[i]
		s.hosts[i].set(hostWasSuper, leaving)
	case core.EffectDenied:
		s.hosts[i].set(hostDenied, true)
	case core.EffectLeft:
		s.gone = true
	}
}

// issue lets a login server's driver decide an application, first come first served.
func (s *Sim) issue(i uint32, f *core.Effect) {
	busy := &s.issues[int(i)-s.cfg.Nodes]
	*busy = vtime.Later(*busy, s.now).Add(s.cfg.decision())
	s.queue.push(event{at: *busy, host: i, kind: eventIssue, from: index(f.Peer), ref: f.Query, gen: s.hosts[i].boots})
}
