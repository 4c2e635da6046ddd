package overlay

import (
	"errors"
	"fmt"
	"time"

	"github.com/ada420b6/overlay/internal/sim"
	"github.com/ada420b6/overlay/internal/vtime"
)

// Simulation is a network of simulated machines and wires that run the very protocol
// code of real nodes, in virtual time. Equal seeds, options and calls give equal runs,
// message by message.
//
// An oracle that shares no code with the protocol watches it: for every event of small
// networks, for the cheap rules of large ones. A rule of PROTOCOL.md that is broken
// ends the simulation: Run returns what happened, when, and to whom.
//
// Where there is room for more than 10 000 machines, keepalives that change nothing are
// drawn and not sent: a healthy minute costs less, and what nodes meet with has the same
// distribution. In smaller networks every node's last steps are kept for Explain.
//
// A Simulation is for one goroutine.
type Simulation struct {
	seed    uint64
	config  networkConfig
	pending int         // nodes added before the first Run
	online  float64     // share of them that is on
	daily   *[2]float64 // shares that are on by night and by day, or nil
	playing bool        // the trace of WithAvailability, or the day, has begun
	sim     *sim.Sim
	err     error // the first thing that went wrong; it stays
}

type simulationConfig struct {
	latencies    *sim.Latency
	availability *sim.Availability
	loss         float64
	reachable    float64
	nodes        int
	watch        []int
	begin        vtime.Duration // time of day in UTC
	zones        []sim.Zone     // nil: the default
}

func simulationOption(name string, f func(*simulationConfig) error) Option {
	return networkOption(func(c *networkConfig) error {
		c.rehearsal = append(c.rehearsal, name)
		return f(&c.simulation)
	})
}

// WithLatencies places the simulated machines by measured round-trip times: file is a
// square matrix of milliseconds, one line a row, separated by tabs. By default they are
// drawn between 10 and 300 ms.
func WithLatencies(file string) Option {
	return simulationOption("WithLatencies", func(c *simulationConfig) (err error) {
		if c.latencies, err = sim.LoadLatency(file); err != nil {
			return fmt.Errorf("WithLatencies: %w", err)
		}
		return nil
	})
}

// WithAvailability lets the machines come and go as those of a real network did: file is
// an availability trace in the AVT form, a host a line:
//
//	id TAB n TAB start end start end ...
//
// with n sessions in order, in seconds. Machine i does what host i did, without a goodbye.
// When there are more machines than hosts it begins again with the first, so that each
// host counts equally often; these copies keep the hours and the catastrophes of the
// trace, but are each ahead of its host by a time of its own, drawn up to a tenth of the
// median session and 30 min at most, so that they do not move in lockstep. The trace
// begins with the first Run after WarmUp; who is not on at its start is not started before.
// RunUntilAttached would wait for all who are to come: let time pass with Run.
func WithAvailability(file string) Option {
	return simulationOption("WithAvailability", func(c *simulationConfig) (err error) {
		if c.availability, err = sim.LoadAvailability(file); err != nil {
			return fmt.Errorf("WithAvailability: %w", err)
		}
		return nil
	})
}

// WithLoss sets the share of simulated messages that is lost, 0 to 0.9; 0.01 by default.
func WithLoss(share float64) Option {
	return simulationOption("WithLoss", func(c *simulationConfig) error {
		if !(share >= 0 && share <= 0.9) {
			return fmt.Errorf("WithLoss: %v, 0 to 0.9 is possible", share)
		}
		c.loss = share
		return nil
	})
}

// WithReachable sets the share of simulated machines that can be reached from outside,
// so that they can serve as supernodes, 0 to 1; 0.5 by default. The first always can.
func WithReachable(share float64) Option {
	return simulationOption("WithReachable", func(c *simulationConfig) error {
		if !(share >= 0 && share <= 1) {
			return fmt.Errorf("WithReachable: %v, 0 to 1 is possible", share)
		}
		c.reachable = share
		return nil
	})
}

