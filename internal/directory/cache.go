package directory

import "github.com/ada420b6/overlay/internal/ident"

// CacheZones is how many rankings a Cache remembers: 256 x 48 B = 12 kB. A supernode
// ranks about 13 zones itself and looks names up in a few hundred at a time.
const CacheZones = 256

// Cache remembers rankings, one per zone modulo CacheZones. It is kept true by the
// roster's news rather than thrown away with every version of it: with 25 000 members
// there are two news a second, and one of them touches a given zone once in 5 000.
//
// The caller reports every change of the roster: Joined, Left, and Reset when it can't
// say what changed. The zero value is empty and ready.
type Cache struct {
	epoch uint64
	lines [CacheZones]line
}

type line struct {
	ranking Ranking
	zone    ident.Zone
	valid   bool
}

// Rank returns the ranking of the zone, from memory when it is there. All calls between
// two Resets must have the same N and GroupCap; a new epoch empties the cache.
func (c *Cache) Rank(zone ident.Zone, v View) Ranking {
	if c.epoch != v.Epoch {
		c.Reset()
		c.epoch = v.Epoch
	}
	l := &c.lines[int(zone)%CacheZones]
	if !l.valid || l.zone != zone {
		*l = line{ranking: Rank(zone, v), zone: zone, valid: true}
	}
	return l.ranking
}

// Joined says that a member is alive that was not. Rankings it may enter are forgotten.
func (c *Cache) Joined(id ident.ID) {
	for i := range c.lines {
		l := &c.lines[i]
		if l.valid && l.ranking.Admits(Score(c.epoch, id, l.zone)) {
			l.valid = false
		}
	}
}

// Left says that a member is no longer alive. Rankings it was in are forgotten.
func (c *Cache) Left(h ident.Handle) {
	for i := range c.lines {
		if c.lines[i].ranking.Has(h) {
			c.lines[i].valid = false
		}
	}
}

// Reset forgets everything.
func (c *Cache) Reset() {
	for i := range c.lines {
		c.lines[i].valid = false
	}
}
