package core

import (
	"github.com/ada420b6/overlay/internal/attach"
	"github.com/ada420b6/overlay/internal/directory"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/liveness"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// Most of what happens in a large network at rest is keepalives that are answered and
// change nothing. A simulator may draw their outcome in place of carrying them out. What
// it needs for that is here: which checks change nothing as long as the supernode tells
// what it tells now, and a way to enter the rounds that it has drawn. No decision of the
// protocol is made here, and the runtime does not come here.

// Told is what nodes make of what a supernode tells in an ack: as long as it is the same,
// an ack is no news to a node that heard the one before.
type Told struct {
	Storm  uint8
	Wanted bool   // nodes that can serve are drawing whether to
	Heirs  bool   // those that have no standby to turn to are named one
	Known  uint32 // supernodes that a node should remember before it asks for no more
}

// Watch is how a node watches an attachment.
type Watch struct {
	Heard vtime.Time     // when the supernode was heard last, possibly to come
	Wait  vtime.Duration // the silence after which it is checked
	liveness.KeepaliveParams
}

// News reports whether nodes to which an ack by old was no news may do something at t. A
// larger Known is news to those alone who remember fewer.
func (t Told) News(old Told) bool {
	return t.Storm != old.Storm || t.Wanted && !old.Wanted || t.Heirs && !old.Heirs
}

// patientShare is the part of a check's first repetition that a keepalive may wait in the
// queue of attaches and still change nothing: the answer comes before anybody asks again.
const patientShare = 4

// Told returns what this supernode would tell a node at now; false when an ack is not all
// that a keepalive would bring, or when so many attaches wait in the queue that it has to
// pass that it would be late.
func (n *Node) Told(env *Env, now vtime.Time) (Told, bool) {
	if env.Super == nil {
		return Told{}, false
	}
	s := step{n: n, env: env, p: env.Policy, now: now}
	t, q := s.tierView(), &env.Super.queue
	calm := env.Super.leaveBy == vtime.Never && now >= q.opens
	if s.p.QueueAll && q.made && q.line.Backlog(now) >= s.p.CheckStep/patientShare {
		calm = false
	}
	return Told{
		Storm:  s.storm(),
		Wanted: t.Util > s.p.PromoteAbove,
		Heirs:  env.Super.standbys != standbys{},
		Known:  max(t.Alive, 1),
	}, calm
}

// Heard returns the supernode of attachment i and when it was heard last, which is
// possibly to come; while a check is out, when that is given up.
func (n *Node) Heard(i int) (ident.Handle, vtime.Time) {
	heard, _, _ := n.at[i].alive.Last()
	return n.at[i].peer, heard
}

// Calm returns how attachment i is watched, and whether its next check would change
// nothing if it is answered by t.
func (n *Node) Calm(env *Env, i int, t Told) (w Watch, calm bool) {
	s := step{n: n, env: env, p: env.Policy}
	a, cache := &n.at[i], attach.Cache(env.Cache)
	heard, wait, ok := a.alive.Last()
	w = Watch{Heard: heard, Wait: wait, KeepaliveParams: s.watchOf(i)}
	if !ok || a.peer == ident.None || a.parting || n.leaving || n.storm != t.Storm || n.pub.owed != 0 {
		return w, false
	}
	if env.Watching != nil { // an ack says whether something was missed
		return w, false
	}
	if t.Heirs && n.heirless(i) {
		return w, false
	}
	if n.able() && (t.Wanted || n.wasSuper) {
		return w, false
	}
	known := cache.Len()
	settled := known >= wellKnown || 2*vtime.Second<<a.early >= s.p.Keepalive
	return w, settled && known >= min(len(cache), int(t.Known))
}

// Foretell enters rounds of checks of attachment i, as liveness.Keepalive.Foretell does.
func (n *Node) Foretell(i int, at vtime.Time, wait vtime.Duration, sent int) {
	n.at[i].alive.Foretell(at, wait, sent)
}

// Checks is how often a node asks before it gives a silent supernode up.
const Checks = liveness.Checks

// Foretold enters that this supernode hears peer last at heard, and reports whether it
// holds peer by the attachment that peer counts as its i-th.
func (sn *Supernode) Foretold(peer ident.Handle, n *Node, i int, heard vtime.Time) bool {
	k, ok := sn.find(peer)
	if !ok || sn.held[k].token != n.at[i].token || sn.held[k].able != n.able() {
		return false
	}
	sn.held[k].heard = heard
	return true
}

// Unheard takes back what Foretold entered of the time after now: peer was heard at heard.
func (sn *Supernode) Unheard(peer ident.Handle, heard, now vtime.Time) {
	if k, ok := sn.find(peer); ok && sn.held[k].heard > now {
		sn.held[k].heard = heard
	}
}

// HeldAt returns the k-th node that is held, of Held.
func (sn *Supernode) HeldAt(k int) ident.Handle { return sn.held[k].peer }

// Storm returns the storm level that this supernode told last.
func (sn *Supernode) Storm() uint8 { return sn.cal.Level() }

// Leaving reports whether this supernode is about to step down.
func (sn *Supernode) Leaving() bool { return sn.leaveBy != vtime.Never }

// HasRecord reports whether all that a put of r from peer would do is to renew the record.
func (sn *Supernode) HasRecord(peer ident.Handle, r wire.Record, now vtime.Time) bool {
	if !sn.roster.Has(peer) {
		return false
	}
	held, ok := sn.store.Get(r.Name, now)
	return ok && held == directory.Record(r)
}

// Renew renews a record, as a put would.
func (sn *Supernode) Renew(r wire.Record, now vtime.Time) {
	sn.store.Put(directory.Record(r), nil, now)
}

// PutOff has a record that this supernode keeps alive put again by d later.
func (sn *Supernode) PutOff(r wire.Record, d vtime.Duration, now vtime.Time) {
	sn.fresh.PutOff(r.Name, d)
	if held, ok := sn.store.Get(r.Name, now); ok && held == directory.Record(r) { // it is a replica itself
		sn.Renew(r, now.Add(d))
	}
}

// Renewed ends a put of this supernode, as the ack would.
func (sn *Supernode) Renewed(id uint32, by ident.Handle) { sn.puts.Ack(id, by) }
