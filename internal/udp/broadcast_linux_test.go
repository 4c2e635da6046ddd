package udp

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
)

// TestNoBroadcast: nothing is sent to everybody in a network, whoever names its address.
func TestNoBroadcast(t *testing.T) {
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := New(pc)
	defer c.Close()
	everybody := netip.MustParseAddrPort("127.255.255.255:9") // in the network of the loopback
	if err := c.Send(everybody, []byte("all of you")); !errors.Is(err, syscall.EACCES) {
		t.Errorf("a broadcast is sent: %v", err)
	}
	if n := c.Write([]Run{{Addr: everybody, Data: []byte("all of you"), Size: 10}}); n != 1 {
		t.Errorf("%d of one broadcasts are refused", n)
	}
}
