package runtime

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/dchest/siphash"

	"github.com/ada420b6/overlay/internal/ident"
)

// An address on the wire is
//
//	family 1 (4 or 6) | address 4 or 16 | port 2
//
// and there is one encoding of each. The unspecified IPv4 address with port 0 stands
// for an address that is not known: a record names its owner by key alone.
const (
	family4, family6 = 4, 6
	size4, size6     = 1 + 4 + 2, 1 + 16 + 2
)

// appendAddress writes at, or the unknown address when it is not valid.
func appendAddress(b []byte, at netip.AddrPort) []byte {
	ip := at.Addr().Unmap()
	switch {
	case !at.IsValid():
		return append(b, family4, 0, 0, 0, 0, 0, 0)
	case ip.Is4():
		raw := ip.As4()
		b = append(append(b, family4), raw[:]...)
	default:
		raw := ip.As16()
		b = append(append(b, family6), raw[:]...)
	}
	return binary.BigEndian.AppendUint16(b, at.Port())
}

// parseAddress reads an address from the front of b. The unknown one is not valid.
func parseAddress(b []byte) (at netip.AddrPort, rest []byte, err error) {
	if len(b) == 0 {
		return at, nil, errShort
	}
	var ip netip.Addr
	size := size4
	switch b[0] {
	case family4:
		if len(b) < size4 {
			return at, nil, errShort
		}
		ip = netip.AddrFrom4([4]byte(b[1:]))
	case family6:
		if size = size6; len(b) < size6 {
			return at, nil, errShort
		}
		ip = netip.AddrFrom16([16]byte(b[1:]))
	default:
		return at, nil, fmt.Errorf("%w: family %d", errAddress, b[0])
	}
	port := binary.BigEndian.Uint16(b[size-2:])
	if ip == netip.IPv4Unspecified() && port == 0 {
		return at, b[size:], nil
	}
	if port == 0 || ip.IsUnspecified() || ip.IsMulticast() || ip.Is4In6() || ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return at, nil, fmt.Errorf("%w: %s, port %d", errAddress, ip, port)
	}
	return netip.AddrPortFrom(ip, port), b[size:], nil
}

// groupOf returns the address group: the /16 of IPv4, the /48 of IPv6. Addresses that
// are the same in every network (loopback, link-local, private) say nothing about who
// fails together: 0.
func groupOf(at netip.AddrPort) ident.Group {
	ip := at.Addr().Unmap()
	if !ip.IsValid() || ip.IsUnspecified() || ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() {
		return 0
	}
	var b []byte
	if ip.Is4() {
		raw := ip.As4()
		b = raw[:2]
	} else {
		raw := ip.As16()
		b = raw[:6]
	}
	g := ident.Group(siphash.Hash(0x6f7665726c617931, 0x67726f75702d3031, b))
	return max(g, 1)
}

// originOf hashes an address under a key of this process, so that what the core keeps
// by address can't be aimed at.
func originOf(k0, k1 uint64, at netip.AddrPort) uint64 {
	var b [18]byte
	ip := at.Addr().As16()
	copy(b[:], ip[:])
	binary.BigEndian.PutUint16(b[16:], at.Port())
	return siphash.Hash(k0, k1, b[:])
}

func unmap(at netip.AddrPort) netip.AddrPort {
	if !at.IsValid() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}
