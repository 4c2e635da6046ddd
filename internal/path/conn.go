package path

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
	"github.com/ada420b6/overlay/internal/stream"
	"github.com/ada420b6/overlay/internal/udp"
)

// queueSize is how many received packets wait for ReadFrom: 1024 x 1.5 KiB = 1.5 MiB,
// 13 ms at 100 MB/s. What overflows is lost like a packet on the way; QUIC slows down.
const queueSize = 1024

// Config is what a Conn is made from.
type Config struct {
	Self ident.Key // this node: packets to it come straight back
	Name string    // for LocalAddr
	// Send sends a packet. The slice is valid only during the call, which may come from
	// several goroutines at once.
	Send func(to netip.AddrPort, packet []byte)
	// SendRun sends many at once, and Raw is the socket below where they leave it in one
	// piece; default nil, and one goes after the other.
	SendRun func(udp.Run)
	Raw     syscall.RawConn
	// Wanted says that a way to the peer is wanted: there is none, or none that works.
	// Silent says that probes on one of its ways are not answered. Both must not block,
	// nor call the Conn, and may be called from several goroutines at once.
	Wanted func(peer ident.Key)
	Silent func(peer ident.Key, channel uint64, via ident.Key)
	// Secret returns what only this node and the owner of a session key can compute.
	Secret func(peer ident.Key) ([32]byte, error)
	// Local returns the addresses at which this machine itself may be reached, the port
	// included. Nil: no peer is told any, and all ways are relayed.
	Local func() []netip.AddrPort
}

// Conn is the virtual PacketConn. Its addresses are stream.Addr values, of which only
// the key matters.
type Conn struct {
	self     ident.Key
	local    net.Addr
	loopback net.Addr
	send     func(netip.AddrPort, []byte)
	sendRun  func(udp.Run)
	raw      syscall.RawConn
	wanted   func(ident.Key)
	silent   func(ident.Key, uint64, ident.Key)
	secret   func(ident.Key) ([32]byte, error)
	own      func() []netip.AddrPort // nil: all ways are relayed
	start    time.Time
	attempts attempts
	unproven unproven

	queue       chan received
	read, write *deadline
	closed      chan struct{}
	once        sync.Once
	n           counters

	mu       sync.RWMutex
	peers    map[ident.Key]*peer // at most MaxPeers
	channels map[uint64]*way     // at most maxWays for each peer
}

// received is a packet in the queue.
type received struct {
	b    *Buffer
	from net.Addr
}

// Counters says why packets were dropped.
type Counters struct {
	NoRoute        uint64 // sent to a peer that there is no way to
	Oversized      uint64 // sent with more than MaxPayload bytes
	UnknownChannel uint64 // received on a channel that nobody told of
	WrongSource    uint64 // received on a channel, but not from its relay
	QueueFull      uint64 // received faster than read
	TableFull      uint64 // ways not taken because there are MaxPeers peers
	BadProbe       uint64 // probes, echoes, offers and punches that the peer did not make, or that nobody waits for
	Punches        uint64 // sent, to find a direct way
}

type counters struct {
	noRoute, oversized, unknown, source, queue, full, probe, punches atomic.Uint64
}

// ErrAddr is the error of WriteTo for an address that is not a stream.Addr.
var ErrAddr = errors.New("path: not an overlay address")

// New returns a Conn without any ways.
func New(c Config) *Conn {
	invariant.Check(c.Send != nil && c.Wanted != nil && c.Silent != nil && c.Secret != nil, "path: Config needs all its functions")
	if c.SendRun == nil {
		c.SendRun = func(r udp.Run) {
			for len(r.Data) > 0 {
				one := r.Cut(1)
				c.Send(one.Addr, one.Data)
			}
		}
	}
	return &Conn{
		self:     c.Self,
		local:    stream.Addr{Key: c.Self, Name: c.Name},
		loopback: stream.Addr{Key: c.Self},
		send:     c.Send,
		sendRun:  c.SendRun,
		raw:      c.Raw,
		wanted:   c.Wanted,
		silent:   c.Silent,
		secret:   c.Secret,
		own:      c.Local,
		start:    time.Now(),
		queue:    make(chan received, queueSize),
		read:     newDeadline(),
		write:    newDeadline(),
		closed:   make(chan struct{}),
		peers:    make(map[ident.Key]*peer),
		channels: make(map[uint64]*way),
	}
}

// now is monotonic and never 0, which stands for never.
func (c *Conn) now() time.Duration { return time.Since(c.start) + 1 }

