package sim

import (
	"fmt"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
	"github.com/ada420b6/overlay/internal/vtime"
)

// Sim is a simulated network. It is not safe for concurrent use: a simulation is one
// thread of events, which is what makes it repeatable.
type Sim struct {
	cfg      Config
	now      vtime.Time
	end      vtime.Time // Run goes on until here
	queue    queue
	arena    arena
	hosts    []host
	machines machines
	book     *book
	net      network
	logins   []ident.Handle
	issues   []vtime.Time // when each login server will have decided what it has taken

	env     core.Env
	in      core.Input
	out     core.Effects
	cache   []core.CacheEntry // cfg.Cache for each node
	supers  hung[core.Supernode]
	callers hung[core.Calls]
	lookout hung[core.Watching]
	grown   []uint32                  // who serves from its first start on, ascending
	rosters map[uint32][]core.Known   // on the disks of those that are down
	away    map[uint32]vtime.Duration // how long those that are leaving will stay away

	added    int // nodes that exist
	starting int // hosts whose start is queued
	draw     uint64
	trace    uint64
	stats    stats
	asked    map[question]*Answer
	dialed   map[question]*Channel
	watchers map[uint32]*watcher  // by host
	floors   map[[2]uint64]uint64 // the latest sequence number that an asker has seen of a name
	query    uint32
	orphans  hostSet // nodes that run without an attachment
	stranded stranded
	offered  offered
	warm     warmth
	replay   *replay // nil when nobody comes and goes but by faults
	zones    zones
	patched  []bool // who was taken by a ring: see RebootRing
	oracle   *oracle
	tracer   *tracer
	broken   error // the first violation; nothing runs after it
	atOnce   int   // events at this very moment
	gone     bool  // the machine that is being stepped has left
	advise   vtime.Time
	renewing renewing
	touched  uint64 // of no meaning: what was read by fetch has to go somewhere

	// What was foretold, nil when nothing is: see foretell.go.
	core  *protocol
	naps  [][2]nap
	calms []calm // by place in supers
	peek  core.Env

	// mutate, tamper and deaf break the rules on purpose, for tests of the oracle:
	// they change an effect (false drops it), an input, or lose a timer.
	mutate func(i uint32, f *core.Effect, b []byte) bool
	tamper func(i uint32, in *core.Input)
	deaf   func(i uint32) bool
}

// New returns a network without nodes at time 0. Its login servers run. The error is
// an ErrConfig.
func New(cfg Config) (*Sim, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.Cache = min(cfg.Cache, cfg.Policy.HostCache)
	return newSim(cfg, newProtocol(&cfg)), nil
}

func newSim(cfg Config, m machines) *Sim {
	s := &Sim{
		cfg:      cfg,
		hosts:    large[host](cfg.Nodes + cfg.Logins),
		machines: m,
		book:     newBook(&cfg, mix(cfg.Seed)),
		issues:   make([]vtime.Time, cfg.Logins),
		cache:    large[core.CacheEntry](cfg.Nodes * cfg.Cache),
		rosters:  make(map[uint32][]core.Known),
		away:     make(map[uint32]vtime.Duration),
		asked:    make(map[question]*Answer),
		dialed:   make(map[question]*Channel),
		watchers: make(map[uint32]*watcher),
		floors:   make(map[[2]uint64]uint64),
		draw:     mix(cfg.Seed ^ 0x64726177),
		trace:    cfg.Seed,
		orphans:  hostSet{bits: make([]uint64, cfg.Nodes/64+1)},
		stranded: stranded{hostSet: hostSet{bits: make([]uint64, cfg.Nodes/64+1)}},
	}
	invariant.Check(s.SetZones(0, DefaultZones()...) == nil, "sim: the default zones are none")
	s.ResetCensus()
	s.net = newNetwork(&s.cfg)
	s.env = core.Env{Policy: &s.cfg.Policy, Book: s.book}
	if cfg.Check != CheckOff {
		s.oracle = newOracle(s)
	}
	for i := range s.hosts {
		h := &s.hosts[i]
		h.due, h.armed, h.seq, h.inc = vtime.Never, vtime.Never, 1, 1
		h.set(hostReachable, i == 0 || i >= cfg.Nodes || s.share(uint32(i), labelReach) < cfg.Reachable)
		if s.share(uint32(i), labelUncert) >= cfg.Uncertified {
			h.certified = 1
		}
	}
	for i := range cfg.Logins {
		s.logins = append(s.logins, handle(uint32(cfg.Nodes+i)))
	}
	s.env.Logins = s.logins
	s.foretells(m)
	for i := range cfg.Logins {
		s.start(uint32(cfg.Nodes + i))
	}
	return s
}

