package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"
)

// echoPackets answers every datagram with itself, until the test ends.
func echoPackets(t *testing.T) net.PacketConn {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	go func() { // ends with pc
		b := make([]byte, 2048)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = pc.WriteTo(b[:n], from)
		}
	}()
	return pc
}

// carrying runs sessions between a port and the target that dial finds.
func carrying(t *testing.T, idle time.Duration, dial func(f *forwarder) dialer) (f *forwarder, port string) {
	t.Helper()
	f = &forwarder{log: slog.New(slog.DiscardHandler)}
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &sessions{f: f, port: pc, dial: dial(f), idle: idle, open: make(map[string]*packetSession)}
	f.wg.Go(func() { s.run(ctx) })
	t.Cleanup(func() {
		cancel()
		pc.Close()
		f.wait() // every goroutine has ended
		if f.open.Load() != 0 || len(s.open) != 0 {
			t.Errorf("%d sessions are open at the end", f.open.Load())
		}
	})
	return f, pc.LocalAddr().String()
}

func askPacket(t *testing.T, c net.Conn, text string) {
	t.Helper()
	b := make([]byte, 100)
	for range 50 { // a datagram may be lost, also on loopback
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		if n, err := c.Read(b); err == nil {
			if string(b[:n]) == text {
				return
			}
		}
	}
	t.Fatalf("%q was not answered", text)
}

func client(t *testing.T, port string) net.Conn {
	t.Helper()
	c, err := net.Dial("udp", port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestSessions: each sender gets its own answers.
func TestSessions(t *testing.T) {
	target := echoPackets(t).LocalAddr().String()
	f, port := carrying(t, time.Hour, func(f *forwarder) dialer { return f.toLocal("udp", target) })
	a, b := client(t, port), client(t, port)
	for i := range 20 {
		askPacket(t, a, fmt.Sprint("a", i))
		askPacket(t, b, fmt.Sprint("b", i))
	}
	if f.accepted.Load() != 2 || f.open.Load() != 2 {
		t.Errorf("%d sessions for two senders, %d open", f.accepted.Load(), f.open.Load())
	}
}

// TestSessionEnds: when nothing has been said for a while, and begins anew.
func TestSessionEnds(t *testing.T) {
	target := echoPackets(t).LocalAddr().String()
	f, port := carrying(t, 20*time.Millisecond, func(f *forwarder) dialer { return f.toLocal("udp", target) })
	c := client(t, port)
	askPacket(t, c, "one")
	for f.open.Load() > 0 {
		pause(t.Context(), time.Millisecond)
	}
	askPacket(t, c, "two")
	if f.accepted.Load() < 2 {
		t.Errorf("%d sessions", f.accepted.Load())
	}
}

// TestFirstDatagramWaits for the other side to be found; of those that do not fit some are
// dropped, and counted.
func TestFirstDatagramWaits(t *testing.T) {
	target := echoPackets(t).LocalAddr().String()
	found := make(chan struct{})
	f, port := carrying(t, time.Hour, func(f *forwarder) dialer {
		return func(ctx context.Context) (net.Conn, error) {
			select {
			case <-found:
				return f.toLocal("udp", target)(ctx)
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	})
	c := client(t, port)
	for f.dropped.Load() == 0 {
		if _, err := c.Write([]byte("first")); err != nil {
			t.Fatal(err)
		}
		pause(t.Context(), time.Millisecond)
	}
	close(found)
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	b := make([]byte, 10)
	if n, err := c.Read(b); err != nil || string(b[:n]) != "first" {
		t.Errorf("%q: %v", b[:n], err)
	}
}

// TestSessionsAreBounded: a flood from many ports opens no more than maxSessions.
func TestSessionsAreBounded(t *testing.T) {
	f, port := carrying(t, time.Hour, func(f *forwarder) dialer {
		return func(ctx context.Context) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	for f.dropped.Load() < 20 {
		c, err := net.Dial("udp", port)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte("x"))
		c.Close()
	}
	if n := f.open.Load(); n > maxSessions {
		t.Errorf("%d sessions are open, %d may be", n, maxSessions)
	}
}

// peerAddr is an address of the overlay.
type peerAddr string

func (peerAddr) Network() string  { return "overlay" }
func (a peerAddr) String() string { return string(a) }

// TestOnePeerLeavesRoom: a peer that begins session after session does not take those of
// others, nor are local programs, which all have one address, taken for one.
func TestOnePeerLeavesRoom(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	f := &forwarder{log: slog.New(slog.DiscardHandler)}
	s := &sessions{f: f, idle: time.Minute, open: make(map[string]*packetSession), dial: func(ctx context.Context) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	defer f.wait()
	defer cancel()
	begun := func(from func(i int) net.Addr) (n int) {
		for i := range maxSessions / 2 {
			if s.session(ctx, from(i)) != nil {
				n++
			}
		}
		return n
	}
	if n := begun(func(i int) net.Addr { return peerAddr(fmt.Sprintf("mallory:~%d", i)) }); n != maxOfPeer {
		t.Errorf("one peer has %d sessions", n)
	}
	if n := begun(func(i int) net.Addr { return &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: i + 1} }); n != maxSessions/2 {
		t.Errorf("local programs have %d sessions", n)
	}
	if s.session(ctx, peerAddr("alice:~1")) == nil {
		t.Error("no room for another peer")
	}
}
