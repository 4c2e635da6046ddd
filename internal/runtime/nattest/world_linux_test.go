package nattest

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/core"
	accounts "github.com/ada420b6/overlay/internal/login"
	overlay "github.com/ada420b6/overlay/internal/runtime"
	"github.com/ada420b6/overlay/internal/stream"
)

// patience is how long anything may take on a machine that others use, too. What may take
// how long is tested in virtual time (TestPairsOfNATs in package path).
const patience = 30 * time.Second

// world is a network on the internet of namespaces.
type world struct {
	t      *testing.T
	net    *internet
	invite cert.Invite
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, net: newInternet(t)}
	store, err := accounts.OpenEmbedded(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server, err := overlay.StartLogin(t.Context(), overlay.LoginConfig{
		Store: store, ListenPacket: w.net.listen, Address: fmt.Sprintf("%s:%d", login, port),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = server.Close(), store.Close() })
	w.invite = server.Invite()
	for i := range supers {
		w.start(w.net.namespace, fmt.Sprint("s", i), func(c *overlay.Config) {
			c.Role, c.Address = core.RoleSupernode, fmt.Sprintf("%s:%d", super(i), port)
		})
	}
	return w
}

// end is a node with its streams.
type end struct {
	t       *testing.T
	name    string
	node    *overlay.Node
	streams *stream.Endpoint
}

// start brings a node up in a namespace, and waits until it is attached.
func (w *world) start(at *namespace, name string, change func(*overlay.Config)) *end {
	w.t.Helper()
	policy := core.DefaultPolicy()
	policy.StartSpread = 0
	c := overlay.Config{
		Invite: w.invite, Name: name, Role: core.RoleNode, Policy: policy,
		ListenPacket: at.listen, Interfaces: at.interfaces, Address: fmt.Sprintf(":%d", node),
	}
	if change != nil {
		change(&c)
	}
	n, err := overlay.Start(w.t.Context(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	e := &end{t: w.t, name: name, node: n}
	w.t.Cleanup(e.close)
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if err := n.WaitAttached(ctx); err != nil {
		w.t.Fatalf("%s: %v\n%+v", name, err, n.Status())
	}
	if e.streams, err = stream.New(n.PacketConn(), stream.Config{Identity: n.Identity}); err != nil {
		w.t.Fatal(err)
	}
	n.OnRoute(e.streams.Nudge)
	l, err := e.streams.Listen("echo")
	if err != nil {
		w.t.Fatal(err)
	}
	go func() { // ends with the streams
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); c.Close() }()
		}
	}()
	return e
}

func (e *end) close() {
	if e.streams != nil {
		_ = e.streams.Close()
	}
	_ = e.node.Close()
}

// call opens a stream to the echo of another node.
func (e *end) call(to *end) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(e.t.Context(), patience)
	defer cancel()
	peer, err := e.node.Connect(ctx, to.name)
	if err != nil {
		return nil, fmt.Errorf("%s calls %s: %w", e.name, to.name, err)
	}
	c, err := e.streams.Dial(ctx, peer, "echo")
	if err != nil {
		return nil, fmt.Errorf("%s calls %s: %w", e.name, to.name, err)
	}
	return c, nil
}

// echoes reports how long it takes for something to come back.
func echoes(c net.Conn, within time.Duration) (time.Duration, error) {
	begun := time.Now()
	_ = c.SetDeadline(begun.Add(within))
	var b [4]byte
	_, err := c.Write([]byte("ping"))
	if err == nil {
		_, err = io.ReadFull(c, b[:])
	}
	return time.Since(begun), err
}

// direct waits until both ends reach each other without a relay, and returns how long it
// took.
func direct(a, b *end, within time.Duration) (took time.Duration, ok bool) {
	for begun := time.Now(); ; <-time.After(10 * time.Millisecond) {
		took = time.Since(begun)
		if a.node.Reaches(b.node.Key()) && b.node.Reaches(a.node.Key()) {
			return took, true
		}
		if took > within {
			return took, false
		}
	}
}

// at has a node listen at an address.
func at(address string) func(*overlay.Config) {
	return func(c *overlay.Config) { c.Address = address }
}
