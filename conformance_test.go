package overlay_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/ada420b6/overlay"
	"github.com/ada420b6/overlay/internal/runtime/memnet"
)

// trio is the smallest network in which two ordinary nodes talk: with a supernode that
// relays until they have found each other, on real sockets.
func trio(t *testing.T) (alice, bob *overlay.Node) {
	t.Helper()
	_, alice, bob = quartet(t)
	return alice, bob
}

// quartet is trio with the supernode.
func quartet(t *testing.T) (relay, alice, bob *overlay.Node) {
	t.Helper()
	login, err := overlay.ListenLogin("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { login.Close() })
	o, err := overlay.New(overlay.WithInvite(login.Invite()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	join := func(name string, r overlay.Role) *overlay.Node {
		n, err := o.Join(ctx, name, overlay.WithListenAddress("127.0.0.1:0"), overlay.WithRole(r))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return join("relay", overlay.RoleSupernode), join("alice", overlay.RoleNode), join("bob", overlay.RoleNode)
}

// TestConn is what the Go project checks of every net.Conn.
func TestConn(t *testing.T) {
	alice, bob := trio(t)
	for _, way := range []struct{ from, to *overlay.Node }{{alice, bob}, {bob, alice}} {
		l, err := way.to.Listen("tcp", ":pipe")
		if err != nil {
			t.Fatal(err)
		}
		t.Run(way.from.Name(), func(t *testing.T) {
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				if c1, err = way.from.DialContext(t.Context(), "tcp", way.to.Name()+":pipe"); err != nil {
					return nil, nil, nil, err
				}
				if c2, err = l.Accept(); err != nil {
					return nil, nil, nil, errors.Join(err, c1.Close())
				}
				return c1, c2, func() { _, _ = c1.Close(), c2.Close() }, nil
			})
		})
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestHTTPBothWays lets net/http run over the network unchanged, each of two nodes as
// client and as server.
func TestHTTPBothWays(t *testing.T) {
	alice, bob := trio(t)
	body := strings.Repeat("patch", 100_000)
	for _, way := range []struct{ client, server *overlay.Node }{{alice, bob}, {bob, alice}} {
		l, err := way.server.Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(w, r.Body)
		})}
		go func() { served <- server.Serve(l) }()
		client := &http.Client{Transport: &http.Transport{DialContext: way.client.DialContext}, Timeout: 20 * time.Second}
		for range 2 {
			resp, err := client.Post("http://"+way.server.Name()+"/", "text/plain", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(got) != body {
				t.Fatalf("%d bytes came back of %d: %v", len(got), len(body), err)
			}
		}
		client.CloseIdleConnections()
		server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}
}

// inTrio runs f in a world of a supernode and two ordinary nodes, of which b answers echo.
func inTrio(t *testing.T, f func(t *testing.T, w *world, a, b *overlay.Node)) {
	t.Helper()
	inWorld(t, memnet.Config{Seed: 1}, func(t *testing.T, w *world) {
		w.up("relay", overlay.WithRole(overlay.RoleSupernode))
		f(t, w, w.up("a", overlay.WithRole(overlay.RoleNode)), w.up("b", overlay.WithRole(overlay.RoleNode)))
	})
}

func dial(t *testing.T, from *overlay.Node, network, address string) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := from.DialContext(ctx, network, address)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestHalfClose(t *testing.T) {
	inTrio(t, func(t *testing.T, _ *world, a, _ *overlay.Node) {
		c := dial(t, a, "tcp", "b:echo")
		defer c.Close()
		sent := bytes.Repeat([]byte("0123456789"), 50_000)
		go func() {
			_, _ = c.Write(sent)
			_ = c.(interface{ CloseWrite() error }).CloseWrite()
		}()
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("%d bytes came back of %d after the half was closed: %v", len(got), len(sent), err)
		}
		if _, err := c.Write([]byte("more")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("write after CloseWrite: %v", err)
		}
	})
}

func TestDeadlines(t *testing.T) {
	inTrio(t, func(t *testing.T, _ *world, a, b *overlay.Node) {
		mute, err := b.ListenPacket("udp", ":mute")
		if err != nil {
			t.Fatal(err)
		}
		defer mute.Close()
		readDeadline(t, dial(t, a, "tcp", "b:echo"))
		readDeadline(t, dial(t, a, "udp", "b:mute")) // nothing comes back
	})
}

// readDeadline checks that a read ends at its deadline, not before and not much later,
// with a timeout, and that the conn can be read again when the deadline is moved.
func readDeadline(t *testing.T, c net.Conn) {
	t.Helper()
	defer c.Close()
	const wait = 700 * time.Millisecond
	for range 2 {
		begun := time.Now()
		if err := c.SetReadDeadline(begun.Add(wait)); err != nil {
			t.Fatal(err)
		}
		var b [1]byte
		_, err := c.Read(b[:])
		var timeout net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Fatalf("read beyond the deadline: %v", err)
		}
		if took := time.Since(begun); took < wait || took > wait+100*time.Millisecond {
			t.Errorf("a deadline of %v ended the read after %v", wait, took)
		}
	}
}

