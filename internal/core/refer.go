package core

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/wire"
)

// Refer calls mark for every handle that the machine still refers to: the driver may
// forget the others. The host cache is the driver's own.
func (n *Node) Refer(env *Env, mark func(ident.Handle)) {
	mark(n.self)
	mark(n.hint)
	for i := range n.at {
		mark(n.at[i].peer)
		mark(n.heirs[i])
	}
	for i := range n.tickets {
		mark(n.tickets[i].Peer)
	}
	for _, h := range n.seek.Asked() {
		mark(h)
	}
	mark(n.seek.Held().Peer)
	for i := range env.Cache {
		mark(env.Cache[i].Peer)
	}
	for _, h := range env.Logins {
		mark(h)
	}
	if c := env.Calls; c != nil {
		for i := range c.dials {
			d := &c.dials[i]
			mark(d.peer)
			mark(d.legs[0].relay)
			mark(d.legs[1].relay)
			mark(d.at[0])
			mark(d.at[1])
		}
	}
	if env.Super != nil {
		env.Super.refer(mark)
	}
}

func (sn *Supernode) refer(mark func(ident.Handle)) {
	for i := range sn.held {
		markRecord(sn.held[i].record, mark)
		mark(sn.held[i].peer)
	}
	for i := range sn.roster.Len() {
		h, _ := sn.roster.At(i)
		mark(h)
	}
	for i := range sn.channels {
		mark(sn.channels[i].caller)
		mark(sn.channels[i].target)
	}
	for i := range sn.eligible {
		mark(sn.eligible[i].peer)
	}
	for _, h := range sn.tell.now.lost {
		mark(h)
	}
	for _, h := range sn.tell.next.lost {
		mark(h)
	}
	for _, x := range sn.large {
		mark(x.peer)
	}
	for _, h := range sn.standbys {
		mark(h)
	}
	sn.queue.line.Refer(mark)
	for i := range sn.queue.work {
		markRecord(sn.queue.work[i].record, mark)
	}
	sn.prober.Refer(mark)
	sn.sampler.Refer(mark)
	sn.presence.refer(mark)
	sn.puts.Refer(mark)
	sn.store.Refer(mark)
	sn.lookups.Refer(mark)
}

// Refer is Node.Refer for a login server.
func (l *LoginServer) Refer(env *Env, mark func(ident.Handle)) {
	for i := range l.queue {
		mark(l.queue[i].peer)
	}
	for i := range l.serving {
		mark(l.serving[i].peer)
	}
	for i := range l.known {
		mark(l.known[i].peer)
	}
	mark(l.nominee)
	for _, h := range env.Logins {
		mark(h)
	}
}

func markRecord(r wire.Record, mark func(ident.Handle)) {
	mark(r.Owner)
	mark(r.At[0])
	mark(r.At[1])
}
