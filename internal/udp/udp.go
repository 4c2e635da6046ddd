// Package udp moves datagrams through a socket many at a time.
//
// A datagram costs its system call, not its bytes: a relay of one read and one write for
// each spends nine tenths of its time in them. Linux takes and gives several in one call
// (recvmmsg, sendmmsg), and several of one size to one peer as one (UDP_GRO, UDP_SEGMENT),
// which pass the machine's network stack together. Where there is none of that, on other
// systems and for a net.PacketConn that is no UDP socket, the same calls move one
// datagram each.
package udp

import (
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
)

const (
	// MaxRun is how many datagrams a run has at most: Linux's own limit on what it
	// cuts or joins is 64.
	MaxRun = 64
	// maxRunBytes bounds what one run carries: what fits in one IP packet, as which it
	// travels inside the machine.
	maxRunBytes = 65000
	// socketBuffer is asked for in both directions, in bytes: 30 ms at 100 MB/s, for which
	// a reader may have to wait for its core. The system may allow less.
	socketBuffer = 4 << 20
)

// Run is datagrams of one size in a row, the last of which may be shorter, from one
// sender or to one receiver.
type Run struct {
	Addr netip.AddrPort
	Data []byte
	Size int  // of each but the last; not 0 unless Data is empty
	ECN  byte // the two bits of the IP header that say whether a queue was full
}

// Count returns how many datagrams a run has.
func (r *Run) Count() int {
	if len(r.Data) <= r.Size {
		return 1
	}
	return (len(r.Data) + r.Size - 1) / r.Size
}

// Cut takes the first n datagrams off a run.
func (r *Run) Cut(n int) (first Run) {
	first = *r
	at := min(n*r.Size, len(r.Data))
	first.Data, r.Data = r.Data[:at], r.Data[at:]
	return first
}

// Last returns the last datagram of a run.
func (r *Run) Last() []byte { return r.Data[(r.Count()-1)*r.Size:] }

// Conn is a socket. Reads are one goroutine's, writes may be several's at once.
type Conn struct {
	net.PacketConn
	udp    *net.UDPConn // PacketConn, if it is one
	many   *batch       // nil where only one datagram moves at a time
	single [1]Run       // what Read returns then
	buffer []byte
	lost   atomic.Uint64 // datagrams that came from no address
}

// New returns a Conn on a socket, which it owns.
func New(pc net.PacketConn) *Conn {
	c := &Conn{PacketConn: pc}
	if c.udp, _ = pc.(*net.UDPConn); c.udp != nil {
		noBroadcast(c.udp)
		_ = c.udp.SetReadBuffer(socketBuffer)
		_ = c.udp.SetWriteBuffer(socketBuffer)
		c.many = newBatch(c.udp)
	}
	return c
}

// Read waits for datagrams and returns what has come, in the order in which it came. It
// is good until the next Read.
func (c *Conn) Read() ([]Run, error) {
	if c.many != nil {
		return c.many.read()
	}
	if c.buffer == nil {
		c.buffer = make([]byte, 2048)
	}
	r := &c.single[0]
	n, from, err := c.readOne(c.buffer)
	if err != nil {
		return nil, err
	}
	if !from.IsValid() {
		c.lost.Add(1)
		return nil, nil
	}
	*r = Run{Addr: from, Data: c.buffer[:n], Size: n}
	return c.single[:], nil
}

func (c *Conn) readOne(p []byte) (int, netip.AddrPort, error) {
	if c.udp != nil {
		n, from, err := c.udp.ReadFromUDPAddrPort(p)
		return n, unmap(from), err
	}
	n, addr, err := c.ReadFrom(p)
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	from, _ := AddrPort(addr)
	return n, from, nil
}

// Write sends runs, and returns how many datagrams were not sent. Like a network it says
// nothing of what becomes of the others.
func (c *Conn) Write(runs []Run) (unsent int) {
	if c.many != nil {
		return c.many.write(runs)
	}
	for i := range runs {
		unsent += c.eachOf(runs[i])
	}
	return unsent
}

// eachOf sends the datagrams of a run one after the other.
func (c *Conn) eachOf(r Run) (unsent int) {
	for {
		one := r.Cut(1)
		if c.Send(one.Addr, one.Data) != nil {
			unsent++
		}
		if len(r.Data) == 0 {
			return unsent
		}
	}
}

// Send sends one datagram.
func (c *Conn) Send(to netip.AddrPort, p []byte) (err error) {
	if c.udp != nil {
		_, err = c.udp.WriteToUDPAddrPort(p, to)
	} else {
		_, err = c.WriteTo(p, net.UDPAddrFromAddrPort(to))
	}
	return err
}

// Raw returns the system's socket if runs leave it in one piece, so that it pays to make
// long ones; else nil.
func (c *Conn) Raw() syscall.RawConn {
	if c.many == nil {
		return nil
	}
	return c.many.socket()
}

// NoSource returns how many datagrams had a sender that is no address.
func (c *Conn) NoSource() uint64 { return c.lost.Load() }

// AddrPort returns the address of a net.Addr that has one, or prints as one.
func AddrPort(a net.Addr) (netip.AddrPort, bool) {
	if a == nil {
		return netip.AddrPort{}, false
	}
	if u, ok := a.(interface{ AddrPort() netip.AddrPort }); ok {
		at := unmap(u.AddrPort())
		return at, at.IsValid()
	}
	at, err := netip.ParseAddrPort(a.String())
	return unmap(at), err == nil
}

func unmap(at netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}
