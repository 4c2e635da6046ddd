package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/login"
	"github.com/ada420b6/overlay/internal/runtime"
	"github.com/ada420b6/overlay/internal/runtime/memnet"
)

// A login server whose hook is slow: the answer comes late, is taken, and is asked for no
// more often than the rhythm of retries allows. Who has a certificate notices nothing.
func TestSlowLoginServer(t *testing.T) {
	for _, slow := range []time.Duration{2 * time.Second, 10 * time.Second, 40 * time.Second} {
		inWorld(t, memnet.Config{Seed: 15}, func(t *testing.T, w *world) {
			w.attached(w.start("s", func(c *runtime.Config) { c.Role = core.RoleSupernode }), time.Minute)
			var asked atomic.Int64
			w.serveLogin(login.Policy{Decide: func(ctx context.Context, _ login.Request) error {
				asked.Add(1)
				select {
				case <-time.After(slow):
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}})
			old := w.nodes["s"].Status()
			begun := time.Now()
			var took []time.Duration
			for i := range 5 {
				w.start(fmt.Sprint("n", i), func(c *runtime.Config) { c.Role = core.RoleNode })
			}
			for i := range 5 {
				n := w.nodes[fmt.Sprint("n", i)]
				w.attached(n, slow+10*time.Second)
				took = append(took, time.Since(begun))
				if sent := n.Status().Healing; sent > 30 {
					t.Errorf("%d packets were sent", sent)
				}
			}
			if first := slices.Min(took); first < slow {
				t.Errorf("attached after %v by a login server that takes %v", first, slow)
			}
			// A repetition that crosses the answer on its way is decided again.
			if got := asked.Load(); got < 5 || got > 7 {
				t.Errorf("a hook that takes %v was asked %d times for 5 nodes", slow, got)
			}
			now := w.nodes["s"].Status()
			if !w.nodes["s"].Attached() || !now.NotAfter.Equal(old.NotAfter) {
				t.Error("who has a certificate was touched")
			}
		})
	}
}

// A store that never answers is left after a minute, and the application is not lost.
func TestStuckLoginServer(t *testing.T) {
	inWorld(t, memnet.Config{Seed: 16}, func(t *testing.T, w *world) {
		w.attached(w.start("s", func(c *runtime.Config) { c.Role = core.RoleSupernode }), time.Minute)
		var asked atomic.Int64
		w.serveLogin(login.Policy{Decide: func(ctx context.Context, _ login.Request) error {
			if asked.Add(1) > 1 {
				return nil
			}
			<-ctx.Done()
			return errors.Join(login.ErrUnavailable, ctx.Err())
		}})
		n := w.start("a", nil)
		w.attached(n, 2*time.Minute)
		if got := asked.Load(); got != 2 {
			t.Errorf("asked %d times", got)
		}
	})
}
