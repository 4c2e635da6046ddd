package stream

import (
	"errors"
	"net"

	"github.com/ada420b6/overlay/internal/ident"
)

// carrier stands between quic-go and the virtual PacketConn and gives quic-go what it
// takes for granted of a UDP socket: addresses that compare equal while the peer is the
// same, buffers whose sizes can be set, and sends that don't fail because a path is
// away for a moment.
type carrier struct {
	net.PacketConn
	counters *counters
	last     *route // of the last packet; touched only by quic-go's one reader
	batched  bool   // quic-go has a batchCarrier
}

// route is a peer's address as quic-go sees it.
type route struct {
	boxed net.Addr // an Addr, boxed once instead of at every packet
	key   ident.Key
	text  string
}

func newRoute(a Addr) *route {
	return &route{boxed: a, key: a.Key, text: string(a.Key[:])}
}

// routeKey returns the key of the peer that quic-go knows by an address: a *route, or what
// a batchCarrier makes of it.
func routeKey(a net.Addr) (key ident.Key) {
	switch a := a.(type) {
	case *route:
		return a.key
	case *net.UDPAddr:
		copy(key[:], a.Zone)
	}
	return key
}

func (r *route) Network() string { return "overlay" }

// String returns the key and nothing else: quic-go compares addresses by it, and would
// take a name that becomes known for a peer that moved.
func (r *route) String() string { return r.text }

// ReadFrom counts and skips packets whose sender is not an Addr.
func (c *carrier) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.PacketConn.ReadFrom(b)
		if err != nil {
			return n, nil, err
		}
		a, ok := from.(Addr)
		if !ok {
			c.counters.badAddresses.Add(1)
			continue
		}
		if c.last == nil || c.last.key != a.Key {
			c.last = newRoute(a)
		}
		return n, c.last, nil
	}
}

// WriteTo counts failures and hides them: quic-go closes a connection at the first
// error, while a conversation must survive the death of its path (rule R12). To QUIC a
// packet that could not be sent is a packet lost.
func (c *carrier) WriteTo(b []byte, to net.Addr) (int, error) {
	_, err := c.PacketConn.WriteTo(b, to.(*route).boxed)
	if errors.Is(err, net.ErrClosed) {
		return 0, err
	}
	if err != nil {
		c.counters.unsentPackets.Add(1)
	}
	return len(b), nil
}

// SetReadBuffer and SetWriteBuffer do nothing; without them quic-go would write a
// warning to the standard logger.
func (c *carrier) SetReadBuffer(int) error  { return nil }
func (c *carrier) SetWriteBuffer(int) error { return nil }
