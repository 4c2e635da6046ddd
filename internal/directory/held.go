package directory

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
)

// The rhythm of refreshing (PROTOCOL.md section 7).
const (
	// refreshSpread is the part of the policy's interval by which a refresh is drawn to
	// either side, for each user and turn, so that a reboot's users drift apart.
	refreshSpread = 5

	// stormStretch multiplies the interval at storm level 2 and above. 2 x 1.2 intervals
	// are still less than a record's life of 3, so the stretch by itself loses no record.
	stormStretch = 2

	// lives is how many intervals a record is kept after it was last put, so that two
	// lost refreshes do no harm.
	lives = 3

	// UsersPerSecond bounds what Held hands out: 64 users x 5 puts x 300 B = 96 kB/s. It
	// covers 40 attaches in a burst and 5 000 users / 600 s = 9 refreshes, and puts 400
	// users again within 7 s after the roster has changed under all of them. A machine
	// that may hold more than 8 192 users gets 1/128 of them per second: 4.7 times what
	// their refreshes need.
	UsersPerSecond = 64
	usersShare     = 128

	// scanEvery and scanParts set how fast the users are looked through for due refreshes:
	// all within 64 s. For changed rankings, and what a replica did not take, it is
	// scanRows at least: 4 096 users within the same time, and 500 within 8 s.
	scanEvery = 2 * vtime.Second
	scanParts = 32
	scanRows  = 128

	// ranksPerScan bounds the rankings worked out in one step of the scan: 128 x 0.1 ms at
	// 25 000 members. All 65 536 zones of the largest machine take 17 min, still less than
	// a record lives by default.
	ranksPerScan = 128
)

// settle is how long a record that is new or changed waits for company: who has just
// attached attaches once more within a second or two, and both are one record.
const settle = vtime.Second

// MaxUsers bounds a Held whatever its owner asks for: a machine with a million sessions,
// 1 048 576 x 56 B = 59 MB.
const MaxUsers = 1 << 20

// Refresh is a record that is to be put now. The record itself belongs to the caller.
type Refresh struct {
	Name ident.NameID // of the user
	To   Ranking      // to whom: all replicas, or only those that are new among them
}

// Held is the users whose attachment this supernode holds and whose records it therefore
// keeps alive at the replicas of their zones. It remembers to whom each was put, so that
// a change of the roster costs one hash per zone and not a new ranking: a newcomer
// matters only to zones where it scores above the last of the set, a departure only to
// zones it was in.
type Held struct {
	users table[held]
	fresh []ident.NameID // users that are new or changed, oldest first
	head  int            // first of fresh that was not handed out
	since vtime.Time     // when the first of those came
	max   int
	scan  ident.NameID   // where the next look-through goes on
	tick  vtime.Time     // when it does
	quick int            // for how many users yet it goes on quickly
	haste vtime.Time     // until when it does in any case
	pace  vtime.Time     // moment up to which the pace has been spent
	every vtime.Duration // what one user costs of it

	refresh vtime.Duration // how long after one put the next is due
}

type held struct {
	due    vtime.Time
	to     Ranking
	fresh  bool // in Held.fresh
	ranked bool // to is the ranking by the present roster
}

// NewHeld returns an empty Held for at most bound users, 1 to MaxUsers, whose records are
// put again after refresh.
func NewHeld(bound int, refresh vtime.Duration) Held {
	invariant.Check(0 < bound && bound <= MaxUsers, "directory: users held out of range")
	invariant.Check(refresh > 0, "directory: records are refreshed without a pause")
	return Held{max: bound, refresh: refresh, every: vtime.Second / vtime.Duration(max(UsersPerSecond, bound/usersShare))}
}

// Len returns how many users are held.
func (h *Held) Len() int { return h.users.n }

