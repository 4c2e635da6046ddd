package udp

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"
)

// plain hides what a UDP socket can beside a net.PacketConn.
type plain struct{ net.PacketConn }

// sockets are the kinds that there are, and whether runs stay in one piece on them.
var sockets = []struct {
	name, address string
	wrap          func(net.PacketConn) net.PacketConn
	many          bool
}{
	{"IPv4", "127.0.0.1:0", func(pc net.PacketConn) net.PacketConn { return pc }, true},
	{"both", ":0", func(pc net.PacketConn) net.PacketConn { return pc }, true},
	{"no UDP socket", "127.0.0.1:0", func(pc net.PacketConn) net.PacketConn { return plain{pc} }, false},
}

func open(tb testing.TB, address string, wrap func(net.PacketConn) net.PacketConn) (*Conn, netip.AddrPort) {
	tb.Helper()
	pc, err := net.ListenPacket("udp", address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { pc.Close() })
	at, _ := AddrPort(pc.LocalAddr())
	return New(wrap(pc)), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), at.Port())
}

// fill returns n bytes that tell where they were cut.
func fill(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i/251)
	}
	return b
}

// datagrams splits runs.
func datagrams(runs []Run) (all [][]byte) {
	for _, r := range runs {
		for range r.Count() {
			one := r.Cut(1)
			all = append(all, bytes.Clone(one.Data))
		}
	}
	return all
}

// TestRuns sends runs of every shape, and each datagram arrives as it was, in order.
func TestRuns(t *testing.T) {
	for _, kind := range sockets {
		t.Run(kind.name, func(t *testing.T) { testRuns(t, kind.address, kind.wrap, kind.many) })
	}
	t.Run("without segments", func(t *testing.T) {
		testRuns(t, "127.0.0.1:0", func(pc net.PacketConn) net.PacketConn { return pc }, false)
	})
}

func testRuns(t *testing.T, address string, wrap func(net.PacketConn) net.PacketConn, many bool) {
	from, here := open(t, address, wrap)
	to, there := open(t, address, wrap)
	if !many {
		withoutSegments(from)
	}
	sent := []Run{
		{Addr: there, Data: fill(1), Size: 1},
		{Addr: there, Data: fill(10 * 1289), Size: 1289, ECN: 2},
		{Addr: there, Data: fill(3*500 + 17), Size: 500},
		{Addr: there, Data: nil, Size: 0},
		{Addr: there, Data: fill(100*640 + 5), Size: 640}, // more than are sent in one piece
		{Addr: there, Data: fill(1452), Size: 1452, ECN: 1},
	}
	if unsent := from.Write(sent); unsent != 0 {
		t.Fatalf("%d datagrams were not sent", unsent)
	}
	want := datagrams(sent)
	_ = to.SetReadDeadline(time.Now().Add(10 * time.Second))
	var got [][]byte
	var marks []byte
	for len(got) < len(want) {
		runs, err := to.Read()
		if err != nil {
			t.Fatalf("%d of %d datagrams: %v", len(got), len(want), err)
		}
		for _, r := range runs {
			if r.Addr != here {
				t.Fatalf("a datagram from %v, not %v", r.Addr, here)
			}
			for range r.Count() {
				marks = append(marks, r.ECN)
			}
		}
		got = append(got, datagrams(runs)...)
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("datagram %d of %d: %d bytes of %d, or changed", i, len(want), len(got[i]), len(want[i]))
		}
	}
	if many && from.Raw() != nil && (marks[1] != 2 || marks[10] != 2 || marks[11] != 0 || marks[len(marks)-1] != 1) {
		t.Errorf("the ECN bits are %v", marks)
	}
}

// TestUnsent counts what the system does not take.
func TestUnsent(t *testing.T) {
	for _, kind := range sockets {
		from, _ := open(t, kind.address, kind.wrap)
		_, there := open(t, kind.address, kind.wrap)
		long := Run{Addr: there, Data: make([]byte, 70000), Size: 70000}
		if n := from.Write([]Run{long, {Addr: there, Data: fill(3), Size: 1}}); n != 1 {
			t.Errorf("%s: %d datagrams unsent of one that is too long, and three", kind.name, n)
		}
		from.Close()
		if n := from.Write([]Run{{Addr: there, Data: fill(30), Size: 10}}); n != 3 {
			t.Errorf("%s: %d datagrams unsent of three on a closed socket", kind.name, n)
		}
		if _, err := from.Read(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: read of a closed socket: %v", kind.name, err)
		}
	}
}

// TestCloseEndsRead closes the socket under a reader.
func TestCloseEndsRead(t *testing.T) {
	for _, kind := range sockets {
		c, _ := open(t, kind.address, kind.wrap)
		ended := make(chan error, 1)
		go func() {
			_, err := c.Read()
			ended <- err
		}()
		c.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v", kind.name, err)
		}
	}
}

// TestNoAllocation: a relay's packets pass through Read and Write only.
func TestNoAllocation(t *testing.T) {
	from, _ := open(t, sockets[0].address, sockets[0].wrap)
	to, there := open(t, sockets[0].address, sockets[0].wrap)
	runs := []Run{{Addr: there, Data: fill(5 * 1289), Size: 1289, ECN: 1}, {Addr: there, Data: fill(60), Size: 60}}
	_ = to.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n := testing.AllocsPerRun(100, func() {
		if from.Write(runs) != 0 {
			t.Fatal("not sent")
		}
		for left := 6; left > 0; {
			got, err := to.Read()
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				left -= got[i].Count()
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
