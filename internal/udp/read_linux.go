package udp

import (
	"encoding/binary"
	"net/netip"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

func (b *batch) read() ([]Run, error) {
	m := &b.reader
	for i := range m.msgs {
		h := &m.msgs[i].head
		h.Namelen = unix.SizeofSockaddrInet6
		h.Control = &m.control[i][0]
		h.SetControllen(controlSize)
		h.Flags = 0
	}
	m.from, m.n = 0, len(m.msgs)
	if err := b.raw.Read(m.call); err != nil {
		return nil, err
	}
	if m.errno != 0 {
		return nil, os.NewSyscallError("recvmmsg", m.errno)
	}
	b.runs = b.runs[:0]
	for i := range m.from {
		n := int(m.msgs[i].n)
		r := Run{Addr: m.sender(i), Data: b.buffer[i*readBytes:][:n], Size: n}
		m.describe(i, &r)
		b.runs = append(b.runs, r)
	}
	return b.runs, nil
}

// sender returns whom message i came from.
func (m *messages) sender(i int) netip.AddrPort {
	name := &m.names[i]
	// The port stands at the same place of both, in network order.
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&name.Port))[:])
	switch name.Family {
	case unix.AF_INET:
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrPortFrom(netip.AddrFrom4(four.Addr), port)
	case unix.AF_INET6:
		ip := netip.AddrFrom16(name.Addr).Unmap()
		if name.Scope_id != 0 {
			ip = ip.WithZone(strconv.FormatUint(uint64(name.Scope_id), 10))
		}
		return netip.AddrPortFrom(ip, port)
	}
	return netip.AddrPort{}
}

// describe reads from what came beside message i how long its datagrams are, and its ECN
// bits.
func (m *messages) describe(i int, r *Run) {
	rest := m.control[i][:m.msgs[i].head.Controllen]
	for len(rest) >= unix.SizeofCmsghdr {
		head, data, more, err := unix.ParseOneSocketControlMessage(rest)
		if err != nil {
			return
		}
		rest = more
		switch {
		case head.Level == unix.IPPROTO_UDP && head.Type == unix.UDP_GRO && len(data) >= 4:
			if size := int(binary.NativeEndian.Uint32(data)); size > 0 {
				r.Size = min(size, r.Size)
			}
		case head.Level == unix.IPPROTO_IP && head.Type == unix.IP_TOS && len(data) >= 1:
			r.ECN = data[0] & 3
		case head.Level == unix.IPPROTO_IPV6 && head.Type == unix.IPV6_TCLASS && len(data) >= 4:
			r.ECN = byte(binary.NativeEndian.Uint32(data)) & 3
		}
	}
}