// Add takes a user in, or marks one that is in as changed: its record has a new sequence
// number and is put to all replicas, within settle. It reports false when there is no room,
// which the caller's bound on attachments should have prevented.
func (h *Held) Add(name ident.NameID, now vtime.Time) bool {
	u := h.users.get(name)
	if u == nil {
		if h.users.n >= h.max {
			return false
		}
		h.users.insert(name, held{fresh: true})
	} else {
		if u.fresh {
			return true
		}
		u.fresh = true
	}
	if h.head == len(h.fresh) {
		h.since = now
	}
	h.enqueue(name)
	return true
}

// Settle takes a user in whose record its replicas have, and who is put again at due.
func (h *Held) Settle(name ident.NameID, to Ranking, due vtime.Time) {
	if h.users.n < h.max && h.users.get(name) == nil {
		h.users.insert(name, held{due: due, to: to, ranked: true})
	}
}

// PutOff puts a user's next refresh off by d.
func (h *Held) PutOff(name ident.NameID, d vtime.Duration) {
	if u := h.users.get(name); u != nil && !u.fresh {
		u.due = u.due.Add(d)
	}
}

// Remove lets a user go; its record expires at the replicas by itself.
func (h *Held) Remove(name ident.NameID) { h.users.delete(name) }

// Joined says that a member is alive that was not. Users of zones it may hold are put to
// it within the next look-through.
func (h *Held) Joined(id ident.ID, epoch uint64) {
	zone, score, known := ident.Zone(0), uint64(0), false
	h.users.walk(0, h.users.n, func(name ident.NameID, u *held) step {
		if !known || name.Zone() != zone {
			zone, known = name.Zone(), true
			score = Score(epoch, id, zone)
		}
		if u.ranked && u.to.Admits(score) {
			u.ranked, h.quick = false, h.users.n
		}
		return keepRow
	})
}

// Left says that a member is no longer alive.
func (h *Held) Left(peer ident.Handle) {
	h.users.walk(0, h.users.n, func(_ ident.NameID, u *held) step {
		if u.to.Has(peer) {
			u.ranked, h.quick = false, h.users.n
		}
		return keepRow
	})
}

// Reset says that any ranking may have changed: a new epoch, or a roster taken over as a
// whole.
func (h *Held) Reset() {
	h.quick = h.users.n
	h.users.walk(0, h.users.n, func(_ ident.NameID, u *held) step {
		u.ranked = false
		return keepRow
	})
}

// Missed says that a replica did not take a user's record: it is put again soon, since
// by then a dead replica is buried, and one that did not know this supernode does.
func (h *Held) Missed(name ident.NameID, now vtime.Time, r *seed.Rand) {
	if u := h.users.get(name); u != nil {
		u.due = vtime.Earlier(u.due, now.Add(missedAgain/2+vtime.Duration(r.Between(0, int64(missedAgain)))))
		h.haste = vtime.Later(h.haste, now.Add(2*missedAgain))
	}
}

// missedAgain is when, on average, a record is put again that a replica did not take:
// after three tries in 3.5 s, and before the 22 s in which a dead one is buried at the
// latest are over twice.
const missedAgain = 15 * vtime.Second

// Due appends what is to be put now, within the pace of UsersPerSecond: first users that
// are new or changed, then those whose replicas changed or whose refresh is due. storm
// is this supernode's storm level; r draws the next refresh.
func (h *Held) Due(dst []Refresh, now vtime.Time, v View, storm uint8, r *seed.Rand) []Refresh {
	for now >= h.since.Add(settle) && h.head < len(h.fresh) && h.mayPut(now) {
		name := h.fresh[h.head]
		h.head++
		if u := h.users.get(name); u != nil && u.fresh {
			u.fresh = false
			if !u.ranked {
				u.to, u.ranked = Rank(name.Zone(), v), true
			}
			u.due = h.refreshAt(now, storm, r)
			dst = append(dst, Refresh{Name: name, To: u.to})
			h.spend(now)
		}
	}
	h.compact()
	if now < h.tick {
		return dst
	}
	h.tick = now.Add(scanEvery)
	return h.lookThrough(dst, now, v, storm, r)
}

