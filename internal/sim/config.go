package sim

import (
	"errors"
	"fmt"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

// Config describes a simulated network. DefaultConfig fills in every field; New takes
// what it finds, so 0 means 0.
type Config struct {
	// Seed is the seed of everything that is drawn. Equal configurations and equal
	// calls give equal runs.
	Seed uint64

	// Nodes is the largest number of nodes that Add may reach, 1 to MaxNodes.
	// Memory is set aside for all of them.
	Nodes int

	// Logins is the number of login servers, 0 to MaxLogins; 2 by default. They run
	// from the start.
	Logins int

	// LoginRate is how many applications all login servers together decide a second: a
	// 2 000th of the nodes by default, so that they log everybody in within 33 min
	// (PROTOCOL.md section 16), and at least 100, so that a small network of nodes without
	// certificates begins soon. To show the outage of 2007 at less than 200 000 nodes,
	// set it to a 2 000th: it is the ratio that matters.
	LoginRate float64

	// Uncertified is the share of nodes that start without a certificate and must log
	// in first; 0 by default: a network that has been running before.
	Uncertified float64

	// Policy is what every machine decides by; core.DefaultPolicy by default.
	Policy core.Policy

	// Latency places the hosts; DefaultLatency by default.
	Latency *Latency

	// Jitter is by how much, as a share of the latency, a message may be late; 0.1.
	Jitter float64

	// Loss, Dup and Reorder are the probabilities that a message is lost, arrives
	// twice, or is held back by up to 250 ms; 0.01, 0.001 and 0.01.
	Loss, Dup, Reorder float64

	// Reachable is the share of nodes that strangers can reach; 0.5. The others never
	// receive a dial-back, so they cannot become supernodes. The first node is always
	// reachable, so that a network of one can start.
	Reachable float64

	// Groups is the number of address groups that hosts are spread over; 4096.
	Groups int

	// Service is how fast a node handles messages, LoginService a login server.
	Service, LoginService Service

	// Cache is how many places of a node's host cache have memory, if Policy.HostCache
	// does not want fewer. By default 500 up to 20 000 nodes; above, where the caches
	// would be most of the memory, 64.
	Cache int

	// Full makes peers, members, records and certificates as large as real ones, so
	// that message sizes are those of the runtime. Without it a peer is 4 bytes.
	// By default true up to 2 000 nodes.
	Full bool

	// Foretold lets keepalives that change nothing be drawn ahead, up to the next that is
	// lost, in place of being carried out (see foretell.go), and records be renewed without
	// a message (renew.go): a healthy minute then costs little. By default true above ForetoldAbove nodes. It does nothing for a policy
	// that quits under load.
	Foretold bool

	// Check is how closely the oracle watches; CheckFull up to 2 000 nodes, else
	// CheckBasic.
	Check Check

	// Strict lets the oracle hold a policy of 2007 or 2010 to the rules that it breaks by
	// design (PROTOCOL.md section 11): R5 and R6 for a queue, R3 and R7 for quitting
	// under load. False by default, so that such a policy can be rehearsed to its end.
	Strict bool
}

// Service is how fast a host handles messages. Messages beyond its queue are dropped.
type Service struct {
	Rate      int // messages a second; 5 000 for a node, 20 000 for a login server
	Handshake int // of those that open a session; 2 000 and 6 000: Noise IK takes 0.16 ms
	Queue     int // messages that may wait; 1 000 (0.2 s of work) and 4 000
}

// Check is how closely the oracle watches.
type Check uint8

// The levels.
const (
	CheckOff   Check = iota // not at all: for throughput
	CheckBasic              // R1, R3 and the size of messages: no state per message
	CheckFull               // every rule, by reading every message: a third slower
)

// Limits of a configuration.
const (
	MaxNodes  = 1 << 24 // 10 million, with room
	MaxLogins = 64
	MaxCache  = 1 << 16
	maxRate   = 1 << 30
	smallRun  = 2_000
	BigRun    = 20_000 // above it host caches are small
)

// ForetoldAbove is the number of nodes above which DefaultConfig has keepalives foretold.
const ForetoldAbove = 10_000

// ErrConfig is the error of New; what it says names the field.
var ErrConfig = errors.New("overlay/sim: bad configuration")

// DefaultConfig returns the defaults for a network of up to nodes nodes.
func DefaultConfig(nodes int) Config {
	c := Config{
		Seed:         1,
		Nodes:        nodes,
		Logins:       2,
		LoginRate:    max(100, float64(nodes)/2_000),
		Policy:       core.DefaultPolicy(),
		Latency:      DefaultLatency(),
		Jitter:       0.1,
		Loss:         0.01,
		Dup:          0.001,
		Reorder:      0.01,
		Reachable:    0.5,
		Groups:       4096,
		Service:      Service{Rate: 5_000, Handshake: 2_000, Queue: 1_000},
		LoginService: Service{Rate: 20_000, Handshake: 6_000, Queue: 4_000},
		Cache:        core.DefaultPolicy().HostCache,
		Full:         nodes <= smallRun,
		Foretold:     nodes > ForetoldAbove,
		Check:        CheckFull,
	}
	if nodes > smallRun {
		c.Check = CheckBasic
	}
	if nodes > BigRun {
		c.Cache = 64
	}
	return c
}

func (c *Config) validate() error {
	for _, f := range []struct {
		name   string
		v      int
		lo, hi int
	}{
		{"Nodes", c.Nodes, 1, MaxNodes},
		{"Logins", c.Logins, 0, MaxLogins},
		{"Groups", c.Groups, 1, maxRate},
		{"Cache", c.Cache, 1, MaxCache},
		{"Service.Rate", c.Service.Rate, 1, maxRate},
		{"Service.Handshake", c.Service.Handshake, 1, maxRate},
		{"Service.Queue", c.Service.Queue, 1, maxRate},
		{"LoginService.Rate", c.LoginService.Rate, 1, maxRate},
		{"LoginService.Handshake", c.LoginService.Handshake, 1, maxRate},
		{"LoginService.Queue", c.LoginService.Queue, 1, maxRate},
	} {
		if f.v < f.lo || f.v > f.hi {
			return fmt.Errorf("%w: %s is %d, allowed are %d to %d", ErrConfig, f.name, f.v, f.lo, f.hi)
		}
	}
	for _, f := range []struct {
		name string
		v    float64
	}{
		{"Uncertified", c.Uncertified}, {"Jitter", c.Jitter}, {"Loss", c.Loss},
		{"Dup", c.Dup}, {"Reorder", c.Reorder}, {"Reachable", c.Reachable},
	} {
		if !(f.v >= 0 && f.v <= 1) {
			return fmt.Errorf("%w: %s is %v, allowed are 0 to 1", ErrConfig, f.name, f.v)
		}
	}
	if !(c.LoginRate > 0 && c.LoginRate <= maxRate) {
		return fmt.Errorf("%w: LoginRate is %v, more than 0 and at most %d are allowed", ErrConfig, c.LoginRate, maxRate)
	}
	if c.Latency == nil {
		return fmt.Errorf("%w: Latency is nil", ErrConfig)
	}
	if c.Check > CheckFull {
		return fmt.Errorf("%w: Check is %d", ErrConfig, c.Check)
	}
	return nil
}

// decision is how long one login server takes for an application.
func (c *Config) decision() vtime.Duration {
	return vtime.Duration(float64(c.Logins) / c.LoginRate * float64(vtime.Second))
}

// handle returns the handle of the host with index i; index is its inverse. Nodes come
// first, login servers after the largest node.
func handle(i uint32) ident.Handle { return ident.Handle(i + 1) }

func index(h ident.Handle) uint32 { return uint32(h) - 1 }
