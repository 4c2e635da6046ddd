package roster

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

// sweepPause keeps thousands of tombstones that end one after the other from costing a
// look through all of them each.
const sweepPause = 1 * vtime.Minute

// Expired is what time has done to one member.
type Expired struct {
	Peer ident.Handle
	// Forgotten: its tombstone is gone, nothing here refers to the handle any more. If
	// not, it was suspected, has not refuted, and is believed dead from now on.
	Forgotten bool
}

// NextDeadline returns when Expire has something to do, or Never.
func (r *Roster) NextDeadline() vtime.Time {
	if len(r.table.suspects) == 0 {
		return r.sweep
	}
	return vtime.Earlier(r.table.suspects[0].deadline, r.sweep)
}

// Expire buries the suspects whose time is up and forgets tombstones that are too old.
// It appends what it has done to dst, within dst's capacity (at least 2 free): what does
// not fit stays due, and NextDeadline says so.
//
// A death found here is not news to send on: everybody who heard of the suspicion comes
// to the same conclusion, and anti-entropy finds whoever did not.
func (r *Roster) Expire(now vtime.Time, dst []Expired) []Expired {
	t := &r.table
	for len(t.suspects) > 0 && t.suspects[0].deadline <= now && cap(dst)-len(dst) >= 2 {
		h := t.rows[t.suspects[0].row].peer
		if old := r.makeRoom(); old != ident.None {
			dst = append(dst, Expired{Peer: old, Forgotten: true})
		}
		i := int(t.suspects[0].row)
		r.set(i, Member{Inc: t.rows[i].inc, State: Dead}, now)
		dst = append(dst, Expired{Peer: h})
	}
	if r.sweep <= now {
		dst = r.sweepTombstones(now, dst)
	}
	return dst
}

// sweepTombstones forgets what is too old and arms itself for the oldest that remains. It
// goes backwards, since removing a row moves only rows behind it.
func (r *Roster) sweepTombstones(now vtime.Time, dst []Expired) []Expired {
	t := &r.table
	oldest := vtime.Never
	for i := len(t.rows) - 1; i >= r.Usable(); i-- {
		w := &t.rows[i]
		if w.peer == r.self {
			continue // it has left, and still must know its own incarnation
		}
		end := (vtime.Time(w.value()) * vtime.Time(vtime.Second)).Add(r.params.Tombstone)
		if end > now {
			oldest = vtime.Earlier(oldest, end)
			continue
		}
		if len(dst) == cap(dst) {
			r.sweep = now
			return dst
		}
		dst = append(dst, Expired{Peer: w.peer, Forgotten: true})
		t.remove(i)
	}
	r.sweep = vtime.Never
	if oldest != vtime.Never {
		r.sweep = vtime.Later(oldest, now.Add(sweepPause))
	}
	return dst
}

// armSweep sees to it that a new tombstone is looked at when it is old enough.
func (r *Roster) armSweep(s State, now vtime.Time) {
	if !s.Usable() {
		r.sweep = vtime.Earlier(r.sweep, now.Add(r.params.Tombstone))
	}
}

// makeRoom drops the oldest tombstone when there are MaxTombstones, and returns whose it
// was. It looks through all of them, 65 536 x 1 ns, and only in a tier 2.6 times beyond
// the target does it come to that.
func (r *Roster) makeRoom() ident.Handle {
	t := &r.table
	if len(t.rows)-r.Usable() < MaxTombstones {
		return ident.None
	}
	oldest := -1
	for i := r.Usable(); i < len(t.rows); i++ {
		if t.rows[i].peer != r.self && (oldest < 0 || t.rows[i].value() < t.rows[oldest].value()) {
			oldest = i
		}
	}
	h := t.rows[oldest].peer
	t.remove(oldest)
	return h
}

// newSuspicion is what a suspect accused by one (or by nobody known) starts with.
func (r *Roster) newSuspicion(accuser ident.Handle, now vtime.Time) suspicion {
	s := suspicion{start: now, deadline: now.Add(r.params.patience(0))}
	s.accuse(accuser)
	return s
}

// confirm adds an accuser to the suspicion of row i, and reports whether it counted: then
// its word is worth spreading, too.
func (r *Roster) confirm(i int, by ident.Handle) bool {
	k := int(r.table.rows[i].value())
	s := &r.table.suspects[k]
	if !s.accuse(by) {
		return false
	}
	s.deadline = s.start.Add(r.params.patience(s.confirmations()))
	r.table.rise(k)
	return true
}