// WithMaxNodes sets how many nodes Add may reach in all, for which memory is set aside;
// by default twice what was added before the first Run, and at least 1000.
func WithMaxNodes(n int) Option {
	return simulationOption("WithMaxNodes", func(c *simulationConfig) error {
		if n < 1 || n > sim.MaxNodes {
			return fmt.Errorf("WithMaxNodes: %d, 1 to %d are possible", n, sim.MaxNodes)
		}
		c.nodes = n
		return nil
	})
}

// NewSimulation makes an empty network of two login servers, which together serve a
// 2000th of the nodes that are added before the first Run in a second. Of the options of
// New it takes WithHealing; WithAvailability, WithLatencies, WithLoss, WithReachable,
// WithMaxNodes, WithWatch and WithZones are its own.
//
// Where the environment variable OVERLAY_SEED is set, it takes the place of seed: that is
// how a run that failed is repeated, see Repeat. What is no number there is an error.
func NewSimulation(seed uint64, opts ...Option) (*Simulation, error) {
	c := networkConfig{healing: DefaultHealing(), simulation: simulationConfig{loss: -1, reachable: -1}}
	if err := apply(opts, &c); err != nil {
		return nil, err
	}
	if len(c.real) > 0 {
		return nil, fmt.Errorf("overlay: %s means nothing to a simulation", c.real[0])
	}
	seed, err := seedFrom(seed)
	if err != nil {
		return nil, err
	}
	return &Simulation{seed: seed, config: c, online: 1}, nil
}

// SimulationMemory estimates how many bytes of memory a Simulation of so many nodes takes at
// most, with DefaultHealing: 4 kB for each of many nodes, 9 kB up to 20 000, whose machines remember
// as many supernodes as real ones, and more where supernodes are so many that their rosters
// count. See WithMaxNodes.
func SimulationMemory(nodes int) int64 {
	s := Simulation{pending: nodes, config: networkConfig{healing: DefaultHealing(), simulation: simulationConfig{loss: -1, reachable: -1, nodes: nodes}}}
	c := s.configure()
	return c.Memory()
}

// Add adds n machines, up to WithMaxNodes in all, which start within the next 10 s and another second for each
// 1000 of them. The error is also returned by the next Run.
func (s *Simulation) Add(n int) error {
	switch {
	case n < 1:
		return s.fail(fmt.Errorf("overlay: Add(%d): at least one node", n))
	case s.sim == nil:
		s.pending += n
		return nil
	}
	return s.start(n)
}

func (s *Simulation) start(n int) error {
	first, err := s.sim.Add(n)
	if err != nil {
		return s.fail(fmt.Errorf("overlay: Add(%d): %w (see WithMaxNodes)", n, err))
	}
	s.sim.StartFrom(first, spread(n))
	return nil
}

// spread is over how long n machines are started.
func spread(n int) vtime.Duration {
	return 10*vtime.Second + vtime.Duration(n)*vtime.Millisecond
}

// ready makes the machines that were added before the first Run.
func (s *Simulation) ready() error { return s.begin(false) }

// begin is ready; grown starts the network with the tier that it needs, instead of letting
// one grow.
func (s *Simulation) begin(grown bool) error {
	if s.err != nil || s.sim != nil {
		return s.err
	}
	if s.pending == 0 {
		return s.fail(errors.New("overlay: a simulation needs nodes: call Add"))
	}
	var err error
	if s.sim, err = sim.New(s.configure()); err != nil {
		return s.fail(fmt.Errorf("overlay: %w", err))
	}
	s.watching(s.room())
	if err := s.days(); err != nil {
		return s.fail(fmt.Errorf("overlay: %w", err))
	}
	if a := s.config.simulation.availability; a != nil {
		s.sim.Replay(a)
	}
	switch {
	case s.online == 1 && grown:
		if _, err := s.sim.Add(s.pending); err != nil {
			return s.fail(fmt.Errorf("overlay: Add(%d): %w (see WithMaxNodes)", s.pending, err))
		}
		s.sim.StartGrown(0, spread(s.pending/4))
		return nil
	case s.online == 1:
		return s.start(s.pending)
	}
	if _, err := s.sim.Add(s.pending); err != nil {
		return s.fail(fmt.Errorf("overlay: Add(%d): %w (see WithMaxNodes)", s.pending, err))
	}
	s.sim.Online(s.online, spread(s.pending))
	return nil
}

