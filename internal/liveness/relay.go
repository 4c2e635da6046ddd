package liveness

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

// relay is one ping under way for somebody else.
type relay struct {
	origin    ident.Handle
	originSeq uint32
	target    ident.Handle
	seq       uint32
	deadline  vtime.Time
}

// Relay takes from's request to ping target, to be answered with from's seq. Beyond
// MaxRelays or MaxRelaysEach it is dropped and counted; the asker has two other helpers.
func (p *Prober) Relay(seq uint32, from, target ident.Handle, now vtime.Time, out []Action) []Action {
	each := 0
	for i := range p.relays[:p.relayed] {
		if p.relays[i].origin == from {
			each++
		}
	}
	if p.relayed == MaxRelays || each == MaxRelaysEach {
		p.stats.RelaysFull++
		return out
	}
	p.stats.Relayed++
	r := relay{origin: from, originSeq: seq, target: target, seq: p.nextSeq(), deadline: now.Add(p.params.relayTimeout())}
	p.relays[p.relayed] = r
	p.relayed++
	return append(out, Action{Act: ActPing, Seq: r.seq, To: target, Target: target})
}

// passOn hands the answer of a target to whoever asked for it.
func (p *Prober) passOn(seq uint32, from ident.Handle, out []Action) []Action {
	for i := range p.relays[:p.relayed] {
		if r := p.relays[i]; r.seq == seq && r.target == from {
			p.dropRelay(i)
			return append(out, Action{Act: ActAck, Seq: r.originSeq, To: r.origin, Target: r.target})
		}
	}
	p.stats.Unknown++
	return out
}

// giveUpRelays tells the askers whose target was silent for too long.
func (p *Prober) giveUpRelays(now vtime.Time, out []Action) []Action {
	for i := 0; i < p.relayed; {
		r := p.relays[i]
		if r.deadline > now {
			i++
			continue
		}
		out = append(out, Action{Act: ActNack, Seq: r.originSeq, To: r.origin, Target: r.target})
		p.dropRelay(i) // another one stands at i now
	}
	return out
}

// dropRelay frees place i; the last one takes it, which keeps them in one run.
func (p *Prober) dropRelay(i int) {
	p.relayed--
	p.relays[i] = p.relays[p.relayed]
	p.relays[p.relayed] = relay{}
}
