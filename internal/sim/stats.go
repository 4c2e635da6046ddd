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
	foretold, foretoldBefore uint64 // of those that are over; in all, when counting began
	renewed                  uint64 // records, without a message
	promotions, demotions    uint64
	sent                     [64]uint64 // by wire.Kind, with room for more kinds
	dropped                  [drops]uint64

	lowest float64   // smallest share of running nodes that was attached
	waits  histogram // in milliseconds
	tries  histogram
	shock  shock

	offered          uint64 // attaches that came to a supernode
	lost             int    // supernodes that went down
	decided, granted uint64 // applications; of these, decided while their node still waited
}

// attempt counts an attempt of a host without an attachment to get one: a round of probes
// and the attach that it leads to, which carry one nonce.
func (t *stats) attempt(h *host, nonce uint16) {
	if !h.is(hostAttached) && h.tries < 1<<16-1 && h.round != nonce {
		h.round = nonce
		h.tries++
	}
}

// healed notes the end of an incident: wait is how long the node had no attachment.
func (t *stats) healed(wait vtime.Duration, tries uint16) {
	t.waits.add(milliseconds(wait))
	t.tries.add(uint64(tries))
}

// incidents is how many have begun.
func (t *stats) incidents() uint64 { return t.waits.n + uint64(t.running-t.attached) }

// up counts a node that starts, without an attachment; stranded is how many of those who
// count as attached are not.
func (t *stats) up(now vtime.Time, stranded int) {
	t.running++
	t.shock.at(now)
	t.watermark(now, stranded)
}

func (t *stats) down(h *host, now vtime.Time, stranded int) {
	t.running--
	t.attached -= toInt(h.is(hostAttached))
	t.serving -= toInt(h.is(hostServing))
	t.lost += toInt(h.is(hostServing))
	t.second -= toInt(h.is(hostSecond))
	t.shock.at(now)
	t.watermark(now, stranded)
}