func TestDatagrams(t *testing.T) {
	inTrio(t, func(t *testing.T, _ *world, a, b *overlay.Node) {
		l, err := b.ListenPacket("udp", ":game")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c := dial(t, a, "udp", "b:game")
		defer c.Close()
		for _, size := range []int{1, overlay.MaxDatagram} {
			sent := bytes.Repeat([]byte{byte(size)}, size)
			if n, err := c.Write(sent); n != size || err != nil {
				t.Fatalf("a datagram of %d bytes: %d, %v", size, n, err)
			}
			buf := make([]byte, 2*overlay.MaxDatagram)
			n, from, err := l.ReadFrom(buf)
			if err != nil || !bytes.Equal(buf[:n], sent) {
				t.Fatalf("%d bytes came of %d: %v", n, size, err)
			}
			if name, _, _ := net.SplitHostPort(from.String()); name != "a" {
				t.Errorf("the sender is %v", from)
			}
			if _, err := l.WriteTo(buf[:n], from); err != nil {
				t.Fatal(err)
			}
			if n, err := c.Read(buf); err != nil || !bytes.Equal(buf[:n], sent) {
				t.Fatalf("%d bytes came back of %d: %v", n, size, err)
			}
		}
		long := make([]byte, overlay.MaxDatagram+1)
		if n, err := c.Write(long); n != 0 || !errors.Is(err, syscall.EMSGSIZE) {
			t.Errorf("a datagram of %d bytes: %d, %v", len(long), n, err)
		}
	})
}

