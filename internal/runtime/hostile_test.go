package runtime_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/login"
	"github.com/ada420b6/overlay/internal/runtime"
	"github.com/ada420b6/overlay/internal/runtime/memnet"
)

// Strangers write whatever they like to a supernode and to a node, faster than they read:
// the sessions they have go on (rule R6), the drops are counted, nothing grows, nobody
// comes to believe that he or a peer is elsewhere, and who reboots under it comes back.
func TestFloodOfStrangers(t *testing.T) {
	inWorld(t, memnet.Config{Seed: 6}, func(t *testing.T, w *world) {
		s := w.start("s", func(c *runtime.Config) { c.Role = core.RoleSupernode })
		w.attached(s, time.Minute)
		dir := t.TempDir()
		boot := func() *runtime.Node {
			w.hosts = 1
			return w.start("n", func(c *runtime.Config) { c.Role, c.StateDir = core.RoleNode, dir })
		}
		n := boot()
		w.attached(n, time.Minute)
		sub := n.Events()
		f := newFlood(w, s.Key())
		defer f.close()
		before, node := s.Status(), n.Status()
		for range 120 { // two minutes: five keepalives
			f.pour(before.Address)
			f.pour(node.Address)
			<-time.After(time.Second)
		}
		after := s.Status()
		if d := after.Drops; d.NotOurs == 0 || d.OtherNetwork == 0 || after.Session.WrongMac1 == 0 {
			t.Errorf("drops were not counted: %+v", d)
		}
		if after.Knows > before.Knows || after.Sessions > before.Sessions+1 {
			t.Errorf("strangers made state: %d entries of %d before, %d sessions of %d", after.Knows, before.Knows, after.Sessions, before.Sessions)
		}
		if after.Address != before.Address || n.Status().Address != node.Address {
			t.Errorf("strangers moved %v to %v, %v to %v", before.Address, after.Address, node.Address, n.Status().Address)
		}
		staysAttached(t, sub)

		w.net.Cut(loginAddr, true)
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		n = boot()
		for begun := time.Now(); len(n.Status().Attached) == 0; <-time.After(100 * time.Millisecond) {
			if time.Since(begun) > time.Minute {
				t.Fatalf("not attached under the flood: %+v", n.Status())
			}
			f.pour(before.Address)
			f.pour(node.Address)
		}
	})
}

// staysAttached fails if a node has lost an attachment since sub began.
func staysAttached(t *testing.T, sub *runtime.Subscription) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for {
		ev, err := sub.Next(ctx)
		if err != nil {
			return
		}
		if ev.Kind == runtime.EventDetached {
			t.Fatal("the node lost its attachment to the flood")
		}
	}
}

