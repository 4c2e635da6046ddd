//go:build unix

package udp

import (
	"net"

	"golang.org/x/sys/unix"
)

// noBroadcast has the system refuse to send to everybody in a network, which Go's sockets
// may: a peer can name the broadcast address of a network that this machine is in, and
// nobody else knows that it is one.
func noBroadcast(pc *net.UDPConn) {
	raw, err := pc.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 0) })
}