func TestDialErrors(t *testing.T) {
	inTrio(t, func(t *testing.T, w *world, a, _ *overlay.Node) {
		ended, end := context.WithCancel(t.Context())
		end()
		for _, tc := range []struct {
			what             string
			ctx              context.Context
			network, address string
			want             error
			within           time.Duration
		}{
			{"nobody listens", t.Context(), "tcp", "b:25", syscall.ECONNREFUSED, time.Second},
			{"nobody listens", t.Context(), "udp", "b:echo", syscall.ECONNREFUSED, time.Second}, // where streams are taken
			// Three supernodes are asked at most, for 1.5 s each: the policy's LookupTimeout
			// and PutRetry.
			{"unknown name", t.Context(), "tcp", "nobody:80", overlay.ErrNotFound, 5 * time.Second},
			{"unknown name", t.Context(), "udp", "nobody:80", overlay.ErrNotFound, 5 * time.Second},
			{"cancelled", ended, "tcp", "b:echo", context.Canceled, 0},
			{"cancelled", ended, "udp", "b:echo", context.Canceled, 0},
		} {
			begun := time.Now()
			c, err := a.DialContext(tc.ctx, tc.network, tc.address)
			var op *net.OpError
			if c != nil || !errors.Is(err, tc.want) || !errors.As(err, &op) || op.Op != "dial" {
				t.Errorf("%s, %s: %v, %v", tc.what, tc.network, c, err)
			}
			if took := time.Since(begun); took > tc.within {
				t.Errorf("%s, %s: took %v, at most %v is allowed", tc.what, tc.network, took, tc.within)
			}
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := a.DialContext(t.Context(), "tcp", "b:echo"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("dial from a closed node: %v", err)
		}
	})
}

// TestCancelledDial ends the context while the answer is on its way.
func TestCancelledDial(t *testing.T) {
	inTrio(t, func(t *testing.T, w *world, a, _ *overlay.Node) {
		w.net.Cut(w.machines[2].addr, true)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		begun := time.Now()
		_, err := a.DialContext(ctx, "tcp", "b:echo")
		var timeout net.Error
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("dialled a peer that is cut off: %v", err)
		}
		if took := time.Since(begun); took != 2*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// TestPeerGone ends a conversation from the other side: with a word, and without.
func TestPeerGone(t *testing.T) {
	inTrio(t, func(t *testing.T, w *world, a, b *overlay.Node) {
		c := dial(t, a, "tcp", "b:echo")
		defer c.Close()
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		var one [1]byte
		_, err := c.Read(one[:])
		var timeout net.Error
		if !errors.Is(err, syscall.ECONNRESET) || !errors.As(err, &timeout) || timeout.Timeout() || errors.Is(err, net.ErrClosed) {
			t.Errorf("the peer has closed: %v", err)
		}
	})
	inTrio(t, func(t *testing.T, w *world, a, b *overlay.Node) {
		c := dial(t, a, "tcp", "b:echo")
		defer c.Close()
		w.net.Cut(w.machines[2].addr, true)
		if _, err := c.Write([]byte("are you there?")); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		var one [1]byte
		_, err := c.Read(one[:])
		var timeout net.Error
		if !errors.Is(err, syscall.ETIMEDOUT) || !errors.As(err, &timeout) || !timeout.Timeout() || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the peer is cut off: %v", err)
		}
		// stream.IdleTimeout, from the last packet that was heard.
		if took := time.Since(begun); took < time.Minute || took > 3*time.Minute {
			t.Errorf("a peer that is cut off is given up after %v", took)
		}
	})
}

func TestContributeOnly(t *testing.T) {
	inTrio(t, func(t *testing.T, w *world, a, _ *overlay.Node) {
		n := w.up("", overlay.WithContributeOnly())
		_, dialErr := n.DialContext(t.Context(), "tcp", "a:echo")
		_, listenErr := n.Listen("tcp", ":80")
		_, packetErr := n.ListenPacket("udp", ":80")
		_, lookupErr := n.Lookup(t.Context(), "a")
		for what, err := range map[string]error{"dials": dialErr, "listens": listenErr, "listens for datagrams": packetErr, "looks up": lookupErr} {
			if !errors.Is(err, overlay.ErrContributeOnly) {
				t.Errorf("a contribute-only node %s: %v", what, err)
			}
		}
		if s := n.Status(); !s.Attached || s.Name != "" {
			t.Errorf("%+v", s)
		}
	})
}

// TestNames is who gets a name: the first, and the next when it is released.
func TestNames(t *testing.T) {
	inTrio(t, func(t *testing.T, w *world, _, b *overlay.Node) {
		thief := w.machine("b")
		join := func() (*overlay.Node, error) {
			network, err := overlay.New(thief.options()...)
			if err != nil {
				t.Fatal(err)
			}
			thief.network = network
			return network.Join(t.Context(), "b")
		}
		begun := time.Now()
		if _, err := join(); !errors.Is(err, overlay.ErrNameTaken) || !strings.Contains(err.Error(), `"b"`) {
			t.Errorf("a name that is taken: %v", err)
		}
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("that a name is taken was told after %v", took)
		}
		if err := w.login.Release(t.Context(), "nobody"); !errors.Is(err, overlay.ErrNotFound) {
			t.Errorf("release of a name that nobody has: %v", err)
		}
		if err := w.login.Release(t.Context(), "b"); err != nil {
			t.Fatal(err)
		}
		n, err := join()
		if err != nil {
			t.Fatalf("a name that was released: %v", err)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestAdmission(t *testing.T) {
	const why = "no player of the winter season"
	admit := overlay.WithAdmission(func(_ context.Context, who overlay.Applicant) error {
		if strings.HasPrefix(who.Name, "bad") {
			return errors.New(why)
		}
		return nil
	})
	inWorld(t, memnet.Config{}, func(t *testing.T, w *world) {
		w.up("good")
		m := w.machine("bad")
		network, err := overlay.New(m.options()...)
		if err != nil {
			t.Fatal(err)
		}
		defer network.Close()
		_, err = network.Join(t.Context(), "bad")
		if !errors.Is(err, overlay.ErrRefused) || !strings.Contains(err.Error(), why) {
			t.Errorf("refused: %v", err)
		}
	}, admit)
}
