package udp

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNoBroadcast: the system refuses to send to everybody in a network, whoever names its
// address.
func TestNoBroadcast(t *testing.T) {
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := New(pc)
	defer c.Close()
	raw, err := c.udp.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	may := -1
	err = raw.Control(func(fd uintptr) { may, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST) })
	if err != nil || may != 0 {
		t.Errorf("the socket may broadcast: %d, %v", may, err)
	}
}
