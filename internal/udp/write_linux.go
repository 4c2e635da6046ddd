package udp

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// write sends runs, as many as it can with one call.
func (b *batch) write(runs []Run) (unsent int) {
	m := b.writer()
	for i := range runs {
		for r := runs[i]; ; {
			next := r.Cut(b.most(&r))
			if next.Addr.Addr().Zone() != "" {
				unsent += b.oneByOne(next)
			} else {
				m.add(&next, b.mixed)
			}
			if m.n == len(m.msgs) {
				unsent += b.flush(m)
			}
			if len(r.Data) == 0 {
				break
			}
		}
	}
	unsent += b.flush(m)
	select {
	case b.writers <- m:
	default:
	}
	return unsent
}

func (b *batch) writer() *messages {
	select {
	case m := <-b.writers:
		return m
	default:
		return newMessages(writeMessages, true)
	}
}

// most returns how many datagrams of a run leave in one piece.
func (b *batch) most(r *Run) int {
	if !b.gso.Load() || r.Size == 0 {
		return 1
	}
	return min(MaxRun, max(1, maxRunBytes/r.Size))
}

// flush sends what was added. A run that the system does not take in one piece is sent
// one by one: the network card, or the way there, can't.
func (b *batch) flush(m *messages) (unsent int) {
	for m.from = 0; m.from < m.n; {
		if b.raw.Write(m.call) != nil {
			for ; m.from < m.n; m.from++ {
				r := m.run(m.from)
				unsent += r.Count()
			}
			break
		}
		if m.errno == 0 {
			continue
		}
		if r := m.run(m.from); r.Count() > 1 {
			if m.errno == unix.EIO {
				b.gso.Store(false)
			}
			unsent += b.oneByOne(r)
		} else {
			unsent++
		}
		m.from++
	}
	for i := range m.n {
		m.iovs[i].Base = nil // the memory is the caller's
	}
	m.n = 0
	return unsent
}

func (b *batch) oneByOne(r Run) (unsent int) {
	for {
		one := r.Cut(1)
		if _, err := b.pc.WriteToUDPAddrPort(one.Data, one.Addr); err != nil {
			unsent++
		}
		if len(r.Data) == 0 {
			return unsent
		}
	}
}

// add makes a run the next message.
func (m *messages) add(r *Run, mixed bool) {
	i := m.n
	m.n++
	h := &m.msgs[i].head
	h.Namelen = m.address(i, r.Addr, mixed)
	if m.iovs[i].Base = nil; len(r.Data) > 0 {
		m.iovs[i].Base = &r.Data[0]
	}
	m.iovs[i].SetLen(len(r.Data))
	c := m.control[i][:0]
	if r.Count() > 1 {
		c = appendControl(c, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2)
		binary.NativeEndian.PutUint16(c[len(c)-unix.CmsgSpace(2)+unix.CmsgLen(0):], uint16(r.Size))
	}
	if r.ECN != 0 {
		level, kind := int32(unix.IPPROTO_IP), int32(unix.IP_TOS)
		if r.Addr.Addr().Is6() && !r.Addr.Addr().Is4In6() {
			level, kind = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
		}
		c = appendControl(c, level, kind, 4)
		binary.NativeEndian.PutUint32(c[len(c)-unix.CmsgSpace(4)+unix.CmsgLen(0):], uint32(r.ECN))
	}
	if h.Control = nil; len(c) > 0 {
		h.Control = &c[0]
	}
	h.SetControllen(len(c))
}

// appendControl adds a control message with room for n bytes of data.
func appendControl(c []byte, level, kind int32, n int) []byte {
	at := len(c)
	c = c[:at+unix.CmsgSpace(n)]
	clear(c[at:])
	h := (*unix.Cmsghdr)(unsafe.Pointer(&c[at]))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(n))
	return c
}

// address writes where message i goes, as the socket's family has it.
func (m *messages) address(i int, to netip.AddrPort, mixed bool) (size uint32) {
	name := &m.names[i]
	*name = unix.RawSockaddrInet6{}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&name.Port))[:], to.Port())
	if !mixed && to.Addr().Unmap().Is4() {
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		four.Family, four.Addr = unix.AF_INET, to.Addr().Unmap().As4()
		return unix.SizeofSockaddrInet4
	}
	name.Family, name.Addr = unix.AF_INET6, to.Addr().As16()
	return syscall.SizeofSockaddrInet6
}

// run is message i as a run again.
func (m *messages) run(i int) (r Run) {
	r.Addr = m.sender(i)
	r.Data = unsafe.Slice(m.iovs[i].Base, int(m.iovs[i].Len))
	r.Size = len(r.Data)
	if c := m.control[i][:m.msgs[i].head.Controllen]; len(c) > 0 {
		if h := (*unix.Cmsghdr)(unsafe.Pointer(&c[0])); h.Level == unix.IPPROTO_UDP {
			r.Size = int(binary.NativeEndian.Uint16(c[unix.CmsgLen(0):]))
		}
	}
	return r
}
