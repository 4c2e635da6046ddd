package stream

import (
	"encoding/binary"
	"errors"
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/ada420b6/overlay/internal/ident"
)

// batchCarrier is a carrier that quic-go takes for a UDP socket, so that it hands over
// many packets at once and marks them (segmentation offload, ECN). It wants what a UDP
// socket has: addresses that are *net.UDPAddr, control messages, and a system's socket to
// ask what it can. Nothing is read from that or written to it but through the virtual
// PacketConn.
type batchCarrier struct {
	*carrier
	packets PacketsConn
	tuned   bool // quic-go has set the buffers
	in      []Packet
	last    *net.UDPAddr // of the last packet; touched only by quic-go's one reader
	lastKey ident.Key
}

// conn returns what quic-go gets.
func (c *carrier) conn() net.PacketConn {
	p, ok := c.PacketConn.(PacketsConn)
	if !ok {
		return c
	}
	if _, err := p.SyscallConn(); err != nil {
		return c
	}
	c.batched = true
	return &batchCarrier{carrier: c, packets: p}
}

// SyscallConn fails until quic-go has set the buffers, or tried to: they are the socket's
// owner's, and quic-go would write a warning to the standard logger where the system does
// not give what it wants.
func (c *batchCarrier) SyscallConn() (syscall.RawConn, error) {
	if !c.tuned {
		return nil, syscall.EOPNOTSUPP
	}
	return c.packets.SyscallConn()
}

// SetWriteBuffer is the last that quic-go does to the buffers.
func (c *batchCarrier) SetWriteBuffer(int) error {
	c.tuned = true
	return nil
}

// ReadBatch reads packets as a UDP socket does with recvmmsg.
func (c *batchCarrier) ReadBatch(ms []ipv4.Message, _ int) (int, error) {
	if len(c.in) < len(ms) {
		c.in = make([]Packet, len(ms))
	}
	in := c.in[:len(ms)]
	for i := range ms {
		in[i].Space = ms[i].Buffers[0]
	}
	n, err := c.packets.ReadPackets(in)
	for i := range n {
		p := &in[i]
		if c.last == nil || c.lastKey != p.From {
			c.last, c.lastKey = udpRoute(p.From), p.From
		}
		ms[i].N, ms[i].Addr, ms[i].NN = p.N, c.last, 0
		if p.ECN != 0 {
			ms[i].NN = putECN(ms[i].OOB, p.ECN)
		}
	}
	return n, err
}

// ReadMsgUDP is not called, since there is ReadBatch.
func (c *batchCarrier) ReadMsgUDP(_, _ []byte) (n, oobn, flags int, addr *net.UDPAddr, err error) {
	return 0, 0, 0, nil, errors.ErrUnsupported
}

// WriteMsgUDP sends packets; what does not go is lost, as in WriteTo.
func (c *batchCarrier) WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	size, ecn := parseControl(oob)
	if size == 0 {
		size = len(b)
	}
	if len(b) == 0 {
		return 0, len(oob), nil
	}
	err = c.packets.WriteSegments(b, size, ecn, routeKey(addr))
	if errors.Is(err, net.ErrClosed) {
		return 0, 0, err
	}
	if err != nil {
		c.counters.unsentPackets.Add(1)
	}
	return len(b), len(oob), nil
}

// udpRoute is the address that stands for a key. quic-go compares address and port, which
// are the first bytes of the key, and leaves alone the zone, where all of it is.
func udpRoute(key ident.Key) *net.UDPAddr {
	return &net.UDPAddr{IP: net.IP(key[:16:16]), Port: int(binary.BigEndian.Uint16(key[16:])), Zone: string(key[:])}
}

// parseControl reads how long packets are, 0 if there is one, and their ECN bits.
func parseControl(oob []byte) (size int, ecn byte) {
	for len(oob) >= unix.SizeofCmsghdr {
		head, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return size, ecn
		}
		oob = rest
		switch {
		case head.Level == unix.IPPROTO_UDP && head.Type == unix.UDP_SEGMENT && len(data) >= 2:
			size = int(binary.NativeEndian.Uint16(data))
		case head.Level == unix.IPPROTO_IP && head.Type == unix.IP_TOS && len(data) >= 1:
			ecn = data[0] & 3
		case head.Level == unix.IPPROTO_IPV6 && head.Type == unix.IPV6_TCLASS && len(data) >= 4:
			ecn = byte(binary.NativeEndian.Uint32(data)) & 3
		}
	}
	return size, ecn
}

// putECN writes the control message that a socket gives with a packet's ECN bits.
func putECN(oob []byte, ecn byte) int {
	size := unix.CmsgSpace(1)
	if len(oob) < size {
		return 0
	}
	clear(oob[:size])
	h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
	h.Level, h.Type = unix.IPPROTO_IP, unix.IP_TOS
	h.SetLen(unix.CmsgLen(1))
	oob[unix.CmsgLen(0)] = ecn
	return size
}

// route returns what quic-go is to dial for a peer.
func (c *carrier) route(a Addr) net.Addr {
	if c.batched {
		return udpRoute(a.Key)
	}
	return newRoute(a)
}