// Receive takes in a packet that came from an address, and keeps b if it reports true.
// It never blocks.
func (c *Conn) Receive(b *Buffer, from netip.AddrPort) bool {
	number, ok := Channel(b.Bytes())
	if ok && isPunch(b.payload()) {
		c.punched(number, b.payload(), from, c.now())
		return false
	}
	c.mu.RLock()
	w := c.channels[number]
	c.mu.RUnlock()
	if !ok || w == nil {
		c.n.unknown.Add(1)
		return false
	}
	if !w.takes(from) {
		c.n.source.Add(1)
		return false
	}
	switch p := b.payload(); {
	case isControl(p):
		c.answer(w, p, from, c.now())
		return false
	case isOffer(p):
		c.offered(w, p, c.now())
		return false
	case isMirrored(p):
		c.sight(w, p, c.now())
		return false
	}
	c.hearing(w, c.now())
	return c.enqueue(received{b, w.to.boxed})
}

func (c *Conn) enqueue(r received) bool {
	select {
	case <-c.closed:
		return false
	default:
	}
	select {
	case c.queue <- r:
		return true
	default:
		c.n.queue.Add(1)
		return false
	}
}

// ReadFrom returns the payload of the next packet and who sent it, as a stream.Addr.
func (c *Conn) ReadFrom(p []byte) (int, net.Addr, error) {
	r, err := c.next()
	if err != nil {
		return 0, nil, err
	}
	n := copy(p, r.b.payload())
	r.b.Free()
	return n, r.from, nil
}

// next waits for a packet.
func (c *Conn) next() (r received, err error) {
	over := c.read.passed()
	select {
	case <-c.closed:
		return r, c.fail("read", net.ErrClosed)
	case <-over:
		return r, c.fail("read", os.ErrDeadlineExceeded)
	default:
	}
	select {
	case r = <-c.queue:
		return r, nil
	case <-over:
		return r, c.fail("read", os.ErrDeadlineExceeded)
	case <-c.closed:
		return r, c.fail("read", net.ErrClosed)
	}
}

// WriteTo sends p to the peer whose stream.Addr is given. Without a way p is dropped
// like any datagram, and a way is asked for. Errors: ErrAddr, one that unwraps to
// syscall.EMSGSIZE, net.ErrClosed, os.ErrDeadlineExceeded.
func (c *Conn) WriteTo(p []byte, addr net.Addr) (int, error) {
	a, ok := addr.(stream.Addr)
	select {
	case <-c.closed:
		return 0, c.fail("write", net.ErrClosed)
	case <-c.write.passed():
		return 0, c.fail("write", os.ErrDeadlineExceeded)
	default:
	}
	switch {
	case !ok:
		return 0, c.fail("write", ErrAddr)
	case len(p) > MaxPayload:
		c.n.oversized.Add(1)
		return 0, c.fail("write", fmt.Errorf("%d bytes, at most %d: %w", len(p), MaxPayload, syscall.EMSGSIZE))
	}
	b := NewBuffer()
	if a.Key == c.self {
		b.pack(0, p)
		if !c.enqueue(received{b, c.loopback}) {
			b.Free()
		}
		return len(p), nil
	}
	to, now := c.peer(a.Key), c.now()
	if to == nil {
		b.Free()
		return len(p), nil
	}
	w := c.sending(to, now)
	if w == nil {
		c.n.noRoute.Add(1)
		b.Free()
		return len(p), nil
	}
	b.pack(w.channel, p)
	c.send(*w.addr.Load(), b.Bytes())
	c.sent(to, w, b, now)
	return len(p), nil
}

// peer returns the peer of key, nil when there is no room for it.
func (c *Conn) peer(key ident.Key) *peer {
	c.mu.RLock()
	p := c.peers[key]
	c.mu.RUnlock()
	if p == nil {
		c.mu.Lock()
		p = c.enter(key, c.now())
		c.mu.Unlock()
	}
	if p == nil {
		c.n.full.Add(1)
	}
	return p
}

// Close ends the conn. Whoever waits in ReadFrom gets net.ErrClosed.
func (c *Conn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.read.stop()
		c.write.stop()
	})
	return nil
}

// LocalAddr returns this node's stream.Addr.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// SetDeadline sets the deadlines of ReadFrom and WriteTo.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline sets the moment at which ReadFrom gives up; zero is never.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadline(c.read, t) }

// SetWriteDeadline sets the moment from which WriteTo fails; zero is never.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(c.write, t) }

func (c *Conn) setDeadline(d *deadline, t time.Time) error {
	select {
	case <-c.closed:
		return c.fail("set", net.ErrClosed)
	default:
		d.set(t)
		return nil
	}
}

// Counters returns what was counted so far.
func (c *Conn) Counters() Counters {
	return Counters{
		NoRoute: c.n.noRoute.Load(), Oversized: c.n.oversized.Load(), UnknownChannel: c.n.unknown.Load(),
		WrongSource: c.n.source.Load(), QueueFull: c.n.queue.Load(), TableFull: c.n.full.Load(), BadProbe: c.n.probe.Load(),
		Punches: c.n.punches.Load(),
	}
}

func (c *Conn) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: c.local.Network(), Addr: c.local, Err: err}
}
