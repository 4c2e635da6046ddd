package sim

import (
	"math/bits"

	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// stats is what is counted while the simulation runs.
type stats struct {
	running, attached, serving, second int

	events, delivered, bytes uint64
	promotions, demotions    uint64
	sent                     [64]uint64 // by wire.Kind, with room for more kinds
	dropped                  [drops]uint64

	lowest float64 // smallest share of running nodes that was attached
	waits  histogram
	tries  uint64
	most   uint16
}

// attempt counts a probe or an attach of a host that has no attachment.
func (t *stats) attempt(h *host) {
	if !h.is(hostAttached) && h.tries < 1<<16-1 {
		h.tries++
	}
}

// healed notes the end of an incident: wait is how long the node had no attachment.
func (t *stats) healed(wait vtime.Duration, tries uint16) {
	t.waits.add(wait)
	t.tries += uint64(tries)
	t.most = max(t.most, tries)
}

func (t *stats) down(h *host, node bool) {
	if !node {
		return
	}
	t.running--
	t.attached -= toInt(h.is(hostAttached))
	t.serving -= toInt(h.is(hostServing))
	t.second -= toInt(h.is(hostSecond))
	t.watermark()
}

func (t *stats) watermark() {
	if t.running > 0 {
		t.lowest = min(t.lowest, float64(t.attached)/float64(t.running))
	}
}

// Census is the state of the network at one moment, and what was counted since the
// last ResetCensus.
type Census struct {
	At          vtime.Time
	Running     int // nodes whose process runs
	Attached    int // of these, nodes that can be found: attached, or supernodes
	Orphans     int // of these, nodes that can't
	Supernodes  int // nodes that serve
	TwoAttached int // ordinary nodes with both attachments

	MinAttached float64 // smallest share of the running nodes that was attached

	Events    uint64
	Delivered uint64 // messages that a machine was handed
	Bytes     uint64 // of messages sent, without session and packet headers
	Sent      map[wire.Kind]uint64
	Dropped   [drops]uint64 // by Drop

	Promotions, Demotions uint64
	Waits                 Waits
}

// Waits says how long nodes were without an attachment: one incident for each time
// that a node started or lost its last attachment, and got one.
type Waits struct {
	Incidents      uint64
	Mean           vtime.Duration
	P50, P99, P999 vtime.Duration // upper bounds, within 3 %
	Max            vtime.Duration
	MeanTries      float64 // probes and attaches an incident
	MaxTries       int
	Open           int            // nodes that wait now
	Oldest         vtime.Duration // the longest that one of these has waited
	OldestNode     int            // which, -1 when none waits
}

// Census counts. It looks at every host, so it is not for every event.
func (s *Sim) Census() Census {
	t := &s.stats
	c := Census{
		At: s.now, Running: t.running, Attached: t.attached, Orphans: t.running - t.attached,
		Supernodes: t.serving, TwoAttached: t.second, MinAttached: t.lowest,
		Events: t.events, Delivered: t.delivered, Bytes: t.bytes, Dropped: t.dropped,
		Promotions: t.promotions, Demotions: t.demotions,
		Sent:  make(map[wire.Kind]uint64),
		Waits: t.waits.summary(),
	}
	for k, n := range t.sent {
		if n > 0 {
			c.Sent[wire.Kind(k)] = n
		}
	}
	w := &c.Waits
	w.MaxTries = int(t.most)
	if w.Incidents > 0 {
		w.MeanTries = float64(t.tries) / float64(w.Incidents)
	}
	w.OldestNode = -1
	for i := range s.hosts[:s.added] {
		h := &s.hosts[i]
		if h.is(hostUp) && !h.is(hostAttached) {
			w.Open++
			if d := s.now.Sub(h.orphan); w.OldestNode < 0 || d > w.Oldest {
				w.Oldest, w.OldestNode = d, i
			}
		}
	}
	return c
}

// ResetCensus begins to count anew: what stands is kept, what has happened is not.
func (s *Sim) ResetCensus() {
	t := &s.stats
	*t = stats{running: t.running, attached: t.attached, serving: t.serving, second: t.second, lowest: 1}
	t.watermark()
}

// histogram counts durations in buckets that are 1/32 of an octave of a millisecond
// wide: a percentile is within 3 % in 27 octaves, 37 hours.
type histogram struct {
	n, sum  uint64 // sum in milliseconds
	longest vtime.Duration
	bucket  [27 * 32]uint64
}

func (t *histogram) add(d vtime.Duration) {
	ms := uint64(max(0, d) / vtime.Millisecond)
	t.n++
	t.sum += ms
	t.longest = max(t.longest, d)
	t.bucket[min(bucketOf(ms), len(t.bucket)-1)]++
}

func bucketOf(ms uint64) int {
	if ms < 32 {
		return int(ms)
	}
	octave := bits.Len64(ms) - 6
	return (octave+1)*32 + int(ms>>octave)&31
}

// top is the smallest duration beyond bucket i.
func top(i int) vtime.Duration {
	if i < 32 {
		return vtime.Duration(i+1) * vtime.Millisecond
	}
	octave := i/32 - 1
	return vtime.Duration(i%32+33) << octave * vtime.Millisecond
}

// quantile returns a bound that the share q of all durations does not exceed.
func (t *histogram) quantile(q float64) vtime.Duration {
	need, seen := uint64(q*float64(t.n)), uint64(0)
	for i, n := range t.bucket {
		if seen += n; seen > need || seen == t.n && n > 0 {
			return min(top(i), t.longest)
		}
	}
	return 0
}

func (t *histogram) summary() (w Waits) {
	if t.n == 0 {
		return w
	}
	w.Incidents, w.Max = t.n, t.longest
	w.Mean = vtime.Duration(t.sum/t.n) * vtime.Millisecond
	w.P50, w.P99, w.P999 = t.quantile(0.5), t.quantile(0.99), t.quantile(0.999)
	return w
}