const (
	labelReach  uint64 = 0x726561
	labelUncert uint64 = 0x756e63
	labelRenew  uint64 = 0x72656e
	labelPlace  uint64 = 0x706c61
	labelOrigin uint64 = 0x6f7267
	labelStart  uint64 = 0x737461
	labelTicket uint64 = 0x74696b
)

// share draws a fact about host i from [0, 1): the same in every run of the seed.
func (s *Sim) share(i uint32, label uint64) float64 {
	return float64(s.book.hash(handle(i), label)>>11) / (1 << 53)
}

// random draws 64 bits for a fault: which hosts it hits, and when.
func (s *Sim) random() uint64 {
	s.draw++
	return mix(s.draw)
}

// within draws a moment from [0, d).
func (s *Sim) within(d vtime.Duration) vtime.Duration {
	return vtime.Duration(float64(s.random()>>11) / (1 << 53) * float64(d))
}

// Now returns the virtual time.
func (s *Sim) Now() vtime.Time { return s.now }

// Run lets d pass. It returns the first violation of a rule that the oracle has seen,
// after which the simulation stands still.
func (s *Sim) Run(d vtime.Duration) error {
	s.end = s.now.Add(d)
	if s.warm.under && !s.warm.now { // the warm-up is over, and its policy with it
		s.warm.under = false
		s.rouseAll()
	}
	if s.now >= s.advise {
		s.advise = s.now.Add(adviseEvery)
		s.supers.advise()
	}
	for s.broken == nil {
		e := s.queue.pop(s.end)
		if e == nil {
			s.now = s.end
			break
		}
		if s.queue.next&(lookAhead-1) == 1 {
			s.fetch(s.queue.ahead(lookAhead))
		}
		s.handle(e)
	}
	return s.broken
}

// adviseEvery is how often it is looked whether supernodes lie in memory that is new.
const adviseEvery = 10 * vtime.Second

// RunUntil runs until cond holds, asked every 10 ms of virtual time, and reports
// whether it did within max.
func (s *Sim) RunUntil(cond func() bool, max vtime.Duration) (bool, error) {
	const pause = 10 * vtime.Millisecond
	for end := s.now.Add(max); ; {
		if cond() {
			return true, s.broken
		}
		if s.now >= end || s.broken != nil {
			return false, s.broken
		}
		if err := s.Run(min(pause, end.Sub(s.now))); err != nil {
			return false, err
		}
	}
}

// TraceHash is a hash over every input that any machine was handed, with its moment:
// equal for equal configurations and calls (rule R10).
func (s *Sim) TraceHash() uint64 { return s.trace }

// Violation is what Run returns when a rule of PROTOCOL.md section 3 was broken.
type Violation struct {
	Rule string     // R1 to R12, or "size" or "book" for what no machine may do
	At   vtime.Time // when
	Node int        // which node, or -1-k for login server k
	Text string     // what happened
	Seed uint64     // of the run that shows it
}

func (v *Violation) Error() string {
	return fmt.Sprintf("%s violated at t=%.6fs, node %d: %s (seed %d)",
		v.Rule, vtime.Duration(v.At).Seconds(), v.Node, v.Text, v.Seed)
}

// violated notes the first violation.
func (s *Sim) violated(rule string, i uint32, format string, args ...any) {
	if s.broken == nil {
		s.broken = &Violation{Rule: rule, At: s.now, Node: s.number(i), Text: fmt.Sprintf(format, args...), Seed: s.cfg.Seed}
	}
}

// number is a host as its user counts: nodes from 0, login servers from -1 downwards.
func (s *Sim) number(i uint32) int {
	if int(i) < s.cfg.Nodes {
		return int(i)
	}
	return s.cfg.Nodes - int(i) - 1
}

// node returns the host index of node i.
func (s *Sim) node(i int) uint32 {
	invariant.Check(0 <= i && i < s.added, "sim: a node was named that was never added")
	return uint32(i)
}
