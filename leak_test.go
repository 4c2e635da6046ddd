package overlay_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ada420b6/overlay"
)

// small is a network on real sockets whose every part a test closes by itself.
type small struct {
	login   *overlay.LoginServer
	network *overlay.Network
	nodes   []*overlay.Node
}

// open starts a login server and n nodes, with state on disk, and lets them talk.
func open(t *testing.T, n int) *small {
	t.Helper()
	dir := t.TempDir()
	var s small
	var err error
	if s.login, err = overlay.ListenLogin("127.0.0.1:0", overlay.WithStateDir(filepath.Join(dir, "login"))); err != nil {
		t.Fatal(err)
	}
	s.network, err = overlay.New(overlay.WithInvite(s.login.Invite()), overlay.WithStateDir(filepath.Join(dir, "nodes")))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for i := range n {
		role := overlay.RoleNode
		if i == 0 {
			role = overlay.RoleSupernode // and nobody else becomes one in the midst of a test
		}
		node, err := s.network.Join(ctx, fmt.Sprintf("n%d", i), overlay.WithListenAddress("127.0.0.1:0"), overlay.WithRole(role))
		if err != nil {
			t.Fatal(err)
		}
		s.nodes = append(s.nodes, node)
		l, err := node.Listen("tcp", ":echo")
		if err != nil {
			t.Fatal(err)
		}
		go echo(l) // ends with the node
	}
	for i, node := range s.nodes {
		if err := talk(ctx, node, s.nodes[(i+1)%n].Name()); err != nil {
			t.Fatal(err)
		}
	}
	return &s
}

// goroutines returns a check that no goroutine is left of those that begin from now on.
// goleak looks again for a while: QUIC's own end a moment after their connection.
func goroutines(t *testing.T) (ended func()) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	return func() {
		t.Helper()
		if err := goleak.Find(before); err != nil {
			t.Error(err)
		}
	}
}

// TestCloseEndsEverything closes a network in every order there is, with conversations
// open and calls under way.
func TestCloseEndsEverything(t *testing.T) {
	for _, tc := range []struct {
		name  string
		close func(s *small) error
	}{
		{"network, login", func(s *small) error { return errors.Join(s.network.Close(), s.login.Close()) }},
		{"login, network", func(s *small) error { return errors.Join(s.login.Close(), s.network.Close()) }},
		{"nodes one by one", func(s *small) (err error) {
			for _, n := range s.nodes {
				err = errors.Join(err, n.Close(), n.Close()) // the second does nothing
			}
			return errors.Join(err, s.login.Close(), s.network.Close(), s.network.Close())
		}},
		{"all at once", func(s *small) error {
			var wg sync.WaitGroup
			for _, n := range s.nodes {
				wg.Go(func() { _ = n.Close() })
			}
			wg.Go(func() { _ = s.login.Close() })
			err := s.network.Close()
			wg.Wait()
			return err
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ended := goroutines(t)
			s := open(t, 4)
			c, err := s.nodes[1].DialContext(t.Context(), "tcp", "n2:echo")
			if err != nil {
				t.Fatal(err)
			}
			reading := make(chan error, 3)
			go func() {
				_, err := c.Read(make([]byte, 1))
				reading <- err
			}()
			go func() { // an event that never comes
				for range s.nodes[3].Events(context.Background()) {
				}
				reading <- net.ErrClosed
			}()
			l, err := s.nodes[0].Listen("tcp", ":wait")
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				_, err := l.Accept()
				reading <- err
			}()
			if err := tc.close(s); err != nil {
				t.Error(err)
			}
			for range cap(reading) {
				if err := <-reading; err == nil {
					t.Error("a call under way did not end with an error")
				}
			}
			ended()
			if _, err := s.network.Join(t.Context(), "late"); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Join of a closed network: %v", err)
			}
			if s.nodes[0].Status() != (overlay.Status{Name: "n0"}) {
				t.Errorf("a closed node's status is %+v", s.nodes[0].Status())
			}
			if err := s.nodes[0].Attached(t.Context()); !errors.Is(err, net.ErrClosed) {
				t.Errorf("a closed node is attached: %v", err)
			}
			s.nodes[0].Retry() // does nothing, and does not hang
		})
	}
}

// TestLeaveEndsEverything lets nodes leave, the supernode with them.
func TestLeaveEndsEverything(t *testing.T) {
	ended := goroutines(t)
	s := open(t, 3)
	var wg sync.WaitGroup
	for _, n := range s.nodes {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			// A lone supernode waits for its nodes to find another: its time may end.
			if err := n.Leave(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(s.network.Close(), s.login.Close()); err != nil {
		t.Error(err)
	}
	ended()
}

// TestCancelledJoin ends Join at every stage: before it begins, while nobody answers, and
// at moments in between. Nothing is left, and the name can be joined again.
func TestCancelledJoin(t *testing.T) {
	ended := goroutines(t)
	s := open(t, 2)
	for i := range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*time.Millisecond/2)
		if n, err := s.network.Join(ctx, "hasty", overlay.WithListenAddress("127.0.0.1:0"), overlay.WithRole(overlay.RoleNode)); err == nil {
			err = n.Close()
			if err != nil {
				t.Error(err)
			}
		} else if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %v: %v", time.Duration(i)*time.Millisecond/2, err)
		}
		cancel()
	}
	n, err := s.network.Join(t.Context(), "hasty", overlay.WithListenAddress("127.0.0.1:0"), overlay.WithRole(overlay.RoleNode))
	if err != nil {
		t.Fatal(err)
	}
	if err := talk(t.Context(), n, "n1"); err != nil {
		t.Error(err)
	}
	if err := errors.Join(s.login.Close(), s.network.Close()); err != nil {
		t.Error(err)
	}

	// Nobody answers at all.
	dead, err := overlay.New(overlay.WithInvite(s.login.Invite()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := dead.Join(ctx, "lonely"); !errors.Is(err, context.Canceled) {
		t.Errorf("Join with nobody there: %v", err)
	}
	// A network that is closed ends the Joins that are under way.
	joined := make(chan error, 1)
	go func() {
		_, err := dead.Join(context.Background(), "lonelier")
		joined <- err
	}()
	time.AfterFunc(20*time.Millisecond, func() { _ = dead.Close() })
	if err := <-joined; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Join of a network that is closed: %v", err)
	}
	ended()
}

// TestFailedStartEndsEverything makes starts fail half way.
func TestFailedStartEndsEverything(t *testing.T) {
	ended := goroutines(t)
	s := open(t, 2)
	failed := errors.New("no socket today")
	refuse := overlay.WithListenPacket(func(context.Context, string) (net.PacketConn, error) { return nil, failed })
	if _, err := overlay.ListenLogin(":0", refuse); !errors.Is(err, failed) {
		t.Error(err)
	}
	o, err := overlay.New(overlay.WithInvite(s.login.Invite()), overlay.WithStateDir(t.TempDir()), refuse)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second finds the state directory free
		if _, err := o.Join(t.Context(), "x"); !errors.Is(err, failed) {
			t.Error(err)
		}
	}
	if _, err := s.network.Join(t.Context(), "n0"); err == nil {
		t.Error("two nodes of one name and one state directory")
	}
	if err := errors.Join(o.Close(), s.network.Close(), s.login.Close()); err != nil {
		t.Error(err)
	}
	ended()
}
