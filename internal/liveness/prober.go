package liveness

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
	"github.com/ada420b6/overlay/internal/vtime"
)

// The named maxima.
const (
	// MaxProbes bounds the probes that are under way at once. A healthy node has one or
	// two; at health 7 each takes 8 periods, so that every other period starts one.
	MaxProbes = 4
	// Helpers is how many others are asked to ping a silent target.
	Helpers = 3
	// MaxRelays bounds the pings under way for others. If every probe in the tier fails,
	// a member is asked 3 times a second for 0.4 s each: 64 is 50 times that.
	MaxRelays = 64
	// MaxRelaysEach bounds those for one asker: an honest one has MaxProbes.
	MaxRelaysEach = MaxProbes
	// MaxHealth is the worst health: timeouts are 8 times as long.
	MaxHealth = 7
)

// probe is one target's trial: direct until timeout, then with helpers until end.
type probe struct {
	target   ident.Handle // None: the place is free
	seq      uint32
	via      [Helpers]ident.Handle
	nacks    uint8 // helpers who said that the target is silent
	indirect bool
	next     vtime.Time // the end of the present phase
	end      vtime.Time // the verdict
}

// Prober is a supernode's failure detector. Init makes it usable; it holds no pointer, so a
// copy is independent.
type Prober struct {
	params    ProberParams
	stats     Stats
	probes    [MaxProbes]probe
	relays    [MaxRelays]relay // the first relayed are in use
	relayed   int
	seq       uint32
	health    uint8
	nextProbe vtime.Time
	nextDead  vtime.Time
}

// Init starts a Prober. seq is where its sequence numbers begin, drawn by the caller;
// phase, from 0 to Period, is when its first probe is due, so that members that start
// together do not probe in step.
func (p *Prober) Init(params ProberParams, seq uint32, phase vtime.Duration, now vtime.Time) {
	invariant.Check(params.Period > 0 && params.Timeout > 0 && params.DeadPeriod > 0,
		"liveness: the prober's times must be positive")
	*p = Prober{params: params, seq: seq, nextProbe: now.Add(phase), nextDead: now.Add(params.DeadPeriod)}
}

// Health returns 0 when this node trusts itself, up to MaxHealth when it rather doubts
// itself than others.
func (p *Prober) Health() int { return int(p.health) }

// Stats returns what was counted since Init.
func (p *Prober) Stats() Stats { return p.stats }

// Next returns when Tick has something to do. A Prober always has a next moment.
func (p *Prober) Next() vtime.Time {
	next := vtime.Earlier(p.nextProbe, p.nextDead)
	for i := range p.probes {
		if p.probes[i].target != ident.None {
			next = vtime.Earlier(next, p.probes[i].next)
		}
	}
	for i := range p.relays[:p.relayed] {
		next = vtime.Earlier(next, p.relays[i].deadline)
	}
	return next
}

// Tick does what is due at now, and appends to out what the caller shall do: at most 3
// actions and 1 more per probe under way, 1 per relay and 2 more.
func (p *Prober) Tick(now vtime.Time, c Candidates, out []Action) []Action {
	for i := range p.probes {
		if b := &p.probes[i]; b.target != ident.None && b.next <= now {
			out = p.advance(b, now, &c, out)
		}
	}
	out = p.giveUpRelays(now, out)
	if p.nextProbe <= now {
		p.nextProbe = now.Add(p.params.Period) // never in arrears: a burst helps nobody
		out = p.begin(now, c.Target, out)
	}
	if p.nextDead <= now {
		p.nextDead = now.Add(p.params.DeadPeriod)
		if c.Dead != ident.None {
			// No probe stands behind it: if it answers, its incarnation is the news.
			out = append(out, Action{Act: ActPing, Seq: p.nextSeq(), To: c.Dead, Target: c.Dead})
		}
	}
	return out
}

// begin starts the probe of target, unless it is under way or there is no room.
func (p *Prober) begin(now vtime.Time, target ident.Handle, out []Action) []Action {
	free := -1
	for i := range p.probes {
		if target != ident.None && p.probes[i].target == target {
			target = ident.None
		}
		if p.probes[i].target == ident.None {
			free = i
		}
	}
	if target == ident.None || free < 0 {
		p.stats.Skipped++
		return out
	}
	p.stats.Probes++
	slow := vtime.Duration(p.health) + 1
	p.probes[free] = probe{target: target, seq: p.nextSeq(), next: now.Add(p.params.Timeout * slow),
		end: now.Add(max(p.params.Period, 2*p.params.Timeout) * slow)}
	return append(out, Action{Act: ActPing, Seq: p.probes[free].seq, To: target, Target: target})
}

// advance ends the present phase of a probe.
func (p *Prober) advance(b *probe, now vtime.Time, c *Candidates, out []Action) []Action {
	late := now.Sub(b.next) > p.params.Timeout
	switch {
	case late:
		p.stats.Late++
		p.sicken()
	case !b.indirect:
		return p.detour(b, now, c, out)
	default:
		p.stats.Suspected++
		if b.via[0] != ident.None && b.nacks == 0 {
			p.sicken() // not even a helper was heard: it may be us
		}
		out = append(out, Action{Act: ActSuspect, Target: b.target})
	}
	*b = probe{}
	return out
}

// detour asks helpers to ping the target of b, and the target once more: where every
// thirtieth packet is lost, that makes one suspicion of sixteen, and a suspicion is spread
// to everybody.
func (p *Prober) detour(b *probe, now vtime.Time, c *Candidates, out []Action) []Action {
	out = append(out, Action{Act: ActPing, Seq: b.seq, To: b.target, Target: b.target})
	n := 0
	for _, h := range c.Via {
		if h == ident.None || h == b.target || n == Helpers {
			continue
		}
		b.via[n] = h
		n++
		out = append(out, Action{Act: ActPingRequest, Seq: b.seq, To: h, Target: b.target})
	}
	b.indirect = true
	b.next = vtime.Later(b.end, now) // with nobody to help, the target still has its time
	return out
}

// Ack tells that from answered seq: a target's own answer, or a helper's word that the
// target is there. It may be the answer that another member waits for, which is appended
// to out. An answer to nothing under way is counted.
func (p *Prober) Ack(seq uint32, from ident.Handle, out []Action) []Action {
	if b := p.find(seq, from); b != nil {
		*b = probe{}
		p.stats.Acked++
		if p.health > 0 {
			p.health--
		}
		return out
	}
	return p.passOn(seq, from, out)
}

// Nack tells that the helper from got no answer for seq: the target is silent, but this
// node is heard.
func (p *Prober) Nack(seq uint32, from ident.Handle) {
	b := p.find(seq, from)
	if b == nil || from == b.target || b.nacks == Helpers {
		p.stats.Unknown++
		return
	}
	b.nacks++
}

// find returns the probe that from may answer with seq: its target or one of its helpers.
func (p *Prober) find(seq uint32, from ident.Handle) *probe {
	if from == ident.None {
		return nil
	}
	for i := range p.probes {
		b := &p.probes[i]
		if b.target == ident.None || b.seq != seq {
			continue
		}
		if from == b.target || from == b.via[0] || from == b.via[1] || from == b.via[2] {
			return b
		}
	}
	return nil
}

func (p *Prober) nextSeq() uint32 {
	p.seq++
	return p.seq
}

// sicken makes this node doubt itself more.
func (p *Prober) sicken() { p.health = min(p.health+1, MaxHealth) }
