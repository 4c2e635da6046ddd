package stream

import (
	"context"
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
	l.enqueue(appendDatagram(make([]byte, 0, 2*(1+MaxService)+len(d.payload)), d))
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

// flow is a packetConn that talks to one peer and service: the net.Conn of DialPacket.
type flow struct {
	packetConn *packetConn
	remote     Addr

	mu     sync.Mutex
	closed bool
	link   *link // the link that is kept alive for this flow
}

// DialPacket returns a conn that exchanges datagrams with a service of peer. It returns
// when the peer has proven who it is; whether somebody listens is not known, as with
// UDP. The conn outlives the link: after a reboot of the peer, a Write asks for a new
// one and is lost itself. Errors are those of Dial and of ListenPacket.
func (e *Endpoint) DialPacket(ctx context.Context, peer Peer, service string) (net.Conn, error) {
	f, err := e.dialPacket(ctx, peer, service)
	if err != nil {
		return nil, e.dialError(ctx, peer, service, err)
	}
	return f, nil
}

func (e *Endpoint) dialPacket(ctx context.Context, peer Peer, service string) (*flow, error) {
	if err := CheckService(service); err != nil {
		return nil, err
	}
	l, _, err := e.connect(ctx, peer)
	if err != nil {
		return nil, err
	}
	c, err := e.openPort(port{})
	if err != nil {
		return nil, err
	}
	f := &flow{packetConn: c, remote: l.peer.addr(service)}
	f.keep(l)
	return f, nil
}

// keep takes l into use in place of the link before it.
func (f *flow) keep(l *link) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l == f.link || f.closed {
		return
	}
	if f.link != nil {
		f.link.unuse()
	}
	l.use()
	f.link = l
}

// Read reads one datagram from the peer's service, and drops what others send here.
func (f *flow) Read(b []byte) (int, error) {
	for {
		m, err := f.packetConn.inbox.get()
		if err != nil {
			return 0, &net.OpError{Op: "read", Net: "overlay", Source: f.LocalAddr(), Addr: f.remote, Err: err}
		}
		if m.from == f.remote {
			return copy(b, m.payload), nil
		}
		f.packetConn.endpoint.counters.noReceiver.Add(1)
	}
}

// Write sends one datagram of at most MaxDatagram bytes. It does not wait.
func (f *flow) Write(b []byte) (int, error) {
	l, err := f.packetConn.sendTo(b, f.remote)
	if err != nil {
		return 0, f.packetConn.writeError(f.remote, err)
	}
	if l != nil {
		f.keep(l)
	}
	return len(b), nil
}

// Close ends Read and gives the flow back.
func (f *flow) Close() error {
	err := f.packetConn.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	if f.link != nil {
		f.link.unuse()
		f.link = nil
	}
	return err
}

func (f *flow) LocalAddr() net.Addr                { return f.packetConn.LocalAddr() }
func (f *flow) RemoteAddr() net.Addr               { return f.remote }
func (f *flow) SetDeadline(t time.Time) error      { return f.packetConn.SetDeadline(t) }
func (f *flow) SetReadDeadline(t time.Time) error  { return f.packetConn.SetReadDeadline(t) }
func (f *flow) SetWriteDeadline(t time.Time) error { return f.packetConn.SetWriteDeadline(t) }
