package runtime_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/login"
	"github.com/ada420b6/overlay/internal/runtime"
	"github.com/ada420b6/overlay/internal/runtime/memnet"
	"github.com/ada420b6/overlay/internal/stream"
)

// world is a network in memory with a login server and nodes, each on a machine of its
// own. It lives in a synctest bubble.
type world struct {
	t      *testing.T
	net    *memnet.Network
	invite cert.Invite
	store  login.Store
	login  *runtime.LoginServer
	nodes  map[string]*runtime.Node
	hosts  byte
}

// inWorld runs f in a bubble with a world. The bubble's clock begins in 2000: it is moved
// to where login servers believe it.
func inWorld(t *testing.T, c memnet.Config, f func(*testing.T, *world)) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)))
		w := newWorld(t, c)
		defer w.close()
		f(t, w)
	})
}

func newWorld(t *testing.T, c memnet.Config) *world {
	w := &world{t: t, net: memnet.New(c), nodes: make(map[string]*runtime.Node)}
	store, err := login.OpenEmbedded(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w.store = store
	server, err := runtime.StartLogin(t.Context(), runtime.LoginConfig{
		Store: store, ListenPacket: w.net.Host(loginAddr), Address: ":4040",
	})
	if err != nil {
		t.Fatal(err)
	}
	w.login, w.invite = server, server.Invite()
	return w
}

var loginAddr = netip.MustParseAddr("198.18.0.1")

// start brings a node up on a machine of its own, in an address group of its own.
func (w *world) start(name string, change func(*runtime.Config)) *runtime.Node {
	w.t.Helper()
	w.hosts++
	c := runtime.Config{
		Invite: w.invite, Name: name, Address: ":4040",
		ListenPacket: w.net.Host(netip.AddrFrom4([4]byte{11, w.hosts, 0, 1})),
	}
	if change != nil {
		change(&c)
	}
	n, err := runtime.Start(w.t.Context(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.nodes[name] = n
	return n
}

// attached waits until a node can be found, at most for the given time.
func (w *world) attached(n *runtime.Node, within time.Duration) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), within)
	defer cancel()
	begun := time.Now()
	if err := n.WaitAttached(ctx); err != nil {
		w.t.Fatalf("%s is not attached after %v: %v\n%+v", n.Status().Name, within, err, n.Status())
	}
	w.t.Logf("%s attached after %v", n.Status().Name, time.Since(begun))
}

// close ends everything, so that the bubble can end.
func (w *world) close() {
	for _, n := range w.nodes {
		if err := n.Close(); err != nil {
			w.t.Error(err)
		}
	}
	if err := errors.Join(w.login.Close(), w.store.Close()); err != nil {
		w.t.Error(err)
	}
}

func endpoint(t *testing.T, n *runtime.Node) *stream.Endpoint {
	t.Helper()
	e, err := stream.New(n.PacketConn(), stream.Config{Identity: n.Identity})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func echo(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, c)
		}()
	}
}

func TestJoinLookupTalk(t *testing.T) {
	inWorld(t, memnet.Config{Seed: 1}, func(t *testing.T, w *world) {
		for i := range 3 {
			w.start(fmt.Sprintf("super%d", i), func(c *runtime.Config) { c.Role = core.RoleSupernode })
		}
		for i := range 5 {
			w.start(fmt.Sprintf("node%d", i), func(c *runtime.Config) { c.Role = core.RoleNode })
		}
		for _, n := range w.nodes {
			w.attached(n, 30*time.Second)
		}
		a, b := w.nodes["node0"], w.nodes["node4"]
		begun := time.Now()
		contact, err := a.Lookup(t.Context(), "node4")
		if err != nil {
			t.Fatal(err)
		}
		if contact.Peer.Key != b.Key() || contact.Peer.Name != "node4" || len(contact.Via) == 0 {
			t.Fatalf("looked up node4, got %+v", contact)
		}
		t.Logf("look-up took %v", time.Since(begun))
		if _, err := a.Lookup(t.Context(), "nobody"); !errors.Is(err, runtime.ErrNotFound) {
			t.Fatalf("looked up nobody: %v", err)
		}
		ea, eb := endpoint(t, a), endpoint(t, b)
		defer ea.Close()
		defer eb.Close()
		l, err := eb.Listen("echo")
		if err != nil {
			t.Fatal(err)
		}
		go echo(l)
		talk(t, a, ea, "node4")
		s := w.nodes["node0"].Status()
		t.Logf("%+v", s)
	})
}

// talk sends something to the echo service of a peer and reads it back.
func talk(t *testing.T, n *runtime.Node, e *stream.Endpoint, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	begun := time.Now()
	peer, err := n.Connect(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("connect took %v", time.Since(begun))
	c, err := e.Dial(ctx, peer, "echo")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("dial took %v", time.Since(begun))
	defer c.Close()
	sent := bytes.Repeat([]byte("hello "), 10000)
	go func() {
		_, _ = c.Write(sent)
		_ = c.(interface{ CloseWrite() error }).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("sent %d bytes, got %d back: %v", len(sent), len(got), err)
	}
}
