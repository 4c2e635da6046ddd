package overlay

import (
	"errors"
	"fmt"
	"os"
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
// A Simulation is for one goroutine.
type Simulation struct {
	seed    uint64
	config  networkConfig
	pending int // nodes added before the first Run
	sim     *sim.Sim
	err     error // the first thing that went wrong; it stays
}

type simulationConfig struct {
	latencies string
	loss      float64
	reachable float64
	nodes     int
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
	return simulationOption("WithLatencies", func(c *simulationConfig) error {
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("WithLatencies: %w", err)
		}
		c.latencies = file
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

// NewSimulation makes an empty network of two login servers. Of the options of New it
// takes WithHealing; WithLatencies, WithLoss, WithReachable and WithMaxNodes are its own.
func NewSimulation(seed uint64, opts ...Option) (*Simulation, error) {
	c := networkConfig{healing: DefaultHealing(), simulation: simulationConfig{loss: -1, reachable: -1}}
	if err := apply(opts, &c); err != nil {
		return nil, err
	}
	if len(c.real) > 0 {
		return nil, fmt.Errorf("overlay: %s means nothing to a simulation", c.real[0])
	}
	return &Simulation{seed: seed, config: c}, nil
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
	s.sim.StartFrom(first, vtime.Duration(10*time.Second+time.Duration(n)*time.Millisecond))
	return nil
}

// ready makes the machines that were added before the first Run.
func (s *Simulation) ready() error {
	if s.err != nil || s.sim != nil {
		return s.err
	}
	if s.pending == 0 {
		return s.fail(errors.New("overlay: a simulation needs nodes: call Add"))
	}
	o := s.config.simulation
	nodes := o.nodes
	if nodes == 0 {
		nodes = min(max(1000, 2*s.pending), sim.MaxNodes)
	}
	c := sim.DefaultConfig(nodes)
	c.Seed, c.Policy = s.seed, s.config.healing.core()
	if nodes <= sim.BigRun {
		c.Cache = c.Policy.HostCache
	}
	if o.loss >= 0 {
		c.Loss = o.loss
	}
	if o.reachable >= 0 {
		c.Reachable = o.reachable
	}
	if o.latencies != "" {
		m, err := sim.LoadLatency(o.latencies)
		if err != nil {
			return s.fail(fmt.Errorf("overlay: %w", err))
		}
		c.Latency = m
	}
	var err error
	if s.sim, err = sim.New(c); err != nil {
		return s.fail(fmt.Errorf("overlay: %w", err))
	}
	return s.start(s.pending)
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

// Reboot takes a random share of the running nodes down, without a goodbye, at random
// moments within the time over; each is away for about down, and comes back with what
// it had on disk. A wrong share is the error of the next Run.
func (s *Simulation) Reboot(fraction float64, over, down time.Duration) {
	if over < 0 || down < 0 {
		_ = s.fail(fmt.Errorf("overlay: Reboot: negative time"))
	}
	if s.share("Reboot", fraction) {
		s.sim.RebootShare(fraction, vtime.Duration(over), vtime.Duration(down))
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

// Run lets d pass. The error is the first thing that has gone wrong: a wrong argument of
// an earlier call, or a rule of the protocol that was broken, with the seed and the
// moment. After an error the simulation stands still.
func (s *Simulation) Run(d time.Duration) error {
	if d < 0 {
		return s.fail(fmt.Errorf("overlay: Run(%v): negative time", d))
	}
	if err := s.ready(); err != nil {
		return err
	}
	if err := s.sim.Run(vtime.Duration(d)); err != nil {
		return s.fail(fmt.Errorf("overlay: %w", err))
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
	took, err := s.sim.Settle(vtime.Duration(max))
	if err != nil {
		return time.Duration(took), s.fail(fmt.Errorf("overlay: %w", err))
	}
	return time.Duration(took), nil
}

// Census is the network at one moment, and what has happened since it began.
type Census struct {
	Time        time.Duration // simulated time since the start
	Running     int           // nodes whose machine runs
	Attached    int           // of these, nodes that can be found and called
	Supernodes  int           // of these, nodes that serve
	MinAttached float64       // smallest share of the running nodes that was attached since ResetCensus

	Promotions, Demotions uint64 // changes of role
	Messages              uint64 // messages that arrived
	Bytes                 uint64 // their size, without packet headers
	Events                uint64 // steps of the simulation

	// WaitP50, WaitP99 and WaitMax say how long nodes were without an attachment, over
	// all times that one started or lost its last, and got one; within 3 %.
	WaitP50, WaitP99, WaitMax time.Duration
	// TriesMean is how many probes and attaches that took on average.
	TriesMean float64
}

// String tells the census in a line.
func (c Census) String() string {
	return fmt.Sprintf("%v: %d running, %d attached (never under %.1f %%), %d supernodes", c.Time.Round(time.Second), c.Running, c.Attached, 100*c.MinAttached, c.Supernodes)
}

// Census counts. It is the zero Census before there are nodes.
func (s *Simulation) Census() Census {
	if s.sim == nil {
		return Census{}
	}
	c := s.sim.Census()
	return Census{
		Time: time.Duration(c.At), Running: c.Running, Attached: c.Attached, Supernodes: c.Supernodes, MinAttached: c.MinAttached,
		Promotions: c.Promotions, Demotions: c.Demotions, Messages: c.Delivered, Bytes: c.Bytes, Events: c.Events,
		WaitP50: time.Duration(c.Waits.P50), WaitP99: time.Duration(c.Waits.P99), WaitMax: time.Duration(c.Waits.Max),
		TriesMean: c.Waits.MeanTries,
	}
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