// lookThrough is one step of the scan: users whose refresh is due are put to all their
// replicas, users whose ranking changed to the new ones among them.
func (h *Held) lookThrough(dst []Refresh, now vtime.Time, v View, storm uint8, r *seed.Rand) []Refresh {
	var last Ranking
	zone, ranks := ident.Zone(0), 0
	budget := (h.users.n + scanParts - 1) / scanParts
	if h.quick > 0 || now < h.haste {
		budget = max(budget, scanRows)
	}
	h.scan = h.users.walk(h.scan, budget, func(name ident.NameID, u *held) step {
		h.quick--
		if u.fresh || u.ranked && now < u.due {
			return keepRow
		}
		if !h.mayPut(now) {
			h.quick = h.users.n
			return stopWalk
		}
		old := u.to
		if !u.ranked {
			// Users of one zone lie side by side and share a ranking.
			if ranks == 0 || zone != name.Zone() {
				if ranks == ranksPerScan {
					h.quick = h.users.n
					return stopWalk
				}
				last, zone, ranks = Rank(name.Zone(), v), name.Zone(), ranks+1
			}
			u.to, u.ranked = last, true
		}
		to := u.to
		if now < u.due {
			to = newcomers(&u.to, &old)
		} else {
			u.due = h.refreshAt(now, storm, r)
		}
		if to.n > 0 {
			dst = append(dst, Refresh{Name: name, To: to})
			h.spend(now)
		}
		return keepRow
	})
	h.quick = max(h.quick, 0)
	return dst
}

// Next returns when Due has something to do: within scanEvery while there are users.
func (h *Held) Next() vtime.Time {
	if h.head < len(h.fresh) {
		return vtime.Earlier(h.tick, vtime.Later(h.since.Add(settle), h.pace.Add(h.every-scanEvery)))
	}
	if h.users.n == 0 {
		return vtime.Never
	}
	return h.tick
}

// mayPut says whether the pace allows one more; what one look-through may find comes at once.
func (h *Held) mayPut(now vtime.Time) bool { return h.pace.Add(h.every) <= now.Add(scanEvery) }

// spend books one.
func (h *Held) spend(now vtime.Time) { h.pace = vtime.Later(h.pace, now).Add(h.every) }

func (h *Held) enqueue(name ident.NameID) {
	h.fresh = append(h.fresh, name)
	// A user that comes and goes leaves its old entry behind; beyond two per user held
	// they are cleared out, so the list is bounded as the users are.
	if len(h.fresh)-h.head > 2*h.max {
		h.dedupe()
	}
}

// dedupe drops entries whose user is gone or that were overtaken by an earlier entry.
func (h *Held) dedupe() {
	kept := h.fresh[:0]
	for _, name := range h.fresh[h.head:] {
		if u := h.users.get(name); u != nil && u.fresh {
			u.fresh = false
			kept = append(kept, name)
		}
	}
	for _, name := range kept {
		h.users.get(name).fresh = true
	}
	h.fresh, h.head = kept, 0
}

// compact gives back the part of fresh that was handed out.
func (h *Held) compact() {
	if h.head == len(h.fresh) || h.head > len(h.fresh)/2 {
		n := copy(h.fresh, h.fresh[h.head:])
		h.fresh, h.head = h.fresh[:n], 0
	}
}

// newcomers returns the members of now that were not in old: the only ones that lack the
// record after a change of the roster.
func newcomers(now, old *Ranking) Ranking {
	var to Ranking
	for _, p := range now.All() {
		if !old.Has(p) {
			to.list[to.n] = p
			to.n++
		}
	}
	return to
}

func (h *Held) refreshAt(now vtime.Time, storm uint8, r *seed.Rand) vtime.Time {
	spread := h.refresh / refreshSpread
	wait := vtime.Duration(r.Between(int64(h.refresh-spread), int64(h.refresh+spread)))
	if storm >= 2 {
		wait *= stormStretch
	}
	return now.Add(wait)
}