// minLoginRate keeps a login server's answer within the patience of the policy of 2007,
// 30 s, however small the network is.
const minLoginRate = 0.1

// room is how many machines there can be.
func (s *Simulation) room() int {
	if n := s.config.simulation.nodes; n != 0 {
		return n
	}
	return min(max(1000, 2*s.pending), sim.MaxNodes)
}

// configure puts the simulator's configuration together.
func (s *Simulation) configure() sim.Config {
	o, nodes := s.config.simulation, s.room()
	c := sim.DefaultConfig(nodes)
	c.Seed, c.Policy = s.seed, s.config.healing.core()
	if nodes <= sim.BigRun {
		c.Cache = c.Policy.HostCache
	}
	c.LoginRate = max(minLoginRate, float64(s.pending)/2000)
	if o.loss >= 0 {
		c.Loss = o.loss
	}
	if o.reachable >= 0 {
		c.Reachable = o.reachable
	}
	if o.latencies != nil {
		c.Latency = o.latencies
	}
	return c
}

func (s *Simulation) fail(err error) error {
	if s.err == nil {
		s.err = err
	}
	return s.err
}

// share checks a share that a fault is asked for.
func (s *Simulation) share(what string, share float64) bool {
	if !(share >= 0 && share <= 1) {
		_ = s.fail(fmt.Errorf("overlay: %s: a share of %v, 0 to 1 is possible", what, share))
	}
	return s.ready() == nil
}

// maxDown is the longest that a reboot takes, in milliseconds 2/3 of what fits 32 bits.
const maxDown = 30 * 24 * time.Hour

// times checks the times that a fault is asked for.
func (s *Simulation) times(what string, over, down time.Duration) {
	if over < 0 || down < 0 || down > maxDown {
		_ = s.fail(fmt.Errorf("overlay: %s: over %v and down for %v, times of 0 to %v are possible", what, over, down, maxDown))
	}
}

// Reboot takes a random share of the running nodes down, without a goodbye, at random
// moments within the time over; each is away for 0.5 to 1.5 times down, for good when
// that is 0, and comes back with what it had on disk. A wrong argument is the error of
// the next Run.
func (s *Simulation) Reboot(fraction float64, over, down time.Duration) {
	s.times("Reboot", over, down)
	if s.share("Reboot", fraction) {
		s.sim.RebootShare(fraction, vtime.Duration(over), vtime.Duration(down))
	}
}

// RebootSupernodes is Reboot for a share of those that serve now.
func (s *Simulation) RebootSupernodes(fraction float64, over, down time.Duration) {
	s.times("RebootSupernodes", over, down)
	if s.share("RebootSupernodes", fraction) {
		s.sim.RebootSupernodes(fraction, vtime.Duration(over), vtime.Duration(down))
	}
}

// Online lets a share of all machines be on, within the time over: users switch the
// others off, with a goodbye, or enough of them on, drawn at random (Daily lets them come
// and go by themselves). Before the first
// Run it says how many are started. The login servers stay those of the whole network: a
// network with a small share online is one at a quiet hour.
func (s *Simulation) Online(share float64, over time.Duration) {
	s.times("Online", over, 0)
	switch {
	case !(share >= 0 && share <= 1):
		_ = s.fail(fmt.Errorf("overlay: Online: a share of %v, 0 to 1 is possible", share))
	case s.daily != nil:
		_ = s.fail(errors.New("overlay: Online: Daily says already who is there"))
	case s.err != nil:
	case s.sim == nil:
		s.online = share
	default:
		s.sim.Online(share, vtime.Duration(over))
	}
}

