package stream

import (
	"net"
	"syscall"

	"github.com/ada420b6/overlay/internal/ident"
)

// Packet is one of several that are read at once.
type Packet struct {
	Space []byte    // where it is read to
	N     int       // how long it is
	From  ident.Key // who sent it
	ECN   byte      // the two bits of its IP header
}

// PacketsConn is a virtual PacketConn on a socket that moves many packets at once. Where
// it can't, SyscallConn fails and nothing else is called.
type PacketsConn interface {
	net.PacketConn
	SyscallConn() (syscall.RawConn, error)
	// ReadPackets waits for a packet and reads as many as there are.
	ReadPackets([]Packet) (int, error)
	// WriteSegments sends p in packets of size bytes, of which the last may be shorter.
	WriteSegments(p []byte, size int, ecn byte, to ident.Key) error
}
