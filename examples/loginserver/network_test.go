package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ada420b6/overlay"
)

// serve runs the program as main does, until the test ends, and returns its invite.
func serve(t *testing.T, args ...string) string {
	t.Helper()
	c, err := parse(args, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() { // ends with stop
		err := run(ctx, c, w, t.Output())
		w.CloseWithError(err)
		ended <- err
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("no invite: %v", err)
	}
	return strings.TrimSpace(line)
}

// join returns a node that has joined with an invite, from a machine of its own.
func join(ctx context.Context, t *testing.T, invite, name string) (*overlay.Node, error) {
	t.Helper()
	network, err := overlay.New(overlay.WithInvite(invite), overlay.WithStateDir(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { network.Close() })
	return network.Join(ctx, name, overlay.WithListenAddress("127.0.0.1:0"))
}

func mustJoin(ctx context.Context, t *testing.T, invite, name string) *overlay.Node {
	t.Helper()
	n, err := join(ctx, t, invite, name)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// call says something to a peer that says it back.
func call(ctx context.Context, t *testing.T, from, to *overlay.Node) {
	t.Helper()
	l, err := to.Listen("tcp", ":echo")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // ends with l, or with the caller
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.Copy(c, c) // what went wrong is seen by the caller
	}()
	c, err := from.DialContext(ctx, "tcp", net.JoinHostPort(to.Name(), "echo"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
		t.Fatalf("%s heard %q, %v", from.Name(), b, err)
	}
}

// addresses returns loopback addresses that are free now.
func addresses(t *testing.T, n int) (free []string) {
	t.Helper()
	for range n {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer pc.Close() // together, so that they differ
		free = append(free, pc.LocalAddr().String())
	}
	return free
}

// Two login servers on one database serve one network: whoever joined through one finds
// and calls whoever joined through the other, and a name is given once.
func TestTwoServersOneNetwork(t *testing.T) {
	dsn := emptySchema(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	at := addresses(t, 2)
	var only [2]string // invites that name one server each
	for i := range only {
		only[i] = serve(t, "-listen", at[i], "-postgres", dsn)
	}
	// The operator's invite names both. The first supernode makes itself known to both;
	// had it been told of one, the other would have had bob found a network of his own.
	both := serve(t, "-listen", "127.0.0.1:0", "-advertise", strings.Join(at, ","), "-postgres", dsn)
	mustJoin(ctx, t, both, "first")

	alice := mustJoin(ctx, t, only[0], "alice")
	bob := mustJoin(ctx, t, only[1], "bob")
	call(ctx, t, alice, bob)
	call(ctx, t, bob, alice)
	for _, x := range []struct{ invite, name string }{{only[0], "bob"}, {only[1], "alice"}} {
		if _, err := join(ctx, t, x.invite, x.name); !errors.Is(err, overlay.ErrNameTaken) {
			t.Errorf("%s, who is with the other server: %v, want ErrNameTaken", x.name, err)
		}
	}
}

// With a directory instead of a database the network outlives the process as well.
func TestStateDir(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dir := t.TempDir()
	t.Run("first", func(t *testing.T) { mustJoin(ctx, t, serve(t, "-listen", "127.0.0.1:0", "-state", dir), "alice") })
	t.Run("again", func(t *testing.T) {
		if _, err := join(ctx, t, serve(t, "-listen", "127.0.0.1:0", "-state", dir), "alice"); !errors.Is(err, overlay.ErrNameTaken) {
			t.Errorf("another alice: %v, want ErrNameTaken", err)
		}
	})
}

func TestFlags(t *testing.T) {
	for _, x := range []struct{ args, want string }{
		{"-state dir", ""},
		{"-postgres postgres://db -advertise a:1,b:2", ""},
		{"", "either -state or -postgres"},
		{"-state dir -postgres postgres://db", "either -state or -postgres"},
		{"-state dir -listen 7000", `"7000" is not host:port`},
		{"-state dir -advertise a:1,b", `"b" is not host:port`},
		{"-state dir extra", `argument "extra" is not a flag`},
	} {
		_, err := parse(strings.Fields(x.args), io.Discard)
		if x.want == "" && err != nil || x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)) {
			t.Errorf("%q: %v, want %q", x.args, err, x.want)
		}
	}
}