// CrashSupernodes takes a random share of the supernodes down at once, without a
// goodbye and for good.
func (s *Simulation) CrashSupernodes(fraction float64) {
	if s.share("CrashSupernodes", fraction) {
		s.sim.CrashSupernodes(fraction)
	}
}

// Partition cuts the network in two: no message passes between a random share of the
// nodes and the others, with the login servers on the larger side, until Mend.
func (s *Simulation) Partition(share float64) {
	if s.share("Partition", share) {
		s.sim.Partition(share)
	}
}

// Mend ends a partition.
func (s *Simulation) Mend() {
	if s.ready() == nil {
		s.sim.Mend()
	}
}

// StopLogin takes all login servers down.
func (s *Simulation) StopLogin() {
	if s.ready() == nil {
		s.sim.StopLogin()
	}
}

// StartLogin brings the login servers back.
func (s *Simulation) StartLogin() {
	if s.ready() == nil {
		s.sim.StartLogin()
	}
}

// WarmUp lets time pass until it is an ordinary day: every running node is attached, as
// often as its policy wants, and the tier has kept its size for a minute; at most max. It
// reports whether it has come to that; called again, it goes on. The error is that of Run.
// A rehearsal continues with ResetCensus, so that nothing of this is counted, and a disaster.
// Before the first Run it starts the network with the supernodes that so many nodes need,
// which spares the time in which a tier grows; one of more than 2 000 nodes begins with
// everybody attached, as it stands after days.
//
// A network with a policy like Naive2007 would not come up from everybody's start at once:
// the real one had grown over years. While WarmUp lasts nodes log in and attach as those of
// DefaultHealing do; number and kind of attachments, capacities and the tier's thresholds
// are the policy's own.
func (s *Simulation) WarmUp(max time.Duration) (ordinary bool, err error) {
	if err := s.begin(true); err != nil {
		return false, err
	}
	ordinary, err = s.sim.WarmUp(vtime.Duration(max))
	if err != nil {
		return false, s.failed(err)
	}
	return ordinary, nil
}

// play lets the trace of WithAvailability begin, once.
func (s *Simulation) play() {
	if (s.config.simulation.availability != nil || s.daily != nil) && !s.playing {
		s.playing = true
		s.sim.Play()
	}
}

// Run lets d pass. The error is the first thing that has gone wrong: a wrong argument of
// an earlier call, or a rule of the protocol that was broken, with the moment, the node, the
// seed, and in a test the command that shows it again. Explain tells what the node did. After
// an error the simulation stands still.
func (s *Simulation) Run(d time.Duration) error {
	if d < 0 {
		return s.fail(fmt.Errorf("overlay: Run(%v): negative time", d))
	}
	if err := s.ready(); err != nil {
		return err
	}
	s.play()
	if err := s.sim.Run(vtime.Duration(d)); err != nil {
		return s.failed(err)
	}
	return nil
}

// RunUntilAttached lets time pass until every running node is attached, at most max. It
// returns how long that took; the error is that of Run, or says who is still without an
// attachment after max.
func (s *Simulation) RunUntilAttached(max time.Duration) (time.Duration, error) {
	if err := s.ready(); err != nil {
		return 0, err
	}
	s.play()
	took, err := s.sim.Settle(vtime.Duration(max))
	if err != nil {
		return time.Duration(took), s.failed(err)
	}
	return time.Duration(took), nil
}

// ResetCensus begins to count anew, so that a Census tells of what follows only.
func (s *Simulation) ResetCensus() {
	if s.sim != nil {
		s.sim.ResetCensus()
	}
}

// TraceHash returns a hash over everything that has happened: equal runs, equal hashes.
func (s *Simulation) TraceHash() uint64 {
	if s.sim == nil {
		return 0
	}
	return s.sim.TraceHash()
}
