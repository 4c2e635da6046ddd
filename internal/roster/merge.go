package roster

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
	"github.com/ada420b6/overlay/internal/vtime"
)

// Outcome is what a piece of news has done.
type Outcome struct {
	Changed bool // something is believed that was not: the roster is worth saving
	Gained  bool // the member became usable
	Lost    bool // the member is no longer usable
	// Confirmed: one more independent accuser has shortened a suspicion.
	Confirmed bool
	// Refute: the news said that this node is not alive. Its incarnation is a later
	// one now (Inc), and already queued as news: sign a record with it.
	Refute bool
	// Want: a claim about an incarnation that is not held. Ask for the signed record.
	Want bool
	// Behind: a record of a member whose tombstone here overrules it. Whoever sent it
	// still uses the member: send it a notice of what Lookup says.
	Behind bool
	// Refused: bad input, or no room. Count it.
	Refused bool
	// Forgotten is the oldest tombstone if it had to make room, else None.
	Forgotten ident.Handle
}

// Merge takes in what is certain: a member's own word (Alive in a signed record, Left in a
// goodbye from itself) or this node's own conclusion, such as a suspicion raised by its
// prober (Accuser is self then).
// Equal sets of news merged in any order, any number of times, give equal beliefs; only a
// maximum that is reached (Refused) breaks that, until anti-entropy repairs it. What has
// changed is queued as news.
func (r *Roster) Merge(m Member, now vtime.Time) Outcome { return r.merge(m, now, true) }

// Load is Merge for what others know already: the roster from disk, a fresh member's
// first pull. Nothing of it is queued as news.
func (r *Roster) Load(m Member, now vtime.Time) Outcome { return r.merge(m, now, false) }

// Claim takes in another supernode's unsigned word about m.Peer. It can raise or confirm
// a suspicion of the very incarnation that is held, and no more; see the package comment.
// "Alive" serves to find out whether the claimant has a newer record.
func (r *Roster) Claim(m Member, now vtime.Time) Outcome {
	i := r.table.findPeer(m.Peer)
	switch {
	case m.State > Left || m.Inc > MaxInc:
		return Outcome{Refused: true}
	case i < 0:
		return Outcome{Want: m.State.Usable()} // what is unknown need not be buried
	case r.table.rows[i].id() != m.ID:
		return Outcome{Refused: true}
	case m.Inc > r.table.rows[i].inc:
		return Outcome{Want: true}
	case m.Inc < r.table.rows[i].inc || m.State == Alive:
		return Outcome{}
	}
	m.State = Suspect
	return r.merge(m, now, true)
}

// Announce says that this node's own record has changed: it queues a later incarnation
// of self as news and returns it.
func (r *Roster) Announce(now vtime.Time) uint32 {
	i := r.selfRow()
	w := &r.table.rows[i]
	invariant.Check(w.state() == Alive, "roster: a node that has left announces itself")
	if w.inc < MaxInc {
		r.set(i, Member{Peer: r.self, Inc: w.inc + 1}, now)
	}
	r.news.push(item{peer: r.self, inc: r.Inc(), state: Alive})
	return r.Inc()
}

// Leave marks self as Left and queues that as news, next to the goodbyes that the core sends.
// Accusations are not refuted any more.
func (r *Roster) Leave(now vtime.Time) {
	r.set(r.selfRow(), Member{Peer: r.self, Inc: r.Inc(), State: Left}, now)
	r.news.push(item{peer: r.self, inc: r.Inc(), state: Left})
}

func (r *Roster) merge(m Member, now vtime.Time, spread bool) Outcome {
	invariant.Check(m.Peer != ident.None && !m.Peer.Transient(), "roster: a member needs a lasting handle")
	i := r.table.findPeer(m.Peer)
	switch {
	case m.State > Left || m.Inc > MaxInc:
		return Outcome{Refused: true}
	case i >= 0 && r.table.rows[i].id() != m.ID:
		return Outcome{Refused: true} // two keys, one handle
	case i < 0 && r.table.findID(m.ID) >= 0:
		return Outcome{Refused: true} // two keys whose hashes collide
	case m.Peer == r.self:
		return r.aboutSelf(i, m, now)
	}
	var out Outcome
	if i < 0 {
		if _, out = r.admit(m, now); out.Refused {
			return out
		}
	} else {
		out = r.join(i, m, now)
	}
	if spread && (out.Changed || out.Confirmed) {
		r.news.push(item{peer: m.Peer, inc: m.Inc, state: m.State, accuser: m.Accuser})
	}
	return out
}

