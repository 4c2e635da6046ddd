package runtime

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/session"

	"github.com/ada420b6/overlay/internal/udp"
)

// Config is what a node is made from. Invite is required; everything else has a
// default.
type Config struct {
	// Invite is the network.
	Invite cert.Invite
	// Name is the node's name, by ident.CheckName's rules. Empty for a contribute-only
	// node.
	Name string
	// Contribute lets a node do without a name: it gives its resources, and can't be
	// called.
	Contribute bool
	// Role is what the node may become; default core.RoleAuto.
	Role core.Role
	// Slots is how many normal attachments it offers as a supernode; default the
	// policy's NormalSlots. Memory: about 4 x Slots sessions of 2 KiB.
	Slots uint32
	// RelayBudget is how many bytes a second the node forwards for others as a supernode;
	// default UserRelayBudget, or no limit with core.RoleSupernode.
	RelayBudget int64
	// StateDir is where identity, certificate and host cache are kept. Without one the
	// node is a stranger at every start, and its name can't be claimed again.
	StateDir string
	// Policy is what the protocol decides by; default core.DefaultPolicy.
	Policy core.Policy
	// Logger gets what an operator should know; default none. What peers do wrong is
	// Debug.
	Logger *slog.Logger
	// ListenPacket makes the sockets; default UDP.
	ListenPacket ListenPacket
	// Address is where to listen, "host:port"; default ":0", every address of the
	// machine and a free port. A node that shall be reachable behind a router needs a
	// fixed port.
	Address string
	// RelayedOnly keeps this machine's addresses from the peers of its conversations: all
	// goes through relays.
	RelayedOnly bool
	// Interfaces returns the addresses of this machine's interfaces; default net's.
	Interfaces func() ([]net.Addr, error)
	// Clock is the machine's; default time.Now. It may be wrong: certificates are judged
	// by it only while it fits them (networktime.go).
	Clock func() time.Time
	// Record gets everything that the machine is told and decides, for Replay; default
	// none. Costs about 1 KiB a message.
	Record io.Writer
}

// withDefaults checks a Config and fills it in.
func (c Config) withDefaults() (Config, error) {
	if err := c.Invite.Check(); err != nil {
		return c, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	switch {
	case c.Name == "" && !c.Contribute:
		return c, fmt.Errorf("%w: a node needs a name, or contributes without one", ErrConfig)
	case c.Name != "" && c.Contribute:
		return c, fmt.Errorf("%w: a contribute-only node has no name, not %q", ErrConfig, c.Name)
	case c.Role > core.RoleSupernode:
		return c, fmt.Errorf("%w: role %d", ErrConfig, c.Role)
	case c.RelayBudget != 0 && c.RelayBudget < MinRelayBudget:
		return c, fmt.Errorf("%w: a relay budget of %d bytes a second", ErrConfig, c.RelayBudget)
	case c.Slots > maxSlots:
		return c, fmt.Errorf("%w: %d slots, at most %d", ErrConfig, c.Slots, maxSlots)
	}
	if c.Name != "" {
		if err := ident.CheckName(c.Name); err != nil {
			return c, fmt.Errorf("%w: %w", ErrConfig, err)
		}
	}
	if c.Policy == (core.Policy{}) {
		c.Policy = core.DefaultPolicy()
	}
	if c.Slots == 0 {
		c.Slots = uint32(c.Policy.NormalSlots)
	}
	if c.RelayBudget == 0 && c.Role != core.RoleSupernode {
		c.RelayBudget = UserRelayBudget
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.ListenPacket == nil {
		c.ListenPacket = listenUDP
	}
	if c.Interfaces == nil {
		c.Interfaces = net.InterfaceAddrs
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Address == "" {
		c.Address = ":0"
	}
	return c, nil
}

// MinRelayBudget is the least that a relay may be limited to, in bytes a second: what one
// channel should get.
const MinRelayBudget = budgetShare

// UserRelayBudget is what a user's machine forwards for others at most, in bytes a second:
// 2 Mbit/s up and down, a tenth of an uplink of 20 Mbit/s, of which the user notices nothing.
// 400 users of a supernode, 1 % of them in a call and a quarter of these relayed, are one
// call of 14 kB/s: there is room for 18.
const UserRelayBudget = 250_000

// maxSlots is a million: what one machine carries (ARCHITECTURE.md, scale).
const maxSlots = 1 << 20

// maxSessions returns how many sessions a node with so many normal slots may have: the
// thin slots that go with them, and a quarter of the default for supernodes, seconds
// and strangers.
func maxSessions(slots uint32, p *core.Policy) int {
	n := int(slots)
	if p.NormalSlots > 0 {
		n += n * p.ThinSlots / p.NormalSlots
	}
	return max(session.DefaultMaxSessions, n+session.DefaultMaxSessions/4)
}

// guessAddress returns where a socket can be reached, as far as this machine knows: its
// own address if it is bound to one, else the one that packets to a login server leave
// from. Others tell better later (observe.go).
func guessAddress(ctx context.Context, pc net.PacketConn, to netip.AddrPort) netip.AddrPort {
	at, ok := udp.AddrPort(pc.LocalAddr())
	if !ok {
		return netip.AddrPort{}
	}
	if !at.Addr().IsUnspecified() {
		return at
	}
	if _, udp := pc.(*net.UDPConn); !udp || !to.IsValid() {
		return netip.AddrPort{}
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "udp", to.String()) // sends nothing
	if err != nil {
		return netip.AddrPort{}
	}
	defer c.Close()
	local, ok := udp.AddrPort(c.LocalAddr())
	if !ok {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(local.Addr(), at.Port())
}

// reachable returns where a login server's own socket can be reached. One that listens
// on every address of the machine names the one that packets to the internet leave
// from, or the loopback when there is none.
func reachable(ctx context.Context, pc net.PacketConn) netip.AddrPort {
	internet := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), 9) // RFC 5737: nobody's
	if at := guessAddress(ctx, pc, internet); at.IsValid() {
		return at
	}
	at, _ := udp.AddrPort(pc.LocalAddr())
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
}
