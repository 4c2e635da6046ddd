// Package memnet is a network in memory: datagrams between addresses, with latency,
// loss and cuts, as net.PacketConn values. It starts no goroutine and waits only on
// channels and timers, so that under testing/synctest a minute of it takes no time.
package memnet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

const (
	// inboxSize is how many datagrams are on their way to one socket, at most: what a
	// kernel's receive buffer of 2 MB holds.
	inboxSize = 2048
	// MaxDatagram is the largest datagram, in bytes: an Ethernet's MTU less IPv4 and UDP.
	MaxDatagram = 1472
	// firstPort is where ports for ":0" begin.
	firstPort = 20000
)

// Config says what the network is like.
type Config struct {
	Seed    uint64                                      // of loss and jitter
	Latency func(from, to netip.AddrPort) time.Duration // one way; nil is 10 ms
	Jitter  time.Duration                               // added, drawn from [0, Jitter)
	Loss    float64                                     // share of datagrams that are lost
}

// Network is a network in memory.
type Network struct {
	mu      sync.Mutex
	config  Config
	rng     *rand.Rand
	sockets map[netip.AddrPort]*Socket
	cut     map[netip.Addr]bool
	split   map[[2]netip.Addr]bool // in both orders
	port    uint16
	sent    uint64
	lost    uint64
}

// New returns an empty network.
func New(c Config) *Network {
	if c.Latency == nil {
		c.Latency = func(_, _ netip.AddrPort) time.Duration { return 10 * time.Millisecond }
	}
	return &Network{
		config:  c,
		rng:     rand.New(rand.NewPCG(c.Seed, 1)),
		sockets: make(map[netip.AddrPort]*Socket),
		cut:     make(map[netip.Addr]bool),
		split:   make(map[[2]netip.Addr]bool),
		port:    firstPort,
	}
}

// Host returns a ListenPacket function for the machine at addr: whatever host the
// address that it is given names, the socket is at addr.
func (n *Network) Host(addr netip.Addr) func(ctx context.Context, address string) (net.PacketConn, error) {
	return func(_ context.Context, address string) (net.PacketConn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, &net.OpError{Op: "listen", Net: "mem", Err: err}
		}
		return n.Listen(net.JoinHostPort(addr.String(), port))
	}
}

// Listen returns a socket at "address:port"; port 0 is a free one. The error of an
// address in use unwraps to syscall.EADDRINUSE.
func (n *Network) Listen(address string) (*Socket, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "mem", Err: err}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for at.Port() == 0 {
		n.port = max(n.port+1, firstPort)
		if free := netip.AddrPortFrom(at.Addr(), n.port); n.sockets[free] == nil {
			at = free
		}
	}
	if n.sockets[at] != nil {
		return nil, &net.OpError{Op: "listen", Net: "mem", Addr: net.UDPAddrFromAddrPort(at), Err: syscall.EADDRINUSE}
	}
	s := &Socket{network: n, at: at, local: net.UDPAddrFromAddrPort(at), wake: make(chan struct{}, 1), closed: make(chan struct{})}
	n.sockets[at] = s
	return s, nil
}

// Cut takes the machine at addr off the network, or mends it: nothing comes or goes.
func (n *Network) Cut(addr netip.Addr, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[addr] = cut
}

// Split keeps two machines from reaching each other, or mends it: others reach both.
func (n *Network) Split(a, b netip.Addr, split bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.split[[2]netip.Addr{a, b}], n.split[[2]netip.Addr{b, a}] = split, split
}

// SetLoss changes the share of datagrams that are lost.
func (n *Network) SetLoss(share float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.config.Loss = share
}

// Sent returns how many datagrams were sent, and how many of them were lost.
func (n *Network) Sent() (sent, lost uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sent, n.lost
}

// carry brings a datagram on its way. As with UDP, whoever sends learns nothing.
func (n *Network) carry(from, to netip.AddrPort, b []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sent++
	s := n.sockets[to]
	if s == nil || n.cut[from.Addr()] || n.cut[to.Addr()] || n.split[[2]netip.Addr{from.Addr(), to.Addr()}] || n.rng.Float64() < n.config.Loss {
		n.lost++
		return
	}
	delay := n.config.Latency(from, to)
	if n.config.Jitter > 0 {
		delay += time.Duration(n.rng.Int64N(int64(n.config.Jitter)))
	}
	if !s.arrive(datagram{due: time.Now().Add(delay), from: from, b: append(make([]byte, 0, len(b)), b...)}) {
		n.lost++
	}
}

func (n *Network) leave(at netip.AddrPort) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.sockets, at)
}

var errTooLong = fmt.Errorf("at most %d bytes: %w", MaxDatagram, syscall.EMSGSIZE)

// addrPort returns the address of any net.Addr that has one.
func addrPort(a net.Addr) (netip.AddrPort, error) {
	if u, ok := a.(*net.UDPAddr); ok {
		at := u.AddrPort()
		return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), nil
	}
	if a == nil {
		return netip.AddrPort{}, errors.New("no address")
	}
	return netip.ParseAddrPort(a.String())
}