// watermark notes how few, and since when how many, are attached. Who does not know yet
// that it has lost all attachments is one of the few only when it does.
func (t *stats) watermark(now vtime.Time, stranded int) {
	if t.running > 0 {
		t.lowest = min(t.lowest, float64(t.attached)/float64(t.running))
		t.shock.watch(now, t.attached-stranded, t.running, t.incidents())
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
	Foretold  uint64 // keepalives that were answered without being sent: see Config.Foretold
	Renewed   uint64 // puts that renewed a record without being sent, likewise
	Sent      map[wire.Kind]uint64
	Dropped   [drops]uint64 // by Drop

	Promotions, Demotions uint64
	Lost                  int // supernodes that went down without stepping down first
	Waits                 Waits
	Overload              float64 // highest attach load of a supernode over 5 s, in its rate
	Offered, Accepted     uint64  // attaches that came to a supernode, and answers that took one in
	Storms                [4]int  // supernodes by the storm level that they told last
	Login                 Login
	Recovery              Recovery
}

// Login is what the login servers did.
type Login struct {
	Decided uint64         // applications
	Granted uint64         // of these, to nodes that still waited for the answer
	Wait    vtime.Duration // how long one that comes now waits, at the server where it is longest
}

// Waits says how long nodes were without an attachment: one incident for each time
// that a node started or lost its last attachment. Those that still last count with what
// they have lasted so far: without them, the longer a collapse lasts the better it looks.
type Waits struct {
	Incidents      uint64
	Mean           vtime.Duration
	P50, P99, P999 vtime.Duration // upper bounds, within 3 %
	Max            vtime.Duration
	MeanAttempts   float64 // attempts an incident
	P999Attempts   int     // within 3 %
	MaxAttempts    int
	Open           int            // nodes that wait now
	Oldest         vtime.Duration // the longest that one of these has waited
	OldestNode     int            // which, -1 when none waits
}

// Census counts. It looks at every orphan, so it is not for every event.
func (s *Sim) Census() Census {
	t := &s.stats
	c := Census{
		At: s.now, Running: t.running, Attached: t.attached, Orphans: t.running - t.attached,
		Supernodes: t.serving, TwoAttached: t.second, MinAttached: t.lowest,
		Events: t.events, Delivered: t.delivered, Bytes: t.bytes, Dropped: t.dropped, Foretold: s.foretold() - t.foretoldBefore, Renewed: t.renewed,
		Promotions: t.promotions, Demotions: t.demotions, Lost: t.lost,
		Sent:     make(map[wire.Kind]uint64),
		Waits:    s.waits(),
		Overload: s.offered.peak(&s.cfg.Policy),
		Offered:  t.offered, Accepted: t.sent[wire.KindAccept],
		Storms:   s.storms(),
		Login:    s.loginWork(),
		Recovery: s.recovery(),
	}
	for k, n := range t.sent {
		if n > 0 {
			c.Sent[wire.Kind(k)] = n
		}
	}
	return c
}

// storms counts supernodes by storm level.
func (s *Sim) storms() (n [4]int) {
	for _, super := range s.supers.list {
		if super != nil {
			n[super.Storm()]++
		}
	}
	return n
}

// WaitQuantile is how long a share q of all incidents was at most, from 0 to 1; within 3 %.
// Those under way count with what they have lasted so far.
func (s *Sim) WaitQuantile(q float64) vtime.Duration {
	times := s.stats.waits
	for i := range s.orphans.all {
		times.add(milliseconds(s.now.Sub(s.hosts[i].orphan)))
	}
	if times.n == 0 {
		return 0
	}
	return times.span(q)
}

// Healing is how many packets node i has sent to become attached, since it came up last.
func (s *Sim) Healing(i int) uint32 { return s.core.nodes[s.node(i)].Healing() }

// waits sums the incidents up, those under way included.
func (s *Sim) waits() (w Waits) {
	times, tries := s.stats.waits, s.stats.tries
	w.OldestNode = -1
	for i := range s.orphans.all {
		h := &s.hosts[i]
		w.Open++
		d := s.now.Sub(h.orphan)
		if w.OldestNode < 0 || d > w.Oldest {
			w.Oldest, w.OldestNode = d, int(i)
		}
		times.add(milliseconds(d))
		tries.add(uint64(h.tries))
	}
	w.Incidents = times.n
	if w.Incidents == 0 {
		return w
	}
	w.Mean = vtime.Duration(times.sum/times.n) * vtime.Millisecond
	w.P50, w.P99, w.P999 = times.span(0.5), times.span(0.99), times.span(0.999)
	w.Max = vtime.Duration(times.most) * vtime.Millisecond
	w.MeanAttempts = float64(tries.sum) / float64(tries.n)
	w.P999Attempts, w.MaxAttempts = int(tries.quantile(0.999)), int(tries.most)
	return w
}

// loginWork sums up what the login servers did.
func (s *Sim) loginWork() Login {
	l := Login{Decided: s.stats.decided, Granted: s.stats.granted}
	for k := range s.logins {
		waiting := s.look(uint32(s.cfg.Nodes + k)).waiting
		busy := max(0, s.issues[k].Sub(s.now)) + vtime.Duration(waiting)*s.cfg.decision()
		l.Wait = max(l.Wait, busy)
	}
	return l
}

// ResetCensus begins to count anew: what stands is kept, what has happened is not.
func (s *Sim) ResetCensus() {
	t := &s.stats
	*t = stats{
		running: t.running, attached: t.attached, serving: t.serving, second: t.second, lowest: 1, shock: quiescent,
		foretold: t.foretold, foretoldBefore: s.foretold(),
	}
	s.offered = make(offered)
	s.stranded.silences = nil
	t.watermark(s.now, s.stranded.n)
}

// histogram counts numbers in buckets that are 1/32 of an octave wide: a percentile is
// exact up to 31 and within 3 % in 27 octaves, which are 37 hours in milliseconds.
type histogram struct {
	n, sum, most uint64
	bucket       [27 * 32]uint64
}

func (t *histogram) add(v uint64) {
	t.n++
	t.sum += v
	t.most = max(t.most, v)
	t.bucket[min(bucketOf(v), len(t.bucket)-1)]++
}

func bucketOf(v uint64) int {
	if v < 32 {
		return int(v)
	}
	octave := bits.Len64(v) - 6
	return (octave+1)*32 + int(v>>octave)&31
}

// top is the largest number in bucket i.
func top(i int) uint64 {
	if i < 32 {
		return uint64(i)
	}
	octave := i/32 - 1
	return uint64(i%32+33)<<octave - 1
}

// quantile returns a bound that the share q of all numbers does not exceed.
func (t *histogram) quantile(q float64) uint64 {
	need, seen := uint64(q*float64(t.n)), uint64(0)
	for i, n := range t.bucket {
		if seen += n; seen > need || seen == t.n && n > 0 {
			return min(top(i), t.most)
		}
	}
	return 0
}

// span is quantile for milliseconds, rounded down when they were counted.
func (t *histogram) span(q float64) vtime.Duration {
	return vtime.Duration(t.quantile(q)+1) * vtime.Millisecond
}

func milliseconds(d vtime.Duration) uint64 { return uint64(max(0, d) / vtime.Millisecond) }
