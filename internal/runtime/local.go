package runtime

import (
	"net"
	"net/netip"

	"github.com/ada420b6/overlay/internal/udp"
)

// maxLocal bounds the addresses of interfaces that a peer is told, for each family. A
// machine has one or two that others can reach, and more that lead nowhere.
const maxLocal = 3

// localAddresses returns the addresses at which a socket may be reached without a NAT,
// IPv6 first: the one that it is bound to, else those of the machine's interfaces. Of a
// machine that has no other it is the loopback's.
func localAddresses(pc net.PacketConn, interfaces func() ([]net.Addr, error)) []netip.AddrPort {
	at, ok := udp.AddrPort(pc.LocalAddr())
	switch {
	case !ok:
		return nil
	case !at.Addr().IsUnspecified():
		return []netip.AddrPort{at}
	}
	list, err := interfaces()
	if err != nil {
		return nil
	}
	var six, four, loop []netip.AddrPort
	for _, a := range list {
		p, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		ip := p.Addr().Unmap()
		x := netip.AddrPortFrom(ip, at.Port())
		switch {
		case ip.IsLoopback():
			loop = append(loop, x)
		case !ip.IsGlobalUnicast() || ip.Zone() != "" || at.Addr().Is4() && !ip.Is4():
		case ip.Is4() && len(four) < maxLocal:
			four = append(four, x)
		case !ip.Is4() && len(six) < maxLocal:
			six = append(six, x)
		}
	}
	if len(six)+len(four) == 0 {
		return loop[:min(len(loop), maxLocal)]
	}
	return append(six, four...)
}

// local returns what tells peers where this node is; nil when none shall know.
func (n *Node) local() func() []netip.AddrPort {
	if n.config.RelayedOnly {
		return nil
	}
	return func() []netip.AddrPort { return localAddresses(n.loop.socket.pc, n.config.Interfaces) }
}
