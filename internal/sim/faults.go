package sim

import (
	"fmt"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/invariant"
	"github.com/ada420b6/overlay/internal/vtime"
)

// Add adds n nodes, which do not run yet, and returns the number of the first one.
// Adding more than Config.Nodes in all is an error.
func (s *Sim) Add(n int) (first int, err error) {
	if n < 0 || s.added+n > s.cfg.Nodes {
		return 0, fmt.Errorf("%w: %d nodes and %d more, at most Nodes = %d are allowed", ErrConfig, s.added, n, s.cfg.Nodes)
	}
	first = s.added
	s.added += n
	return first, nil
}

// Nodes returns how many nodes were added.
func (s *Sim) Nodes() int { return s.added }

// Name returns the name of node i.
func (s *Sim) Name(i int) string { return fmt.Sprintf("n%d", i) }

// SetRole says what node i may become and how many attachments it offers as a
// supernode; 0 slots mean the policy's. It counts from the next start.
func (s *Sim) SetRole(i int, role core.Role, slots uint32) {
	h := s.node(i)
	s.hosts[h].role = role
	if slots == 0 {
		slots = uint32(s.cfg.Policy.NormalSlots)
	}
	s.book.slots[h] = slots
}

// SetReachable says whether strangers can reach node i.
func (s *Sim) SetReachable(i int, reachable bool) { s.hosts[s.node(i)].set(hostReachable, reachable) }

// Start brings node i up. A node that runs is left alone.
func (s *Sim) Start(i int) { s.start(s.node(i)) }

// StartAll brings every node up that does not run, each at a moment drawn from over.
func (s *Sim) StartAll(over vtime.Duration) {
	if s.added > 0 {
		s.StartFrom(0, over)
	}
}

// StartFrom is StartAll for the nodes from number first on.
func (s *Sim) StartFrom(first int, over vtime.Duration) {
	for i := s.node(first); i < uint32(s.added); i++ {
		if s.comes(i) {
			s.absent(i, 1+s.within(over))
		}
	}
}

// comes reports whether host i is off and starts with the others: if an availability trace
// is replayed, when it is on at the trace's beginning.
func (s *Sim) comes(i uint32) bool {
	return !s.hosts[i].is(hostUp) && (s.replay == nil || s.replay.start(s, i))
}

// Crash ends node i's process without a word. What was on disk is kept for a Start.
func (s *Sim) Crash(i int) { s.crash(s.node(i), 0) }

// Reboot ends node i's process without a word and starts it again after down.
func (s *Sim) Reboot(i int, down vtime.Duration) { s.crash(s.node(i), max(down, 1)) }

// Leave lets node i say goodbye; its process ends when its machine is done.
func (s *Sim) Leave(i int) { s.leave(s.node(i), 0) }

// RebootShare lets share of the running nodes crash, each at a moment drawn from over,
// and come back after 0.5 to 1.5 times down.
func (s *Sim) RebootShare(share float64, over, down vtime.Duration) {
	s.schedule(share, over, down, eventCrash, hostUp)
}

// LeaveShare is RebootShare with a goodbye: the announced reboots of a patch day.
func (s *Sim) LeaveShare(share float64, over, down vtime.Duration) {
	s.schedule(share, over, down, eventLeave, hostUp)
}

// RebootSupernodes is RebootShare among the supernodes.
func (s *Sim) RebootSupernodes(share float64, over, down vtime.Duration) {
	s.schedule(share, over, down, eventCrash, hostUp|hostServing)
}

// CrashSupernodes lets share of the supernodes crash at once, for good.
func (s *Sim) CrashSupernodes(share float64) {
	s.schedule(share, 0, 0, eventCrash, hostUp|hostServing)
}

// schedule queues a fault for share of the nodes that are all of want.
func (s *Sim) schedule(share float64, over, down vtime.Duration, kind eventKind, want hostState) {
	var hosts []uint32
	for i := range uint32(s.added) {
		if s.hosts[i].state&want == want {
			hosts = append(hosts, i)
		}
	}
	for i := range s.some(hosts, part(share, len(hosts))) {
		e := event{at: s.now.Add(s.within(over)), host: i, kind: kind, ref: s.awayFor(down)}
		if over == 0 {
			s.handle(&e)
		} else {
			s.queue.push(e)
		}
	}
}

