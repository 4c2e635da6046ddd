// Package vtime is time as the protocol sees it: a number that the driver hands in.
//
// The core may not read a clock, so it may not import package time. A Time counts
// nanoseconds since a moment that only the driver knows: the start of the process in
// the runtime, the start of the simulation in the simulator. It is monotone and never
// appears in a message.
package vtime

// Time is a moment, in nanoseconds since the driver's own start.
type Time int64

// Duration is a span of time in nanoseconds, with the same scale as time.Duration.
type Duration int64

// The units.
const (
	Nanosecond  Duration = 1
	Microsecond          = 1000 * Nanosecond
	Millisecond          = 1000 * Microsecond
	Second               = 1000 * Millisecond
	Minute               = 60 * Second
	Hour                 = 60 * Minute
	Day                  = 24 * Hour
)

// Never is later than every moment a driver can reach: a deadline that is not armed.
const Never Time = 1<<63 - 1

// Add returns t+d. Never stays Never.
func (t Time) Add(d Duration) Time {
	if t == Never {
		return Never
	}
	return t + Time(d)
}

// Sub returns the span from u to t.
func (t Time) Sub(u Time) Duration { return Duration(t - u) }

// Earlier returns the earlier of two moments.
func Earlier(a, b Time) Time {
	if a < b {
		return a
	}
	return b
}

// Later returns the later of two moments.
func Later(a, b Time) Time {
	if a > b {
		return a
	}
	return b
}

// Milliseconds returns d in whole milliseconds, rounded towards zero.
func (d Duration) Milliseconds() int64 { return int64(d / Millisecond) }

// Seconds returns d in seconds.
func (d Duration) Seconds() float64 { return float64(d) / float64(Second) }
