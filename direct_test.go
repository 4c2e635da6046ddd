package overlay_test

import (
	"testing"
	"time"

	"github.com/ada420b6/overlay"
	"github.com/ada420b6/overlay/internal/runtime/memnet"
)

// Two nodes that talk reach each other without their relay, unless one of them keeps its
// address for itself.
func TestDirect(t *testing.T) {
	for _, relayed := range []string{"", "a", "b"} {
		inWorld(t, memnet.Config{Seed: 1}, func(t *testing.T, w *world) {
			relay := w.up("relay", overlay.WithRole(overlay.RoleSupernode))
			nodes := make(map[string]*overlay.Node)
			for _, name := range []string{"a", "b"} {
				options := []overlay.NodeOption{overlay.WithRole(overlay.RoleNode)}
				if name == relayed {
					options = append(options, overlay.WithRelayedOnly())
				}
				nodes[name] = w.up(name, options...)
			}
			l, err := nodes["b"].Listen("tcp", ":direct")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			defer dial(t, nodes["a"], "tcp", "b:direct").Close()
			<-time.After(10 * time.Second)
			want := 1
			if relayed != "" {
				want = 0
			}
			for name, n := range nodes {
				if got := n.Status().Direct; got != want {
					t.Errorf("%q is relayed only: %s has %d direct peers, want %d", relayed, name, got, want)
				}
			}
			if relay.Status().Service.RelayedBytes == 0 {
				t.Error("nothing was relayed before")
			}
		})
	}
}
