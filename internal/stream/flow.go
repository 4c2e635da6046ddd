package stream

import (
	"context"
	"net"
	"sync"
	"time"
)

// flow is a packetConn that talks to one peer and service: the net.Conn of DialPacket.
type flow struct {
	packetConn *packetConn
	remote     Addr

	mu     sync.Mutex
	closed bool
	link   *link // the link that is kept alive for this flow
}

// DialPacket returns a conn that exchanges datagrams with a service of peer. It returns
// when the peer has proven who it is and said that somebody takes the datagrams of the
// service; else the error unwraps to syscall.ECONNREFUSED. The conn outlives the link: after a reboot of the peer, a Write asks for a new
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
	l, err := e.over(ctx, peer, func(l *link) error { return l.askPacket(ctx, service) })
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
