package stream

import (
	"bytes"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func listenPacket(t testing.TB, e *Endpoint, service string) net.PacketConn {
	t.Helper()
	p, err := e.ListenPacket(service)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func dialPacket(t testing.TB, e *Endpoint, to, service string) net.Conn {
	t.Helper()
	c, err := e.DialPacket(t.Context(), peer(to), service)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDatagrams(t *testing.T) {
	f := newFabric()
	alice, bob := start(t, f, "alice"), start(t, f, "bob")
	long := strings.Repeat("v", MaxService) // the longest header there is
	server := listenPacket(t, bob, long)
	c := dialPacket(t, alice, "bob", long)
	b := make([]byte, 2*MaxDatagram)
	for _, size := range []int{0, 1, 500, MaxDatagram} {
		want := bytes.Repeat([]byte{7}, size)
		if n, err := c.Write(want); err != nil || n != size {
			t.Fatalf("Write of %d bytes: %d, %v", size, n, err)
		}
		n, from, err := server.ReadFrom(b)
		if err != nil || !bytes.Equal(b[:n], want) {
			t.Fatalf("ReadFrom: %d bytes of %d, %v", n, size, err)
		}
		if got := from.(Addr); got.Name != "alice" || got.Key != peer("alice").Key || from.String() != c.LocalAddr().String() {
			t.Errorf("datagram from %v, sent by %v", from, c.LocalAddr())
		}
		if _, err := server.WriteTo(want, from); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(b); err != nil || !bytes.Equal(b[:n], want) {
			t.Fatalf("reply: %d bytes of %d, %v", n, size, err)
		}
	}
	_, err := c.Write(make([]byte, MaxDatagram+1))
	if !errors.Is(err, syscall.EMSGSIZE) || !strings.Contains(err.Error(), "1100") {
		t.Errorf("Write of too much: %v, want EMSGSIZE and the limit", err)
	}
	if _, err := bob.ListenPacket(long); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second ListenPacket: %v, want EADDRINUSE", err)
	}
	if _, err := server.WriteTo(b[:1], &net.UDPAddr{}); err == nil {
		t.Error("WriteTo a UDP address succeeds")
	}
}

// Two services can talk without either having dialled, as UDP sockets with known ports.
func TestDatagramsBetweenServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFabric()
		alice, bob := start(t, f, "alice"), start(t, f, "bob")
		a, b := listenPacket(t, alice, "game"), listenPacket(t, bob, "game")
		if _, err := a.WriteTo([]byte("lost"), peer("bob").addr("game")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the link is there now
		if got := alice.Stats().DatagramsUnsent; got != 1 {
			t.Errorf("%d datagrams unsent, want the first", got)
		}
		a.WriteTo([]byte("hello"), peer("bob").addr("game"))
		buffer := make([]byte, 10)
		n, from, err := b.ReadFrom(buffer)
		if err != nil || string(buffer[:n]) != "hello" || from != net.Addr(peer("alice").addr("game")) {
			t.Errorf("read %q from %v, %v", buffer[:n], from, err)
		}
		alice.Close()
		bob.Close()
	})
}

func TestDatagramQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFabric()
		alice, bob := start(t, f, "alice"), start(t, f, "bob")
		server := listenPacket(t, bob, "voice")
		c := dialPacket(t, alice, "bob", "voice")
		gone := listenPacket(t, bob, "nobody")
		nobody := dialPacket(t, alice, "bob", "nobody")
		gone.Close()
		if _, err := alice.DialPacket(t.Context(), peer("bob"), "nobody"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("DialPacket to a service that nobody listens on: %v", err)
		}
		nobody.Write([]byte("x"))
		for i := range inboxSize + 10 {
			c.Write([]byte{byte(i)})
			time.Sleep(time.Millisecond) // virtual: QUIC paces what it sends
		}
		time.Sleep(time.Second)
		got := bob.Stats()
		if got.InboxFull != 10 || got.NoReceiver != 1 {
			t.Errorf("%d dropped and %d for nobody, want 10 and 1", got.InboxFull, got.NoReceiver)
		}
		b := make([]byte, 1)
		server.SetReadDeadline(time.Now().Add(time.Second))
		for i := range inboxSize {
			if _, _, err := server.ReadFrom(b); err != nil || b[0] != byte(i) {
				t.Fatalf("datagram %d is %d, %v", i, b[0], err)
			}
		}
		f.set(func(f *fabric) { f.cut = true })
		for range 2000 {
			if _, err := c.Write(make([]byte, MaxDatagram)); err != nil {
				t.Fatalf("Write without a path: %v", err)
			}
		}
		if alice.Stats().DatagramsUnsent == 0 {
			t.Error("2 000 datagrams were queued for a peer that does not answer")
		}
		alice.Close()
		bob.Close()
	})
}

func TestDatagramDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFabric()
		alice, bob := start(t, f, "alice"), start(t, f, "bob")
		server := listenPacket(t, bob, "voice")
		c := dialPacket(t, alice, "bob", "voice")
		b := make([]byte, 1)
		began := time.Now()
		server.SetReadDeadline(began.Add(time.Second))
		_, _, err := server.ReadFrom(b)
		var timeout net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() || time.Since(began) != time.Second {
			t.Errorf("ReadFrom: %v after %v", err, time.Since(began))
		}
		c.SetDeadline(time.Now().Add(-1))
		if _, err := c.Write(b); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write: %v", err)
		}
		if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read: %v", err)
		}
		c.SetDeadline(time.Time{})
		server.SetDeadline(time.Time{})
		c.Write([]byte("x"))
		if _, _, err := server.ReadFrom(b); err != nil {
			t.Errorf("ReadFrom after the deadline was lifted: %v", err)
		}
		for what, end := range map[string]func() error{"server": server.Close, "dialler": c.Close} {
			time.AfterFunc(time.Second, func() { end() })
			if what == "server" {
				_, _, err = server.ReadFrom(b)
			} else {
				_, err = c.Read(b)
			}
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s after Close: %v", what, err)
			}
		}
		if _, err := c.Write(b); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write after Close: %v", err)
		}
		alice.Close()
		bob.Close()
	})
}

// A flow outlives the peer's reboot: datagrams are lost until there is a new link.
func TestFlowSurvivesReboot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFabric()
		f.delay = 10 * time.Millisecond
		alice, bob := start(t, f, "alice"), start(t, f, "bob")
		listenPacket(t, bob, "voice")
		c := dialPacket(t, alice, "bob", "voice")
		crash(f, bob)
		server := listenPacket(t, start(t, f, "bob"), "voice")
		arrived := make(chan error, 1)
		go func() {
			_, _, err := server.ReadFrom(make([]byte, 1))
			arrived <- err
		}()
		lost := -1
		for done := false; !done; lost++ {
			c.Write([]byte("x"))
			time.Sleep(20 * time.Millisecond) // voice; virtual time
			select {
			case err := <-arrived:
				if done = true; err != nil {
					t.Error(err)
				}
			default:
			}
		}
		if lost > 10 {
			t.Errorf("%d datagrams lost", lost)
		}
		c.Close()
	})
}
