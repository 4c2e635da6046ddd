package sim

import (
	"fmt"

	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// Settle is the liveness phase of a test: faults have stopped, whoever is away on a
// reboot comes back, and every running node must be attached within max. It returns
// how long that took. The error is a
// Violation: of R4 when the login servers are dead and the node that waits has a
// certificate, else of R1.
//
// A node without a certificate while the login servers are dead, and one whose name
// was refused, need not get attached.
func (s *Sim) Settle(max vtime.Duration) (vtime.Duration, error) {
	from := s.now
	done := func() bool { return s.starting == 0 && (s.Healed() || s.waiting() < 0) }
	ok, err := s.RunUntil(done, max)
	i := s.waiting()
	if err != nil || ok || i < 0 { // or all that still waits is a reboot
		return s.now.Sub(from), err
	}
	rule, h := "R1", &s.hosts[i]
	if !s.loginAlive() {
		rule = "R4"
	}
	s.violated(rule, uint32(i), "still without an attachment after %.1f s, %.1f s after the last fault; %d of %d are attached, %d serve",
		s.now.Sub(h.orphan).Seconds(), max.Seconds(), s.stats.attached, s.stats.running, s.stats.serving)
	return s.now.Sub(from), s.broken
}

// waiting returns the first node that ought to be attached and is not, or -1.
func (s *Sim) waiting() int {
	login := s.loginAlive()
	for i := range s.added {
		h := &s.hosts[i]
		if h.is(hostUp) && !h.is(hostAttached) && !h.is(hostDenied) && (login || h.certified != 0) {
			return i
		}
	}
	return -1
}

func (s *Sim) loginAlive() bool {
	for k := range s.logins {
		if s.hosts[s.cfg.Nodes+k].is(hostUp) {
			return true
		}
	}
	return false
}

// Merged runs until all supernodes hold the same roster (R11), which the hashes that
// they send each other tell. The faults must have stopped, and loss be rare: where a
// tenth of all messages is lost there is always a supernode that has just been
// suspected. The error is a Violation when they still differ after max.
func (s *Sim) Merged(max vtime.Duration) (vtime.Duration, error) {
	if s.oracle == nil || !s.oracle.full {
		return 0, fmt.Errorf("%w: Merged needs CheckFull", ErrConfig)
	}
	from := s.now
	ok, err := s.RunUntil(func() bool { return s.differing(from) < 0 }, max)
	if err == nil && !ok {
		s.violated("R11", uint32(s.differing(from)), "its roster is not that of the others %.0f s after the last fault", max.Seconds())
		err = s.broken
	}
	return s.now.Sub(from), err
}

// differing returns a supernode whose last digest is not that of the first one, or was
// not sent since; -1 when there is none.
func (s *Sim) differing(since vtime.Time) int {
	var first uint64
	seen := false
	for i := range s.added {
		w := &s.oracle.logs[i]
		if !s.hosts[i].is(hostServing) {
			continue
		}
		if s.stats.serving > 1 && (w.roster == 0 || w.digested <= since) {
			return i
		}
		if !seen {
			first, seen = w.roster, true
		}
		if w.roster != first {
			return i
		}
	}
	return -1
}

// Balanced compares what nodes and supernodes say of each other: no supernode holds
// more nodes than it has places. It is a Violation of R9 otherwise.
func (s *Sim) Balanced() error {
	held := make([]int, len(s.hosts))
	for i := range uint32(s.added) {
		if !s.hosts[i].is(hostUp) {
			continue
		}
		for _, at := range s.look(i).at {
			if at != 0 {
				held[index(at)]++
			}
		}
	}
	for i, n := range held {
		if most := int(s.book.slots[i]) + s.cfg.Policy.ThinSlots; n > most {
			s.violated("R9", uint32(i), "holds %d nodes, at most %d are allowed", n, most)
		}
	}
	return s.broken
}

// Memory is how much memory a simulation takes, in bytes.
type Memory struct {
	Machines   int // flat machines of all nodes
	Hosts      int // what the driver knows of each
	Caches     int // host caches
	Events     int // queued events
	Messages   int // messages in flight
	Tables     int // book, latency, oracle: what is flat
	Supernodes int // supernodes whose state hangs apart, each as large as its core says
	PerNode    int // all of the above but the supernodes, for each of Config.Nodes
}

// Memory reports. What supernodes and calls hang apart is counted by number only.
func (s *Sim) Memory() Memory {
	m := Memory{
		Machines:   s.machines.bytes() * s.cfg.Nodes,
		Hosts:      len(s.hosts) * hostBytes,
		Caches:     len(s.cache) * cacheEntryBytes,
		Events:     s.queue.bytes(),
		Messages:   s.arena.bytes(),
		Tables:     8*len(s.hosts) + s.cfg.Latency.bytes() + 2*napBytes*len(s.naps),
		Supernodes: s.stats.serving,
	}
	if s.oracle != nil {
		m.Tables += len(s.oracle.host)*watchBytes + len(s.oracle.logs)*diaryBytes + 4*len(s.oracle.healing) + 8*len(s.hosts)
	}
	m.PerNode = (m.Machines + m.Hosts + m.Caches + m.Events + m.Messages + m.Tables) / s.cfg.Nodes
	return m
}

// kindsFit is an assertion for the compiler: a counter for every kind of message.
var _ = [1]struct{}{}[wire.KindStandby>>6]
