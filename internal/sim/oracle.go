package sim

import (
	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// oracle checks the rules of PROTOCOL.md section 3 while the simulation runs. It sees
// what any observer of the network would see, inputs, effects and bytes, and decides
// by its own reading of them: it shares no code with the machines it watches.
//
// Where a rule is about the end of a run, R4 and R11, Sim.Settle and Sim.Merged ask it.
type oracle struct {
	s    *Sim
	full bool
	// What the policy does not claim to do is not checked: to keep slots, to answer
	// keepalives whatever waits, to stay under load. See Config.Strict.
	slots, prompt, steady bool

	book *book // its own view: what it learns is not what a machine knows
	host []watch
	logs []diary // of each host, with CheckFull

	// orphanWait is the longest that a machine without an attachment may sleep.
	orphanWait vtime.Duration

	healing []uint32 // R2: for each host a ring of the last healing packets' moments
	step    asking   // what the step that is under way owes
	offers  offers
	kept    holding
	names   names
}

// watch is what the oracle remembers of every host.
type watch struct {
	promoted vtime.Time // since when it serves
	leaving  bool
}

// diary is what it remembers of every host when it reads every message.
type diary struct {
	storm    vtime.Time // when the host last said that there is a storm
	window   vtime.Time // R2: the minute that is being counted
	digested vtime.Time // R11: when it last sent a digest of everything
	roster   uint64     // and that digest's hash
	sent     uint32
	got      uint32
	gotLast  uint32 // in the minute before
	ring     uint16 // next place in healing
}

// asking is what is checked within one step.
type asking struct {
	stranger ident.Handle // R9: who sent a plain message, and how many bytes
	allowed  int
	alive    ident.Handle // R6: who sent a keepalive that is not answered yet
}

// limits of the oracle's own reading of R2, beyond healing packets. A node: a
// keepalive with its checks on two attachments, verification, publishing. A supernode:
// 300 pings and requests, 900 packets of news, anti-entropy, rounded up; what it
// answers and passes on (a record goes to 5 replicas, some of them twice); and twice
// the refresh of what it holds.
const (
	nodeOwn, nodePerInput            = 100, 4
	superOwn, superPerInput, perNode = 2_000, 12, 10
)

func newOracle(s *Sim) *oracle {
	p := &s.cfg.Policy
	o := &oracle{
		s: s, full: s.cfg.Check == CheckFull,
		slots:  p.Queue == 0 || s.cfg.Strict,
		prompt: p.Queue == 0 || !p.QueueAll || s.cfg.Strict,
		steady: p.QuitOverload == 0 || s.cfg.Strict,
		book:   newBook(&s.cfg, s.book.key),
		host:   make([]watch, len(s.hosts)),
	}
	for _, d := range []vtime.Duration{p.SlotHorizon + p.SlotGrace, p.BackoffMax, p.FullWait, p.Patience, 2 * p.LoginPatience, p.RetryPause, vtime.Minute} {
		o.orphanWait = max(o.orphanWait, d+p.Patience+p.StartSpread)
	}
	if o.full {
		o.logs = make([]diary, len(s.hosts))
		o.healing = make([]uint32, len(s.hosts)*p.PacketBudget)
		o.offers.init()
		o.kept = make(holding)
		o.names.init()
	}
	return o
}

// input sees what a machine is about to be handed.
func (o *oracle) input(i uint32, in *core.Input) {
	w := &o.host[i]
	o.step = asking{}
	switch in.Kind {
	case core.InputStart:
		*w = watch{promoted: vtime.Never}
	case core.InputLeave:
		w.leaving = true
	}
	if !o.full {
		return
	}
	o.book.self = handle(i)
	if in.Kind == core.InputStart {
		o.logs[i] = diary{storm: -1 << 62, window: o.s.now}
		clear(o.recent(i)) // the bound is a process's: nobody keeps it on disk
	}
	d := &o.logs[i]
	o.roll(i, w, d)
	d.got++
	switch in.Kind {
	case core.InputLookup:
		o.names.question(i, in)
	case core.InputMessage:
		o.message(i, in)
	}
}

func (o *oracle) message(i uint32, in *core.Input) {
	kind := wire.KindOf(in.Bytes)
	switch {
	case in.Plain && kind != wire.KindOffer:
		o.step.stranger, o.step.allowed = in.From, len(in.Bytes)
	case in.Plain:
	case kind == wire.KindKeepalive && o.prompt:
		var m wire.Keepalive
		if m.Parse(in.Bytes, o.book) == nil {
			o.step.alive = in.From
		}
	case kind == wire.KindAttach && o.slots:
		var m wire.Attach
		if m.Parse(in.Bytes, o.book) == nil {
			o.offers.redeem(o, i, in.From, &m)
		}
	}
}

// effect sees what a machine asks for, before it is carried out.
func (o *oracle) effect(i uint32, f *core.Effect, b []byte) {
	w := &o.host[i]
	switch f.Kind {
	case core.EffectPromoted:
		w.promoted = o.s.now
	case core.EffectDemoted:
		o.demoted(i, w)
	}
	if !o.full {
		return
	}
	switch f.Kind {
	case core.EffectSend:
		o.sent(i, &o.logs[i], f, b)
	case core.EffectDemoted, core.EffectLeft:
		if o.steady {
			o.kept.placed(o, i)
		}
		w.promoted = vtime.Never
	case core.EffectFound:
		o.names.answer(o, i, f)
	}
}

// demoted is R3: a supernode steps down only after calm, never because of load.
func (o *oracle) demoted(i uint32, w *watch) {
	p, now := &o.s.cfg.Policy, o.s.now
	switch {
	case w.leaving || !o.steady:
	case now.Sub(w.promoted) < p.DemoteTenure:
		o.s.violated("R3", i, "stopped serving after %.1f s, allowed after %.0f s", now.Sub(w.promoted).Seconds(), p.DemoteTenure.Seconds())
	case o.full && now.Sub(o.logs[i].storm) < p.DemoteCalm:
		o.s.violated("R3", i, "stopped serving %.1f s after a storm, allowed after %.0f s", now.Sub(o.logs[i].storm).Seconds(), p.DemoteCalm.Seconds())
	}
}

// sent reads one message.
func (o *oracle) sent(i uint32, d *diary, f *core.Effect, b []byte) {
	to := f.Peer
	d.sent++
	if o.step.stranger != ident.None && index(to)<<1 == index(o.step.stranger)<<1 {
		if o.step.allowed -= len(b); o.step.allowed < 0 {
			o.s.violated("R9", i, "answered a stranger with %d bytes more than it sent", -o.step.allowed)
		}
	}
	if to == o.step.alive {
		switch wire.KindOf(b) {
		case wire.KindKeepaliveAck, wire.KindNotAttached, wire.KindGoodbye:
			o.step.alive = ident.None
		}
	}
	o.book.self = handle(i)
	switch kind := wire.KindOf(b); kind {
	case wire.KindProbe, wire.KindAttach, wire.KindListRequest, wire.KindLoginRequest:
		o.healingPacket(i, d, kind)
		if kind == wire.KindAttach {
			o.names.sealed(o, i, kind, b)
		}
	case wire.KindOffer, wire.KindAccept, wire.KindRefuse, wire.KindKeepaliveAck, wire.KindGoodbye:
		o.serving(i, d, f, kind, b)
	case wire.KindPublish, wire.KindPut, wire.KindFound, wire.KindGot:
		o.names.sealed(o, i, kind, b)
	case wire.KindDigest:
		var m wire.Digest
		if m.Parse(b, o.book) == nil && m.Bucket == wire.DigestTop {
			d.roster, d.digested = foldBytes(0, b), o.s.now
		}
	}
}

// serving reads what a supernode tells nodes.
func (o *oracle) serving(i uint32, d *diary, f *core.Effect, kind wire.Kind, b []byte) {
	var err error
	var storm uint8
	switch kind {
	case wire.KindOffer:
		var m wire.Offer
		if err = m.Parse(b, o.book); err == nil {
			storm = m.Storm
			o.offers.promise(o, i, f.Peer, &m)
		}
	case wire.KindAccept:
		var m wire.Accept
		if err = m.Parse(b, o.book); err == nil {
			storm = m.Storm
			o.kept.accept(i, f.Peer)
			o.offers.answer(o, i, f.Peer, m.Nonce, true, 0)
		}
	case wire.KindRefuse:
		var m wire.Refuse
		if err = m.Parse(b, o.book); err == nil {
			storm = m.Storm
			o.offers.answer(o, i, f.Peer, m.Nonce, false, m.Reason)
		}
	case wire.KindKeepaliveAck:
		var m wire.KeepaliveAck
		if err = m.Parse(b, o.book); err == nil {
			storm = m.Storm
		}
	case wire.KindGoodbye:
		var m wire.Goodbye
		if err = m.Parse(b, o.book); err == nil {
			o.kept.goodbye(i, f.Peer, len(m.Peers.All()))
		}
	}
	if err != nil {
		o.s.violated("book", i, "sent a %v that can't be read: %v", kind, err)
	}
	if storm > 0 {
		d.storm = o.s.now
	}
}

// recent returns the ring of host i's last healing packets: as many as a minute may see.
func (o *oracle) recent(i uint32) []uint32 {
	n := len(o.healing) / len(o.host)
	return o.healing[int(i)*n : (int(i)+1)*n]
}

// healingPacket is R2: no node sends more than its budget in any minute.
func (o *oracle) healingPacket(i uint32, d *diary, kind wire.Kind) {
	ring := o.recent(i)
	at := &ring[d.ring]
	ms := uint32(o.s.now/vtime.Time(vtime.Millisecond)) + 1 // 0 is never
	if *at != 0 && ms-*at < 60_000 && !o.s.hosts[i].is(hostServing) {
		o.s.violated("R2", i, "a %v is healing packet %d within %d ms", kind, len(ring)+1, ms-*at)
	}
	*at = ms
	d.ring = uint16((int(d.ring) + 1) % len(ring))
}

// roll is R2 for everything else: the messages of each minute are bounded by a constant
// and by what came in.
func (o *oracle) roll(i uint32, w *watch, d *diary) {
	if o.s.now.Sub(d.window) < vtime.Minute {
		return
	}
	p, h := &o.s.cfg.Policy, &o.s.hosts[i]
	bound := nodeOwn + p.PacketBudget + nodePerInput*int(d.got+d.gotLast)
	if h.is(hostServing) || w.promoted != vtime.Never || int(i) >= o.s.cfg.Nodes {
		bound = superOwn + superPerInput*int(d.got+d.gotLast) + perNode*len(o.kept[i])
	}
	if int(d.sent) > bound {
		o.s.violated("R2", i, "%d messages in a minute with %d inputs, at most %d are allowed", d.sent, d.got, bound)
	}
	d.window, d.gotLast = o.s.now, d.got
	d.sent, d.got = 0, 0
}

// stepped checks what must hold after every step.
func (o *oracle) stepped(i uint32, h *host, v *view) {
	if int(i) >= o.s.cfg.Nodes {
		return
	}
	if !v.attached && !h.is(hostDenied) && !o.host[i].leaving {
		o.armed(i, h)
	}
	if !o.full {
		return
	}
	if o.step.alive != ident.None {
		o.s.violated("R6", i, "a keepalive of node %d was not answered at once", o.s.number(index(o.step.alive)))
	}
	o.offers.overdue(o)
}

// armed is R1: a machine without an attachment will be stepped again, soon.
func (o *oracle) armed(i uint32, h *host) {
	switch now := o.s.now; {
	case h.due == vtime.Never || h.armed == vtime.Never:
		o.s.violated("R1", i, "an orphan has no timer")
	case h.armed > vtime.Later(h.due, now):
		o.s.violated("R1", i, "an orphan's timer is armed %.1f s after its deadline", h.armed.Sub(h.due).Seconds())
	case h.due.Sub(now) > o.orphanWait:
		o.s.violated("R1", i, "an orphan sleeps %.1f s, at most %.1f s are allowed", h.due.Sub(now).Seconds(), o.orphanWait.Seconds())
	}
}

// down forgets what a host that went down had promised.
func (o *oracle) down(i uint32) {
	o.host[i].leaving = false
	o.host[i].promoted = vtime.Never
	delete(o.kept, i)
}
