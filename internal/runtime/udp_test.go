package runtime_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/login"
	"github.com/ada420b6/overlay/internal/runtime"
	"github.com/ada420b6/overlay/internal/stream"
)

// onLoopback starts a login server, a supernode and two nodes on real sockets, and
// returns the nodes. Everything waits for events: the protocol's own pauses are what it
// takes.
func onLoopback(tb testing.TB) (a, b *runtime.Node) {
	tb.Helper()
	store, err := login.OpenEmbedded(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	server, err := runtime.StartLogin(tb.Context(), runtime.LoginConfig{Store: store, Address: "127.0.0.1:0"})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _, _ = server.Close(), store.Close() })
	policy := core.DefaultPolicy()
	policy.StartSpread = 0
	start := func(invite cert.Invite, name string, role core.Role) *runtime.Node {
		n, err := runtime.Start(tb.Context(), runtime.Config{
			Invite: invite, Name: name, Role: role, Policy: policy, // on every address of the machine
		})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = n.Close() })
		ctx, cancel := context.WithTimeout(tb.Context(), 20*time.Second)
		defer cancel()
		if err := n.WaitAttached(ctx); err != nil {
			tb.Fatalf("%s: %v\n%+v", name, err, n.Status())
		}
		return n
	}
	start(server.Invite(), "s", core.RoleSupernode)
	return start(server.Invite(), "a", core.RoleNode), start(server.Invite(), "b", core.RoleNode)
}

// conversation opens a stream from a to a service of b.
func conversation(tb testing.TB, a, b *runtime.Node, serve func(net.Conn)) net.Conn {
	tb.Helper()
	ends := [2]*stream.Endpoint{}
	for i, n := range []*runtime.Node{a, b} {
		e, err := stream.New(n.PacketConn(), stream.Config{Identity: n.Identity})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = e.Close() })
		ends[i] = e
	}
	l, err := ends[1].Listen("service")
	if err != nil {
		tb.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	ctx, cancel := context.WithTimeout(tb.Context(), 20*time.Second)
	defer cancel()
	peer, err := a.Connect(ctx, "b")
	if err != nil {
		tb.Fatal(err)
	}
	c, err := ends[0].Dial(ctx, peer, "service")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

func TestRealSockets(t *testing.T) {
	a, b := onLoopback(t)
	c := conversation(t, a, b, func(c net.Conn) {
		_, _ = io.Copy(c, c)
		_ = c.Close()
	})
	pingpong(t, c, 10)
	s := a.Status()
	if s.Drops.WriteErrors+s.Drops.ReadErrors+s.Drops.NotOurs+s.Drops.NoSource > 0 || s.Address.Addr().String() != "127.0.0.1" {
		t.Errorf("%+v", s)
	}
}

// BenchmarkRelayedStream is what two nodes get through one relay, all three on this
// machine.
func BenchmarkRelayedStream(b *testing.B) {
	from, to := onLoopback(b)
	c := conversation(b, from, to, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	p := make([]byte, 64<<10)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		if _, err := c.Write(p); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRelayedRoundTrip is one small message and its answer through one relay.
func BenchmarkRelayedRoundTrip(b *testing.B) {
	from, to := onLoopback(b)
	c := conversation(b, from, to, func(c net.Conn) { _, _ = io.Copy(c, c) })
	var p [64]byte
	b.ResetTimer()
	for b.Loop() {
		if _, err := c.Write(p[:]); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, p[:]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLookup is a look-up over real sockets.
func BenchmarkLookup(b *testing.B) {
	from, _ := onLoopback(b)
	for b.Loop() {
		if _, err := from.Lookup(b.Context(), "b"); err != nil {
			b.Fatal(err)
		}
	}
}
