package slots

import "github.com/ada420b6/overlay/internal/vtime"

// stormAt is the backlog from which each storm level holds, in units of the policy's
// StormFrom. With 5 s: at 5 s people begin to notice, at 20 s everything but attaching is
// put off, and at 50 s the horizon is about to be full.
var stormAt = [4]vtime.Duration{0, 1, 4, 10}

// storm is the storm level with its hysteresis: it rises at once, and falls one level at
// a time after the backlog has been below half of the level's own threshold for the
// policy's StormFrom: work that was put off comes back, and must not raise the next storm.
type storm struct {
	level uint8
	low   vtime.Time // since when the backlog has been low; 0 while it is not
}

func (s *storm) step(backlog, from vtime.Duration, now vtime.Time) {
	for s.level < 3 && backlog >= stormAt[s.level+1]*from {
		s.level++
		s.low = 0
	}
	if s.level == 0 || backlog >= stormAt[s.level]*from/2 {
		s.low = 0
		return
	}
	if s.low == 0 {
		s.low = now
		return
	}
	if now.Sub(s.low) >= from {
		s.level--
		s.low = now
	}
}