// A lossy network with nodes that come and go: everybody is attached in the end.
func TestChurn(t *testing.T) {
	inWorld(t, memnet.Config{Seed: 7, Loss: 0.1, Jitter: 30 * time.Millisecond}, func(t *testing.T, w *world) {
		dirs := map[string]string{}
		boot := func(name string, host byte) {
			w.hosts = host
			w.start(name, func(c *runtime.Config) { c.StateDir = dirs[name] })
		}
		names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
		for i, name := range names {
			dirs[name] = t.TempDir()
			boot(name, byte(i))
		}
		for _, n := range w.nodes {
			w.attached(n, 2*time.Minute)
		}
		for round := range 3 {
			for i, name := range names {
				if i%3 != round {
					continue
				}
				if err := w.nodes[name].Close(); err != nil {
					t.Fatal(err)
				}
				boot(name, byte(i))
			}
			for _, n := range w.nodes {
				w.attached(n, 2*time.Minute)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for err := errors.New("not asked yet"); err != nil; {
			if ctx.Err() != nil {
				t.Fatalf("nobody finds h: %v", err)
			}
			<-time.After(100 * time.Millisecond) // a supernode answers itself, in no time
			_, err = w.nodes["a"].Lookup(ctx, "h")
		}
		if _, err := w.nodes["a"].Connect(ctx, "h"); err != nil {
			t.Fatal(err)
		}
	})
}

// Whatever the machine still refers to survives a sweep; with one after every step, a
// handle that was forgotten too early is a panic.
func TestSweepAlways(t *testing.T) {
	defer runtime.SweepAlways()()
	inWorld(t, memnet.Config{Seed: 9, Loss: 0.15, Jitter: 200 * time.Millisecond}, func(t *testing.T, w *world) {
		for i, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
			w.start(name, func(c *runtime.Config) {
				if i < 5 {
					c.Role = core.RoleSupernode
				}
			})
		}
		for _, n := range w.nodes {
			w.attached(n, 2*time.Minute)
		}
		ej, ei := endpoint(t, w.nodes["j"]), endpoint(t, w.nodes["i"])
		defer ej.Close()
		defer ei.Close()
		l, err := ei.Listen("echo")
		if err != nil {
			t.Fatal(err)
		}
		go echo(l)
		<-time.After(time.Minute) // the rosters have met, through the losses
		talk(t, w.nodes["j"], ej, "i")
		w.start("k", func(c *runtime.Config) { c.Role = core.RoleNode })
		w.attached(w.nodes["k"], 2*time.Minute)
		for _, name := range []string{"h", "i", "j", "g"} { // whose records nobody needs any more
			if _, err := w.nodes["k"].Lookup(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"a", "f"} { // a supernode and a node go
			if err := w.nodes[name].Close(); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(10 * time.Minute) // suspicion, death, refreshes, renewals of channels
		talk(t, w.nodes["j"], ej, "i")
		swept := uint64(0)
		for name, n := range w.nodes {
			s := n.Status()
			swept += s.Book.Swept
			if s.Book.Unwritable > 0 {
				t.Errorf("%s was to write what it had forgotten: %+v", name, s.Book)
			}
		}
		if swept == 0 {
			t.Error("nothing was swept")
		}
	})
}

func TestOperatorRefuses(t *testing.T) {
	inWorld(t, memnet.Config{}, func(t *testing.T, w *world) {
		store, err := login.OpenEmbedded(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		s, err := runtime.StartLogin(t.Context(), runtime.LoginConfig{
			Store: store, ListenPacket: w.net.Host(loginAddr), Address: ":5050",
			Authority: login.Policy{Decide: func(_ context.Context, r login.Request) error {
				if r.Name == "eve" {
					return errors.New("not you")
				}
				return nil
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		eve := w.start("eve", func(c *runtime.Config) { c.Invite = s.Invite() })
		var refused *runtime.RefusedError
		if err := eve.WaitAttached(t.Context()); !errors.As(err, &refused) || refused.Reason != "not you" {
			t.Fatalf("refused: %v", err)
		}
		w.attached(w.start("ann", func(c *runtime.Config) { c.Invite = s.Invite() }), time.Minute)
		// A node of one network knows nobody of another.
		bob := w.start("bob", nil)
		w.attached(bob, time.Minute)
		if _, err := bob.Lookup(t.Context(), "ann"); !errors.Is(err, runtime.ErrNotFound) {
			t.Fatalf("found somebody of another network: %v", err)
		}
	})
}

// A node without a name gives its resources, and a node that calls itself reaches
// itself.
func TestContributeOnlyAndSelf(t *testing.T) {
	inWorld(t, memnet.Config{Seed: 8}, func(t *testing.T, w *world) {
		w.attached(w.start("", func(c *runtime.Config) { c.Contribute = true }), time.Minute)
		n := w.start("n", nil)
		w.attached(n, time.Minute)
		e := endpoint(t, n)
		defer e.Close()
		l, err := e.Listen("echo")
		if err != nil {
			t.Fatal(err)
		}
		go echo(l)
		talk(t, n, e, "n")
	})
}
