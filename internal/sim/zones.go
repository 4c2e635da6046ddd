package sim

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/ada420b6/overlay/internal/vtime"
)

// Zone is a time zone, and how much of the network is in it.
type Zone struct {
	Offset vtime.Duration // of its clocks to UTC, -12 h to 14 h
	Share  float64        // of the nodes, to the sum of all zones' shares
}

// DefaultZones are three: the Americas, Europe with Africa, and the East of Asia.
func DefaultZones() []Zone {
	return []Zone{{-5 * vtime.Hour, 0.3}, {1 * vtime.Hour, 0.4}, {8 * vtime.Hour, 0.3}}
}

// zones is where nodes are, and what their clocks say.
type zones struct {
	list  []Zone
	total float64
	start vtime.Duration // time of day in UTC at time 0
}

const (
	labelZone  uint64 = 0x7a6f6e
	labelHabit uint64 = 0x686162
	labelHour  uint64 = 0x686f75
)

// SetZones says which time zones there are and what time of day it is in UTC at time 0. In
// which zone a node is, is drawn. The error is an ErrConfig.
func (s *Sim) SetZones(start vtime.Duration, list ...Zone) error {
	z := zones{list: slices.Clone(list), start: start}
	if start < 0 || start >= vtime.Day {
		return fmt.Errorf("%w: a simulation begins at 0 to 24 h", ErrConfig)
	}
	for _, zone := range list {
		if zone.Offset < -12*vtime.Hour || zone.Offset > 14*vtime.Hour || !(zone.Share >= 0 && zone.Share <= 1e9) {
			return fmt.Errorf("%w: a zone of offset %v h and share %v, -12 to 14 h and 0 to 1e9 are allowed", ErrConfig, zone.Offset.Seconds()/3600, zone.Share)
		}
		z.total += zone.Share
	}
	if z.total <= 0 {
		return fmt.Errorf("%w: no zone has a share of the nodes", ErrConfig)
	}
	s.zones = z
	return nil
}

// zone is the number of the time zone that node i is in.
func (s *Sim) zone(i uint32) int {
	at := s.share(i, labelZone) * s.zones.total
	for k := range s.zones.list {
		if at -= s.zones.list[k].Share; at < 0 {
			return k
		}
	}
	return len(s.zones.list) - 1
}

// until is how long it takes at time now until it is hour o'clock in a zone, 0 to 24 h.
func (z *zones) until(zone int, now vtime.Time, hour vtime.Duration) vtime.Duration {
	local := (now.Sub(0) + z.start + z.list[zone].Offset) % vtime.Day
	return (hour - local + 2*vtime.Day) % vtime.Day
}

// RebootZones is RebootShare with the sun: in each time zone, when it is hour o'clock there
// for the next time, share of its nodes reboots, each at a moment drawn from over. Those
// that are off then are left out.
func (s *Sim) RebootZones(share float64, hour, over, down vtime.Duration) {
	in := make([][]uint32, len(s.zones.list))
	for i := range uint32(s.added) {
		k := s.zone(i)
		in[k] = append(in[k], i)
	}
	for k, hosts := range in {
		from := s.now.Add(s.zones.until(k, s.now, hour))
		for i := range s.some(hosts, part(share, len(hosts))) {
			s.queue.push(event{at: from.Add(s.within(over)), host: i, kind: eventCrash, ref: s.awayFor(down)})
		}
	}
}

// RebootRing is RebootShare for a ring of a patch: share of all nodes, and all that are left
// when there are not so many, of those that no ring has taken yet. When all have been
// taken a new patch begins. Those that are off are taken too, and are patched without a
// reboot. It returns how many were taken.
func (s *Sim) RebootRing(share float64, over, down vtime.Duration) int {
	left := make([]uint32, 0, s.added)
	for i := range uint32(s.added) {
		if int(i) >= len(s.patched) || !s.patched[i] {
			left = append(left, i)
		}
	}
	if len(left) == 0 && s.added > 0 {
		clear(s.patched)
		return s.RebootRing(share, over, down)
	}
	for len(s.patched) < s.added {
		s.patched = append(s.patched, false)
	}
	n := min(part(share, s.added), len(left))
	for i := range s.some(left, n) {
		s.patched[i] = true
		e := event{at: s.now.Add(s.within(over)), host: i, kind: eventCrash, ref: s.awayFor(down)}
		if over == 0 {
			s.handle(&e)
		} else {
			s.queue.push(e)
		}
	}
	return n
}

// day is when users are there by the time of day: in each zone the share of the nodes that
// is on is least at night and most half a day later, and follows a cosine in between. Each
// node has a habit, drawn once: the lower, the longer its user's day, so that a share of
// least is always on, and who has been on for long is likely to stay, as in real networks.
// When a user comes and goes differs from day to day by up to half an hour.
type day struct{ least, most float64 }

const (
	busyHour = 16 * vtime.Hour // local time
	whim     = 30 * vtime.Minute
	forever  = vtime.Duration(math.MaxInt64)
)

// ErrDay is the error of Daily when a trace says already who is there.
var ErrDay = errors.New("overlay/sim: an availability trace says who is there")

// Daily lets users come and go by the time of day from Play on: of each zone's nodes the
// share least is on at 4 in the night, and most at 4 in the afternoon. Before the first
// start it says who is started.
func (s *Sim) Daily(least, most float64) error {
	switch {
	case s.replay != nil && s.replay.trace != nil:
		return ErrDay
	case !(0 <= least && least <= most && most <= 1):
		return fmt.Errorf("%w: a day with %v to %v of the nodes, 0 to 1 in this order are allowed", ErrConfig, least, most)
	}
	s.replay = &replay{day: &day{least, most}, began: vtime.Never}
	return nil
}

// next is node i's session that is under way at the time t of the simulation or comes next,
// nil for never.
func (d *day) next(s *Sim, i uint32, t vtime.Duration) *session {
	habit := s.share(i, labelHabit)
	switch {
	case habit < d.least:
		return &session{0, forever}
	case habit >= d.most:
		return nil
	}
	// The share is above habit for half of this before and after the busiest hour.
	half := vtime.Duration((0.5 - math.Acos(1-2*(habit-d.least)/(d.most-d.least))/(2*math.Pi)) * float64(vtime.Day))
	most := min(whim, (vtime.Day-2*half)/4, half/2) // sessions do not meet
	z := &s.zones
	noon := busyHour - z.start - z.list[s.zone(i)].Offset
	for k := (t-noon)/vtime.Day - 2; ; k++ { // two days before: division rounds to zero, half is up to a half
		middle := noon + k*vtime.Day
		up := middle - half + d.whim(s, i, 2*k, most)
		down := middle + half + d.whim(s, i, 2*k+1, most)
		if up < down && down > t {
			return &session{up, down}
		}
	}
}

// whim is by how much a user comes or goes at another moment than on the day before: U(-1, 1)
// times most.
func (d *day) whim(s *Sim, i uint32, which, most vtime.Duration) vtime.Duration {
	u := float64(mix(s.book.hash(handle(i), labelHour)^uint64(which))>>11) / (1 << 53)
	return vtime.Duration((2*u - 1) * float64(most))
}
