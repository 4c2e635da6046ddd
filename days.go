package overlay

import (
	"fmt"
	"time"

	"github.com/ada420b6/overlay/internal/sim"
	"github.com/ada420b6/overlay/internal/vtime"
)

// The hours of the day, and patches that come by the hour or ring by ring.

// Zone is a time zone of a Simulation.
type Zone struct {
	UTC   time.Duration // how far its clocks are ahead of UTC, -12 h to 14 h
	Share float64       // how many machines are in it, to the sum of all zones' shares
}

// WithZones says which time zones the machines of a Simulation are in, which is drawn for
// each, and what time of day it is in UTC when the simulation begins, 0 to 24 h. By default it
// is midnight, and 30 % of the machines are in the Americas (UTC-5), 40 % in Europe
// (UTC+1), 30 % in the East of Asia (UTC+8), which is an assumption and not measured.
func WithZones(begin time.Duration, zones ...Zone) Option {
	return simulationOption("WithZones", func(c *simulationConfig) error {
		if begin < 0 || begin >= 24*time.Hour {
			return fmt.Errorf("WithZones: it begins at %v, 0 to 24 h is possible", begin)
		}
		var list []sim.Zone
		total := 0.0
		for _, z := range zones {
			if z.UTC < -12*time.Hour || z.UTC > 14*time.Hour {
				return fmt.Errorf("WithZones: %v ahead of UTC, -12 h to 14 h is possible", z.UTC)
			}
			if !(z.Share >= 0 && z.Share <= 1e9) {
				return fmt.Errorf("WithZones: a share of %v, 0 to 1e9 is possible", z.Share)
			}
			list = append(list, sim.Zone{Offset: vtime.Duration(z.UTC), Share: z.Share})
			total += z.Share
		}
		if len(list) == 0 {
			list = sim.DefaultZones()
		} else if total == 0 {
			return fmt.Errorf("WithZones: no machine is in any of the %d zones", len(list))
		}
		c.begin, c.zones = vtime.Duration(begin), list
		return nil
	})
}

// days puts what concerns the time of day into a simulation that is made.
func (s *Simulation) days() error {
	if c := &s.config.simulation; c.zones != nil {
		if err := s.sim.SetZones(c.begin, c.zones...); err != nil {
			return err
		}
	}
	return s.turns()
}

// turns lets users come and go as Daily wants, if it does.
func (s *Simulation) turns() error {
	if s.daily == nil {
		return nil
	}
	return s.sim.Daily(s.daily[0], s.daily[1])
}

// Daily lets users come and go by the time of day: in each time zone the share of the
// machines that is on is least at 4 in the night and most at 4 in the afternoon, and
// follows a cosine in between. See WithZones for where they are and what time it is. The
// same machines are on from day to day, each up to half an hour sooner or later; users
// switch them off with a goodbye.
//
// Before the first Run it says who is started, and the day begins with the first Run
// after WarmUp, as a trace does. Later, who is not to be on goes, and who is comes, within
// 10 min. Somebody always is about to come: let time pass with Run, since WarmUp and
// RunUntilAttached would wait for everybody. It means nothing together with Online or
// WithAvailability, whose machines come and go by something else. A wrong argument is the
// error of the next Run.
func (s *Simulation) Daily(least, most float64) {
	switch {
	case !(0 <= least && least <= most && most <= 1):
		_ = s.fail(fmt.Errorf("overlay: Daily: %v to %v of the machines, shares of 0 to 1 in this order are possible", least, most))
	case s.config.simulation.availability != nil:
		_ = s.fail(fmt.Errorf("overlay: Daily: WithAvailability says already who is there"))
	case s.online != 1:
		_ = s.fail(fmt.Errorf("overlay: Daily: Online says already who is there"))
	case s.err != nil:
	default:
		s.daily, s.playing = &[2]float64{least, most}, false
		if s.sim != nil {
			_ = s.turns() // what it could refuse is checked above
		}
	}
}

// RebootByZone is Reboot with the sun: in each time zone a random share of its machines
// reboots when it is local o'clock there for the next time, 0 to 24 h, each at a random
// moment within the time over. 3 h is when machines that nobody uses are patched; the wave
// is around the world within a day. Those that are off then are left out. See WithZones.
func (s *Simulation) RebootByZone(fraction float64, local, over, down time.Duration) {
	s.times("RebootByZone", over, down)
	if local < 0 || local >= 24*time.Hour {
		_ = s.fail(fmt.Errorf("overlay: RebootByZone: at %v, 0 to 24 h is possible", local))
	}
	if s.share("RebootByZone", fraction) {
		s.sim.RebootZones(fraction, vtime.Duration(local), vtime.Duration(over), vtime.Duration(down))
	}
}

// RebootRing is Reboot for a ring of a patch: a share of all machines, drawn from those that
// no ring has taken yet, and all that are left when there are not so many. A patch that
// is rolled out with care has rings of 1 %, 10 %, 30 % and the rest, and whoever watches it
// stops between two when what he sees is bad:
//
//	for _, ring := range []float64{0.01, 0.1, 0.3, 1} {
//		s.RebootRing(ring, 5*time.Minute, 2*time.Minute)
//		if err := s.Run(time.Hour); err != nil || s.Census().MinAttached < 0.99 {
//			break
//		}
//	}
//
// Machines that are off are taken too, and are patched without a reboot. It returns how
// many were taken; when all have been, the next ring is the first of another patch.
func (s *Simulation) RebootRing(fraction float64, over, down time.Duration) int {
	s.times("RebootRing", over, down)
	if !s.share("RebootRing", fraction) {
		return 0
	}
	return s.sim.RebootRing(fraction, vtime.Duration(over), vtime.Duration(down))
}
