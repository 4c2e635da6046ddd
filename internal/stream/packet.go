package stream

import (
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// packetConn is a port for datagrams: a net.PacketConn of a service, or the unconnected
// half of a flow. Datagrams keep their boundaries and may be lost, never repeated. They
// travel over whatever link to the peer there is.
type packetConn struct {
	endpoint *Endpoint
	port     port
	inbox    *inbox

	mu            sync.Mutex
	writeDeadline time.Time
}

// ListenPacket returns a conn for the datagrams that peers send to service, which is
// apart from a stream service of the same name. The address that ReadFrom returns is an
// Addr with the sender's name; WriteTo sends to it, or to the service of any Addr with
// Name and Key. WriteTo does not wait: a datagram to a peer without a link is dropped
// while one is being dialled. A payload of more than MaxDatagram bytes is an error that
// unwraps to syscall.EMSGSIZE, a second conn for the same service one that unwraps to
// syscall.EADDRINUSE.
func (e *Endpoint) ListenPacket(service string) (net.PacketConn, error) {
	err := CheckService(service)
	if err == nil {
		var p *packetConn
		if p, err = e.openPort(port{service: service}); err == nil {
			return p, nil
		}
	}
	return nil, &net.OpError{Op: "listen", Net: "overlay", Addr: e.self.addr(service), Err: err}
}

// openPort registers a conn for p, or for a new flow if p is zero.
func (e *Endpoint) openPort(p port) (*packetConn, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, net.ErrClosed
	}
	if len(e.packets) >= MaxPacketConns {
		return nil, fmt.Errorf("%w: %d packet conns are open", ErrLimit, MaxPacketConns)
	}
	// The loop ends, because fewer than 2^32 flows can be open.
	for p.service == "" && (p.flow == 0 || e.packets[p] != nil) {
		e.nextFlow++
		p.flow = e.nextFlow
	}
	if e.packets[p] != nil {
		return nil, fmt.Errorf("service %q: %w", p.service, syscall.EADDRINUSE)
	}
	c := &packetConn{endpoint: e, port: p, inbox: newInbox(inboxSize)}
	e.packets[p] = c
	return c, nil
}

// receives reports whether there is a conn for p.
func (e *Endpoint) receives(p port) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.packets[p] != nil
}

// deliver puts a frame from peer into the inbox of its port.
func (e *Endpoint) deliver(peer Peer, frame []byte) {
	d, err := parseDatagram(frame)
	if err != nil {
		e.counters.badDatagrams.Add(1)
		return
	}
	e.mu.Lock()
	c := e.packets[d.destination]
	e.mu.Unlock()
	if c == nil {
		e.counters.noReceiver.Add(1)
		return
	}
	if !c.inbox.put(message{d.payload, peer.addr(d.source.String())}) {
		e.counters.inboxFull.Add(1)
	}
}

// dispatch sends a datagram over a link to its peer and returns that link, or drops it
// and asks for a link where there is none.
func (e *Endpoint) dispatch(to Addr, d datagram) *link {
	l := e.live(target{to.Key, to.Name})
	if l == nil {
		l = e.inbound(to)
	}
	if l == nil {
		e.counters.datagramsUnsent.Add(1)
		e.attempt(Peer{Name: to.Name, Key: to.Key}, redialPause) // its failure is this datagram's loss
		return nil
	}
	l.enqueue(appendDatagram(make([]byte, 0, 2*(1+MaxService)+len(d.payload)+numberSize), d))
	return l
}

// inbound returns the newest link that the peer at a has dialled, nil if there is none.
func (e *Endpoint) inbound(a Addr) *link {
	e.mu.Lock()
	defer e.mu.Unlock()
	links := e.in[a.Key]
	for i := len(links) - 1; i >= 0; i-- {
		if links[i].peer.Name == a.Name && !links[i].dead() {
			return links[i]
		}
	}
	return nil
}

// ReadFrom reads one datagram; what is longer than b is cut off.
func (c *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	m, err := c.inbox.get()
	if err != nil {
		return 0, nil, &net.OpError{Op: "read", Net: "overlay", Source: c.LocalAddr(), Err: err}
	}
	return copy(b, m.payload), m.from, nil
}

// WriteTo sends one datagram to an Addr with Key, Name and Service.
func (c *packetConn) WriteTo(b []byte, to net.Addr) (int, error) {
	a, ok := to.(Addr)
	if !ok {
		return 0, c.writeError(to, &net.AddrError{Err: "not an overlay address", Addr: fmt.Sprint(to)})
	}
	if _, err := c.sendTo(b, a); err != nil {
		return 0, c.writeError(to, err)
	}
	return len(b), nil
}

func (c *packetConn) writeError(to net.Addr, err error) error {
	return &net.OpError{Op: "write", Net: "overlay", Source: c.LocalAddr(), Addr: to, Err: err}
}

// sendTo sends one datagram and returns the link that took it, if any.
func (c *packetConn) sendTo(b []byte, to Addr) (*link, error) {
	destination, err := portOf(to.Service)
	if err != nil {
		return nil, err
	}
	if len(b) > MaxDatagram {
		return nil, fmt.Errorf("datagram of %d bytes, at most %d are possible: %w", len(b), MaxDatagram, syscall.EMSGSIZE)
	}
	select {
	case <-c.inbox.done:
		return nil, net.ErrClosed
	default:
	}
	c.mu.Lock()
	deadline := c.writeDeadline
	c.mu.Unlock()
	if !deadline.IsZero() && !time.Now().Before(deadline) {
		return nil, os.ErrDeadlineExceeded
	}
	return c.endpoint.dispatch(to, datagram{c.port, destination, b}), nil
}

// Close ends ReadFrom and gives the port back.
func (c *packetConn) Close() error {
	if !c.inbox.close() {
		return &net.OpError{Op: "close", Net: "overlay", Source: c.LocalAddr(), Err: net.ErrClosed}
	}
	e := c.endpoint
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.packets[c.port] == c {
		delete(e.packets, c.port)
	}
	return nil
}

// LocalAddr returns an Addr.
func (c *packetConn) LocalAddr() net.Addr { return c.endpoint.self.addr(c.port.String()) }

// SetDeadline sets both deadlines. As WriteTo does not wait, a write deadline only
// fails what is written after it.
func (c *packetConn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// SetReadDeadline sets the deadline of ReadFrom, also of calls under way.
func (c *packetConn) SetReadDeadline(t time.Time) error {
	c.inbox.setDeadline(t)
	return nil
}

// SetWriteDeadline sets the deadline of WriteTo.
func (c *packetConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeDeadline = t
	return nil
}
