package udp

import (
	"net"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// readMessages is how many runs one call takes, readBytes the room for each: what
	// Linux joins to one is less than 64 KiB. 8 x 64 KiB = 512 KiB for each socket, of
	// which a page is touched where only small datagrams come.
	readMessages = 8
	readBytes    = 1 << 16
	// writeMessages is how many runs one call sends.
	writeMessages = 16
	// controlSize holds a segment size and the ECN bits of both IP versions.
	controlSize = 64
)

// batch reads and writes with recvmmsg and sendmmsg. The golang.org/x/net packages have
// them too, but allocate an address for each message.
type batch struct {
	raw   syscall.RawConn
	pc    *net.UDPConn
	mixed bool        // an IPv6 socket, which has IPv4 addresses mapped into it
	gso   atomic.Bool // runs leave in one piece

	reader  messages // the one reader's
	buffer  []byte
	runs    []Run
	writers chan *messages // those that nobody uses, a few
}

// newBatch returns nil where Linux is too old to say what kind of socket it has.
func newBatch(pc *net.UDPConn) *batch {
	raw, err := pc.SyscallConn()
	if err != nil {
		return nil
	}
	b := &batch{raw: raw, pc: pc, buffer: make([]byte, readMessages*readBytes), writers: make(chan *messages, 4)}
	ok := false
	err = raw.Control(func(fd uintptr) {
		domain, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
		ok, b.mixed = err == nil, domain == unix.AF_INET6
		// What an old Linux refuses it does without.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1)
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVTOS, 1)
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1)
		_, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT)
		b.gso.Store(err == nil)
	})
	if err != nil || !ok {
		return nil
	}
	b.reader = *newMessages(readMessages, false)
	b.reader.bind(false)
	for i := range b.reader.msgs {
		b.reader.iovs[i].Base = &b.buffer[i*readBytes]
		b.reader.iovs[i].SetLen(readBytes)
	}
	b.runs = make([]Run, 0, readMessages)
	return b
}

func (b *batch) socket() syscall.RawConn {
	if !b.gso.Load() {
		return nil
	}
	return b.raw
}

// messages are the arguments of one recvmmsg or sendmmsg.
type messages struct {
	msgs    []message
	iovs    []unix.Iovec
	names   []unix.RawSockaddrInet6 // or RawSockaddrInet4 in the same place
	control [][controlSize]byte
	from    int // the first that is not done
	n       int // how many there are; of a read, how many came
	errno   syscall.Errno
	call    func(fd uintptr) bool // bound once: a closure for each call would be an allocation
}

// message is struct mmsghdr.
type message struct {
	head unix.Msghdr
	n    uint32
}

func newMessages(n int, write bool) *messages {
	m := &messages{
		msgs: make([]message, n), iovs: make([]unix.Iovec, n), names: make([]unix.RawSockaddrInet6, n),
		control: make([][controlSize]byte, n),
	}
	for i := range m.msgs {
		h := &m.msgs[i].head
		h.Name = (*byte)(unsafe.Pointer(&m.names[i]))
		h.Iov = &m.iovs[i]
		h.SetIovlen(1)
	}
	if write {
		m.bind(true)
	}
	return m
}

func (m *messages) bind(write bool) {
	trap := uintptr(unix.SYS_RECVMMSG)
	if write {
		trap = unix.SYS_SENDMMSG
	}
	m.call = func(fd uintptr) bool {
		for {
			n, _, errno := unix.Syscall6(trap, fd, uintptr(unsafe.Pointer(&m.msgs[m.from])), uintptr(m.n-m.from), 0, 0, 0)
			switch errno {
			case unix.EINTR:
				continue
			case unix.EAGAIN:
				return false // until the socket is ready
			case 0:
				m.from += int(n)
			}
			m.errno = errno
			return true
		}
	}
}
