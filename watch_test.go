package overlay_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ada420b6/overlay"
	"github.com/ada420b6/overlay/internal/runtime/memnet"
)

// sight is what a watcher has been told.
type sight chan overlay.Presence

// watching lets a node watch names until the test ends.
func watching(t *testing.T, n *overlay.Node, names ...string) (sight, context.CancelFunc) {
	ctx, stop := context.WithCancel(t.Context())
	told := make(sight, 1000)
	seen := n.Watch(ctx, names...)
	go func() { // ends with ctx, or with the node
		defer close(told)
		for p := range seen {
			told <- p
		}
	}()
	return told, stop
}

// next is what is told next, within a time.
func (s sight) next(t *testing.T, within time.Duration, name string, want overlay.PresenceState) {
	t.Helper()
	select {
	case p := <-s:
		if p.Name != name || p.State != want || p.Err != nil {
			t.Fatalf("told %+v, want %s %v", p, name, want)
		}
	case <-time.After(within):
		t.Fatalf("%s: not told within %v that it is %v", name, within, want)
	}
}

// TestWatch is presence on real nodes in virtual time: who comes is told in 5 s, who goes
// with a goodbye as well, who dies without a word in 30 s; the death of one of the watcher's
// supernodes changes nothing; and a watcher that is cut off knows that it knows nothing.
func TestWatch(t *testing.T) {
	inWorld(t, memnet.Config{Seed: 1}, func(t *testing.T, w *world) {
		super := []*machine{}
		for i := range 3 {
			m := w.machine(fmt.Sprint("s", i), overlay.WithRole(overlay.RoleSupernode))
			m.start()
			m.wait(time.Minute)
			super = append(super, m)
		}
		w.pass(10 * time.Second)
		watcher := w.machine("alice", overlay.WithRole(overlay.RoleNode))
		watcher.start()
		alice := watcher.wait(time.Minute)
		peer := w.machine("bob", overlay.WithRole(overlay.RoleNode))

		told, stop := watching(t, alice, "bob")
		defer stop()
		told.next(t, 5*time.Second, "bob", overlay.PresenceOffline)
		peer.start()
		peer.wait(time.Minute)
		told.next(t, 5*time.Second, "bob", overlay.PresenceOnline)
		w.pass(time.Minute)
		peer.stop(true)
		told.next(t, 5*time.Second, "bob", overlay.PresenceOffline)
		for i := range 5 {
			peer.start()
			peer.wait(time.Minute)
			told.next(t, 5*time.Second, "bob", overlay.PresenceOnline)
			w.pass(time.Minute + time.Duration(i)*4*time.Second)
			peer.stop(false)
			told.next(t, 30*time.Second, "bob", overlay.PresenceOffline)
		}

		super[0].stop(false)
		peer.start()
		peer.wait(time.Minute)
		told.next(t, 5*time.Second, "bob", overlay.PresenceOnline)
		super[0].start()
		super[0].wait(time.Minute)
		w.pass(time.Minute)

		w.net.Cut(watcher.addr, true)
		told.next(t, 40*time.Second, "bob", overlay.PresenceUnknown)
		w.net.Cut(watcher.addr, false)
		told.next(t, time.Minute, "bob", overlay.PresenceOnline)

		select {
		case p := <-told:
			t.Errorf("nothing has changed, and %+v is told", p)
		default:
		}
	})
}

// TestDetached: a peer that is gone is told apart from a network that is.
func TestDetached(t *testing.T) {
	inTrio(t, func(t *testing.T, w *world, a, b *overlay.Node) {
		cut := w.machines[1].addr // a's
		ask := func(d time.Duration) (lookup, dial error) {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			_, lookup = a.Lookup(ctx, "b")
			_, dial = a.DialContext(ctx, "tcp", "b:echo")
			return lookup, dial
		}
		if err := b.Close(); err != nil { // its record lives on
			t.Fatal(err)
		}
		if _, err := ask(2 * time.Minute); !errors.Is(err, overlay.ErrUnavailable) || errors.Is(err, overlay.ErrDetached) {
			t.Errorf("dialled a peer that is gone: %v", err)
		}
		w.net.Cut(cut, true)
		w.pass(time.Minute)
		lookup, dial := ask(time.Minute) // both give up by themselves
		for _, err := range []error{lookup, dial} {
			if !errors.Is(err, overlay.ErrUnavailable) || !errors.Is(err, overlay.ErrDetached) {
				t.Errorf("asked without a network: %v", err)
			}
		}
	})
}

// TestWatchIsBounded: what can't be watched is said, and what can be is.
func TestWatchIsBounded(t *testing.T) {
	inWorld(t, memnet.Config{Seed: 1}, func(t *testing.T, w *world) {
		n := w.up("super", overlay.WithRole(overlay.RoleSupernode))
		names := []string{"Bob", "super", "super"}
		for i := range overlay.MaxWatched {
			names = append(names, fmt.Sprint("n", i))
		}
		told, stop := watching(t, n, names...)
		w.pass(time.Minute)
		stop()
		w.pass(time.Second)
		states, limit, bad := map[overlay.PresenceState]int{}, 0, 0
		for p := range told {
			switch {
			case errors.Is(p.Err, overlay.ErrWatchLimit):
				limit++
			case p.Err != nil && strings.Contains(p.Err.Error(), "Bob"):
				bad++
			default:
				states[p.State]++
			}
		}
		if limit != 1 || bad != 1 || states[overlay.PresenceOnline] != 1 || states[overlay.PresenceOffline] != overlay.MaxWatched-1 {
			t.Errorf("%d beyond the limit, %d no names, %v", limit, bad, states)
		}
		// Those of before are not watched any more.
		told, stop = watching(t, n, "n1")
		defer stop()
		told.next(t, 10*time.Second, "n1", overlay.PresenceOffline)

		go func() { // ends with the node, which the bubble waits for
			for range n.Watch(context.Background(), "n2") {
			}
		}()
		giver := w.up("", overlay.WithContributeOnly())
		for p := range giver.Watch(t.Context(), "super") {
			if !errors.Is(p.Err, overlay.ErrContributeOnly) {
				t.Errorf("%+v", p)
			}
		}
	})
}

// counted is a context that knows how many functions wait for its end.
type counted struct {
	context.Context
	waiting atomic.Int32
}

func (c *counted) Value(any) any { return nil } // or what it is made of is asked instead

func (c *counted) AfterFunc(f func()) func() bool {
	c.waiting.Add(1)
	stop := context.AfterFunc(c.Context, f)
	return func() bool {
		stopped := stop()
		if stopped {
			c.waiting.Add(-1)
		}
		return stopped
	}
}

// TestWatchLeavesNothing: who looks once does not leave something behind in a context that
// lives on.
func TestWatchLeavesNothing(t *testing.T) {
	inWorld(t, memnet.Config{Seed: 1}, func(t *testing.T, w *world) {
		n := w.up("super", overlay.WithRole(overlay.RoleSupernode))
		ctx := &counted{Context: t.Context()}
		for range 3 {
			for range n.Watch(ctx, "super") {
				break
			}
		}
		if left := ctx.waiting.Load(); left != 0 {
			t.Errorf("%d functions wait for the end of the context", left)
		}
	})
}
