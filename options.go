package overlay

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/runtime"
)

// Option configures New, and NewSimulation where its documentation says so.
type Option interface {
	network(*networkConfig) error
}

// LoginOption configures ListenLogin.
type LoginOption interface {
	login(*loginConfig) error
}

// CommonOption configures New, NewSimulation or ListenLogin.
type CommonOption interface {
	Option
	LoginOption
}

// NodeOption configures Join.
type NodeOption interface {
	node(*nodeConfig) error
}

// networkConfig is what New and NewSimulation are told. real and rehearsal name the
// options given that mean something to one of them only.
type networkConfig struct {
	invite       cert.Invite
	stateDir     string
	healing      HealingPolicy
	logger       *slog.Logger
	listenPacket listenPacket
	simulation   simulationConfig
	real         []string
	rehearsal    []string
}

type nodeConfig struct {
	address    string
	budget     int64
	role       Role
	capacity   int
	contribute bool
	relayed    bool
}

type listenPacket = func(ctx context.Context, address string) (net.PacketConn, error)

type networkOption func(*networkConfig) error

func (f networkOption) network(c *networkConfig) error { return f(c) }

type nodeOption func(*nodeConfig) error

func (f nodeOption) node(c *nodeConfig) error { return f(c) }

type commonOption struct {
	networkOption
	loginOption
}

// WithInvite names the network to join: the string that LoginServer.Invite returns.
// It is required by New. New fails when the invite is damaged, and says where.
func WithInvite(invite string) Option {
	return networkOption(func(c *networkConfig) error {
		v, err := cert.ParseInvite(invite)
		if err != nil {
			return fmt.Errorf("WithInvite: %w", err)
		}
		c.invite = v
		c.real = append(c.real, "WithInvite")
		return nil
	})
}

// WithStateDir names the directory in which things are kept that must survive the
// process. It is made when it is not there.
//
// Of a network: each node that joins has a folder of its own in it, with its identity,
// its certificate, the supernodes it remembers and its role. Without a state directory
// a node is a new one at each start: it can't claim its name again.
//
// Of a login server: the accounts and the keys of the network. Without one they are
// gone with the process, and with them the network's right to names.
func WithStateDir(dir string) CommonOption {
	check := func() error {
		if dir == "" {
			return fmt.Errorf("WithStateDir: empty directory name")
		}
		if fi, err := os.Stat(dir); err == nil && !fi.IsDir() {
			return fmt.Errorf("WithStateDir: %s is not a directory", dir)
		}
		return nil
	}
	return commonOption{
		func(c *networkConfig) error {
			c.stateDir = dir
			c.real = append(c.real, "WithStateDir")
			return check()
		},
		func(c *loginConfig) error {
			c.stateDir = dir
			return check()
		},
	}
}

// WithHealing sets the numbers by which the network heals; DefaultHealing by default.
// All nodes of a network should have the same. Also for NewSimulation.
func WithHealing(p HealingPolicy) Option {
	return networkOption(func(c *networkConfig) error {
		if err := p.validate(); err != nil {
			return fmt.Errorf("WithHealing: %w", err)
		}
		c.healing = p
		return nil
	})
}

// WithLogger sets where is told what an operator should know; nowhere by default. What
// peers do wrong is told at level Debug.
func WithLogger(l *slog.Logger) CommonOption {
	check := func() error {
		if l == nil {
			return fmt.Errorf("WithLogger: nil logger")
		}
		return nil
	}
	return commonOption{
		func(c *networkConfig) error {
			c.logger = l
			c.real = append(c.real, "WithLogger")
			return check()
		},
		func(c *loginConfig) error {
			c.logger = l
			return check()
		},
	}
}

