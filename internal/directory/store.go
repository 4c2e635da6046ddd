package directory

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
	"github.com/ada420b6/overlay/internal/vtime"
)

// MaxRecords is the default bound of a Store. In calm a supernode holds 10 million users
// x 5 replicas / 25 000 = 2 000 records; with 99 % of the supernodes gone the 250 left
// hold 200 000 each. 262 144 x 56 B = 15 MB.
const MaxRecords = 1 << 18

// evictScan is how many rows a Put into a full Store looks at for one to give up.
const evictScan = 256

// Record says where a name can be reached. Who checked its signature is not this
// package's business: only verified records get here.
type Record struct {
	Name  ident.NameID    // never 0: a node without a name has no record
	Owner ident.Handle    // whose name it is
	Seq   uint64          // a later one replaces an earlier one
	At    [2]ident.Handle // the supernodes it is attached to, ident.None where there is none
}

// PutResult is what became of a record.
type PutResult uint8

// The results.
const (
	PutStored    PutResult = iota // new, or later than what was there
	PutRefreshed                  // the same was there: it lives on
	PutStale                      // a later one was there, and stays (R8)
	PutFull                       // no room
)

// Store is the records that this supernode holds for the zones it ranks for, and for
// those that others believe it does.
type Store struct {
	rows    table[stored]
	max     int
	life    vtime.Duration
	sweepAt ident.NameID // where the next Sweep goes on
	evictAt ident.NameID // where the next search for a row to give up goes on
}

type stored struct {
	seq     uint64
	expires vtime.Time
	owner   ident.Handle
	at      [2]ident.Handle
}

// NewStore returns an empty store for at most max records, which whoever puts them puts
// again after refresh. A max of 0 stands for MaxRecords.
func NewStore(max int, refresh vtime.Duration) Store {
	if max == 0 {
		max = MaxRecords
	}
	invariant.Check(max > 0 && refresh > 0, "directory: store without room or life")
	return Store{max: max, life: lives * refresh}
}

// Len returns how many records are held, expired ones that no Sweep has met included.
func (s *Store) Len() int { return s.rows.n }

// Put stores a record, or renews the life of the same one. A record older than the one
// held is refused. mine says whether this supernode ranks for a name's zone by its own
// roster: when the store is full, what is not mine is refused first and given up first. It
// is asked then only, since the answer is a ranking of the whole roster.
func (s *Store) Put(r Record, mine func(ident.NameID) bool, now vtime.Time) PutResult {
	invariant.Check(r.Name != 0, "directory: record without a name")
	row := s.rows.get(r.Name)
	if row == nil {
		if s.rows.n >= s.max && !(mine(r.Name) && s.evict(mine, now)) {
			return PutFull
		}
		s.rows.insert(r.Name, stored{seq: r.Seq, expires: now.Add(s.life), owner: r.Owner, at: r.At})
		return PutStored
	}
	if r.Seq < row.seq {
		return PutStale
	}
	result := PutRefreshed
	if r.Seq > row.seq {
		row.seq, row.owner, row.at = r.Seq, r.Owner, r.At
		result = PutStored
	}
	row.expires = now.Add(s.life)
	return result
}

// Get returns the record of a name unless it has expired.
func (s *Store) Get(name ident.NameID, now vtime.Time) (Record, bool) {
	row := s.rows.get(name)
	if row == nil || row.expires <= now {
		return Record{}, false
	}
	return Record{Name: name, Owner: row.owner, Seq: row.seq, At: row.at}, true
}

// Sweep looks at up to budget records, goes on next time where it ended, and removes the
// expired ones. It returns how many. A store of n records is clean after n/budget calls;
// since Get does not return expired ones, being late costs only memory.
func (s *Store) Sweep(now vtime.Time, budget int) int {
	before := s.rows.n
	s.sweepAt = s.rows.walk(s.sweepAt, budget, func(_ ident.NameID, row *stored) step {
		if row.expires > now {
			return keepRow
		}
		return cutRow
	})
	return before - s.rows.n
}

// evict gives up one record that has expired or is not mine, if it meets one within
// evictScan rows.
func (s *Store) evict(mine func(ident.NameID) bool, now vtime.Time) bool {
	found := false
	s.evictAt = s.rows.walk(s.evictAt, evictScan, func(name ident.NameID, row *stored) step {
		if found {
			return stopWalk
		}
		if row.expires > now && mine(name) {
			return keepRow
		}
		found = true
		return cutRow
	})
	return found
}
