package main

import (
	"fmt"
	"strings"
	"time"
)

// tenths is how many marks a second has.
const tenths = 10

// marks are the heights of a gap, steps where the next one begins.
var (
	marks = []rune("▁▂▃▄▅▆▇█")
	steps = [...]time.Duration{0, 40 * ms, 60 * ms, 100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms}
)

const ms = time.Millisecond

// meter measures what is heard: the time between two datagrams, and which are missing.
type meter struct {
	began, last time.Time // of the call; of what was heard last, or the beginning
	from        time.Time // of the line under way
	number      uint32    // the highest that was heard, of the other side's present run
	heard       int
	missing     int // numbers that were passed over and have not come
	late        int // of those that have
	tenth       [tenths]time.Duration
	inLine      int
	gaps        [len(steps)]int
	longest     time.Duration
	at          time.Time // when the longest ended
}

func newMeter(now time.Time) *meter { return &meter{began: now, last: now, from: now} }

// packet takes a datagram.
func (m *meter) packet(now time.Time, number uint32) {
	gap := now.Sub(m.last)
	m.last = now
	m.heard++
	m.inLine++
	switch {
	case m.heard == 1: // what was before does not count
		m.number = number
		return
	case number > m.number:
		m.missing += int(number - m.number - 1)
		m.number = number
	case m.number-number > 1000: // the other side has begun anew
		m.number = number
	default:
		m.late++
		m.missing = max(0, m.missing-1)
	}
	m.gaps[height(gap)]++
	if gap > m.longest {
		m.longest, m.at = gap, now
	}
	if i := int(now.Sub(m.from) * tenths / time.Second); i >= 0 {
		i = min(i, tenths-1)
		m.tenth[i] = max(m.tenth[i], gap)
	}
}

// height is which mark a gap has.
func height(gap time.Duration) (i int) {
	for i+1 < len(steps) && gap > steps[i+1] {
		i++
	}
	return i
}

// silent is how long nothing has been heard.
func (m *meter) silent(now time.Time) time.Duration { return now.Sub(m.last) }

// line shows the second that ends at now.
func (m *meter) line(now time.Time) string {
	var b strings.Builder
	longest := time.Duration(0)
	for _, gap := range m.tenth {
		longest = max(longest, gap)
		if gap == 0 {
			b.WriteRune(' ')
		} else {
			b.WriteRune(marks[height(gap)])
		}
	}
	what := fmt.Sprintf("gap %5d ms", longest.Milliseconds())
	if m.inLine == 0 {
		what = fmt.Sprintf("silent %3.0f s", m.silent(now).Seconds())
	}
	s := fmt.Sprintf("%5.0f s  %2d of %d  %s  %s", now.Sub(m.began).Seconds(), m.inLine, time.Second/pace, what, b.String())
	m.tenth, m.inLine, m.from = [tenths]time.Duration{}, 0, now
	return s
}

// summary is the whole call in a few lines.
func (m *meter) summary(peer string) string {
	if m.heard == 0 {
		return fmt.Sprintf("nothing was heard of %s\n", peer)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nheard of %s: %d datagrams, %d missing, %d late\n", peer, m.heard, m.missing, m.late)
	for i, n := range m.gaps {
		name := fmt.Sprintf("more than %v", steps[i])
		if i == 0 {
			name = fmt.Sprintf("up to %v", steps[1])
		}
		if n > 0 {
			fmt.Fprintf(&b, "  %-18s %7d  %s\n", name, n, strings.Repeat("#", 1+39*n/m.heard))
		}
	}
	fmt.Fprintf(&b, "largest gap: %d ms, %.0f s after the beginning\n", m.longest.Milliseconds(), m.at.Sub(m.began).Seconds())
	return b.String()
}