// WithListenPacket sets how sockets are made; UDP by default. listen is called with the
// address given to WithListenAddress or ListenLogin, and with ":0" for a socket of any
// address. It lets a network run in memory, in tests, or over a transport of the
// program's own.
func WithListenPacket(listen func(ctx context.Context, address string) (net.PacketConn, error)) CommonOption {
	check := func() error {
		if listen == nil {
			return fmt.Errorf("WithListenPacket: nil function")
		}
		return nil
	}
	return commonOption{
		func(c *networkConfig) error {
			c.listenPacket = listen
			c.real = append(c.real, "WithListenPacket")
			return check()
		},
		func(c *loginConfig) error {
			c.listenPacket = listen
			return check()
		},
	}
}

// WithListenAddress sets the address, "host:port", at which the node's one UDP socket
// listens; ":0" by default, any address of the machine and a free port. A machine
// behind a router that forwards a port needs that port here to become a supernode.
func WithListenAddress(address string) NodeOption {
	return nodeOption(func(c *nodeConfig) error {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return fmt.Errorf("WithListenAddress: %q is not host:port: %w", address, err)
		}
		c.address = address
		return nil
	})
}

// WithRole sets what the node may become; RoleAuto by default.
func WithRole(r Role) NodeOption {
	return nodeOption(func(c *nodeConfig) error {
		if r > RoleSupernode {
			return fmt.Errorf("WithRole: there is no role %d", r)
		}
		c.role = r
		return nil
	})
}

// WithCapacity sets how many nodes this one holds at most when it serves as a
// supernode; HealingPolicy.NormalSlots by default. In an emergency it takes about three
// times as many on top, of nodes that have no other, at a third of the traffic each. An operator's machine may
// state up to a million. The cost is about 2 KiB of memory and, at the default
// keepalive, 3 bytes a second in each direction for each node held.
func WithCapacity(nodes int) NodeOption {
	return nodeOption(func(c *nodeConfig) error {
		if nodes < 1 || nodes > MaxCapacity {
			return fmt.Errorf("WithCapacity: %d nodes, 1 to %d are possible", nodes, MaxCapacity)
		}
		c.capacity = nodes
		return nil
	})
}

// WithRelayBudget sets how many bytes a second the node forwards at most for nodes that
// can't reach each other, as long as it serves as a supernode. The default of an operator's
// machine, WithRole(RoleSupernode), is no limit; of all others 250 000: 2 Mbit/s in each
// direction, some 18 voice calls. More lets downloads between others be faster and
// the owner's own slower; less than MinRelayBudget, one voice call, is an error. What
// exceeds it waits, and then gets lost, of each conversation in proportion; while many
// share it no further ones are taken. A packet counts as 100 bytes at least.
func WithRelayBudget(bytesPerSecond int) NodeOption {
	return nodeOption(func(c *nodeConfig) error {
		if bytesPerSecond < MinRelayBudget {
			return fmt.Errorf("WithRelayBudget: %d bytes a second, at least %d", bytesPerSecond, MinRelayBudget)
		}
		c.budget = min(int64(bytesPerSecond), maxRelayBudget)
		return nil
	})
}

// MinRelayBudget is the least that a relay may be limited to, in bytes a second. A node
// that shall forward nothing joins WithRole(RoleNode).
const MinRelayBudget = runtime.MinRelayBudget

// maxRelayBudget is a terabyte: no limit.
const maxRelayBudget = 1 << 40

// MaxCapacity is the highest capacity that a supernode may state.
const MaxCapacity = 1 << 20

// WithContributeOnly lets a node join with an empty name: it gives its resources, as a
// supernode and relay where the network needs it, holds no name, and makes and takes no
// calls.
func WithContributeOnly() NodeOption {
	return nodeOption(func(c *nodeConfig) error {
		c.contribute = true
		return nil
	})
}

// WithRelayedOnly keeps the addresses of this machine from the other ends of its
// conversations: all of them go through relays, whose supernodes see the addresses that
// packets come from, as they do of every node. By default a conversation goes directly
// where it can: once both ends have proven who they are, each tells the other the
// addresses of its interfaces and the one that its relays see. Relayed conversations are
// slower, and cost the supernodes their bytes.
func WithRelayedOnly() NodeOption {
	return nodeOption(func(c *nodeConfig) error {
		c.relayed = true
		return nil
	})
}