// part is share of n, rounded.
func part(share float64, n int) int { return int(share*float64(n) + 0.5) }

// awayFor draws how long one that reboots is away, 0.5 to 1.5 times down, in milliseconds;
// 0 is for good.
func (s *Sim) awayFor(down vtime.Duration) uint32 {
	if down == 0 {
		return 0
	}
	return max(1, uint32((down/2+s.within(down))/vtime.Millisecond))
}

// Partition cuts share of the nodes off from all others and from the login servers.
func (s *Sim) Partition(share float64) {
	s.PartitionFunc(func(int) int { return toInt(float64(s.random()>>11)/(1<<53) < share) })
}

// PartitionFunc cuts the network into parts: nodes for which part returns the same
// number, 0 to 255, reach each other and nobody else. Login servers are in part 0.
func (s *Sim) PartitionFunc(part func(i int) int) {
	s.sides(part)
	for a := range maxSides {
		for b := range maxSides {
			s.net.cut[a][b] = a != b
		}
	}
}

// PartitionOneWay loses every message from share of the nodes to the others, while what
// the others send arrives: a fault that confuses failure detectors.
func (s *Sim) PartitionOneWay(share float64) {
	s.sides(func(int) int { return toInt(float64(s.random()>>11)/(1<<53) < share) })
	s.net.cut[1][0] = true
}

// PartitionBridge cuts share of the nodes off from all others but for node bridge, which
// reaches both sides.
func (s *Sim) PartitionBridge(share float64, bridge int) {
	s.sides(func(i int) int {
		if i == bridge {
			return 2
		}
		return toInt(float64(s.random()>>11)/(1<<53) < share)
	})
	s.net.cut[0][1], s.net.cut[1][0] = true, true
}

func (s *Sim) sides(part func(i int) int) {
	s.rouseAll()
	for i := range s.added {
		p := part(i)
		invariant.Check(0 <= p && p < maxSides, "sim: a part of a partition is not 0 to 255")
		s.hosts[i].side = uint8(p)
	}
	s.net.cut = new([maxSides][maxSides]bool)
}

// Mend makes the network whole again.
func (s *Sim) Mend() {
	if s.net.cut != nil {
		s.net.cut, s.net.mended = nil, s.now
	}
}

// Disturb sets the probabilities of loss, duplication and reordering, each 0 to 1, from
// here on.
func (s *Sim) Disturb(loss, dup, reorder float64) {
	for _, p := range []float64{loss, dup, reorder} {
		invariant.Check(0 <= p && p <= 1, "sim: a probability is not 0 to 1")
	}
	s.rouseAll()
	s.net.loss, s.net.dup, s.net.reorder = share16(loss), share16(dup), share16(reorder)
}

// StopLogin crashes every login server, StartLogin brings them back.
func (s *Sim) StopLogin() {
	for k := range s.logins {
		s.crash(uint32(s.cfg.Nodes+k), 0)
	}
}

// StartLogin brings every login server up.
func (s *Sim) StartLogin() {
	for k := range s.logins {
		s.issues[k] = s.now
		s.start(uint32(s.cfg.Nodes + k))
	}
}

// Running reports whether node i's process runs.
func (s *Sim) Running(i int) bool { return s.hosts[s.node(i)].is(hostUp) }

// Attached reports whether node i can be found: it is attached, or it serves.
func (s *Sim) Attached(i int) bool { return s.hosts[s.node(i)].is(hostAttached) }

// Serving reports whether node i is a supernode.
func (s *Sim) Serving(i int) bool { return s.hosts[s.node(i)].is(hostServing) }

// Attachments returns the numbers of the supernodes that node i is attached to.
func (s *Sim) Attachments(i int) (at []int) {
	if h := s.node(i); s.hosts[h].is(hostUp) {
		for _, p := range s.look(h).at {
			if p != 0 {
				at = append(at, s.number(index(p)))
			}
		}
	}
	return at
}

// Healed reports whether every running node is attached: the condition to run until.
func (s *Sim) Healed() bool { return s.stats.running > 0 && s.stats.attached == s.stats.running }

// Quorum returns a condition that holds when share of the running nodes is attached.
func (s *Sim) Quorum(share float64) func() bool {
	return func() bool {
		return s.stats.running > 0 && float64(s.stats.attached) >= share*float64(s.stats.running)
	}
}