// aboutSelf answers whatever contradicts that this node is alive. News of a later
// incarnation are a former life's whose number was lost: it is outbid.
func (r *Roster) aboutSelf(i int, m Member, now vtime.Time) Outcome {
	w := &r.table.rows[i]
	if w.state() == Left || m.Inc < w.inc || m.Inc == w.inc && m.State == Alive {
		return Outcome{}
	}
	if m.Inc == MaxInc {
		return Outcome{Refused: true}
	}
	// Each refutation is a signature here and three verifications at every member: who
	// only wants to make work gets one of them in so long. A suspect has longer.
	if r.refuted != 0 && now.Sub(r.refuted) < r.params.SuspicionMin/4 {
		return Outcome{}
	}
	r.refuted = now
	r.set(i, Member{Peer: r.self, Inc: m.Inc + 1}, now)
	r.news.push(item{peer: r.self, inc: r.Inc(), state: Alive})
	return Outcome{Changed: true, Refute: true}
}

// admit enters a member that is not known yet and returns its row.
func (r *Roster) admit(m Member, now vtime.Time) (int, Outcome) {
	out := Outcome{Changed: true, Gained: m.State.Usable()}
	if m.State.Usable() && r.Usable() >= MaxMembers || m.State == Suspect && len(r.table.suspects) >= MaxSuspects {
		return -1, Outcome{Refused: true}
	}
	w := row{idHigh: uint32(m.ID >> 32), idLow: uint32(m.ID), peer: m.Peer, inc: m.Inc, note: makeNote(m.State, second(now))}
	if m.State == Suspect {
		w.note = makeNote(Alive, 0) // until its suspicion stands in the heap
	}
	if !m.State.Usable() {
		out.Forgotten = r.makeRoom()
	}
	i := r.table.insert(w)
	if m.State == Suspect {
		r.table.suspect(i, r.newSuspicion(m.Accuser, now))
	}
	if out.Gained {
		r.toggle(i)
		r.version++
	}
	r.armSweep(m.State, now)
	return i, out
}

// join is rule R11 for one member: the later incarnation, else the later state.
func (r *Roster) join(i int, m Member, now vtime.Time) Outcome {
	w := &r.table.rows[i]
	old := w.state()
	if m.Inc < w.inc || m.Inc == w.inc && m.State < old {
		return Outcome{Behind: m.State == Alive && !old.Usable()}
	}
	if m.Inc == w.inc && m.State == old {
		return Outcome{Confirmed: old == Suspect && r.confirm(i, m.Accuser)}
	}
	if m.State == Suspect && old != Suspect && len(r.table.suspects) >= MaxSuspects ||
		m.State.Usable() && !old.Usable() && r.Usable() >= MaxMembers {
		return Outcome{Refused: true}
	}
	out := Outcome{Changed: true, Gained: m.State.Usable() && !old.Usable(), Lost: old.Usable() && !m.State.Usable()}
	if out.Lost {
		if out.Forgotten = r.makeRoom(); out.Forgotten != ident.None {
			i = r.table.findPeer(m.Peer) // rows have moved
		}
	}
	r.set(i, m, now)
	return out
}

// set gives row i the incarnation and the state of m, and returns where the row is now.
func (r *Roster) set(i int, m Member, now vtime.Time) int {
	t := &r.table
	old := t.rows[i].state()
	if old.Usable() {
		r.toggle(i)
	}
	if old == Suspect {
		t.acquit(i)
		t.rows[i].note = makeNote(Alive, 0)
	}
	i = t.move(i, old.class(), m.State.class())
	t.rows[i].inc = m.Inc
	if m.State == Suspect {
		t.suspect(i, r.newSuspicion(m.Accuser, now))
	} else {
		t.rows[i].note = makeNote(m.State, second(now))
	}
	if m.State.Usable() {
		r.toggle(i)
	}
	if old.Usable() != m.State.Usable() {
		r.version++
	}
	r.armSweep(m.State, now)
	return i
}
