package runtime_test

import (
	"testing"
	"time"

	"github.com/ada420b6/overlay/internal/runtime"
	"github.com/ada420b6/overlay/internal/runtime/memnet"
)

// direct waits until both ends of the conversation reach each other without a relay.
func (p *talkers) direct(within time.Duration) {
	p.w.t.Helper()
	for begun := time.Now(); p.a.Status().Direct+p.b.Status().Direct < 2; <-time.After(50 * time.Millisecond) {
		if time.Since(begun) > within {
			p.w.t.Fatalf("not direct after %v: %+v, %+v", within, p.a.Status().Path, p.b.Status().Path)
		}
	}
}

// relayed returns how many packets all supernodes have forwarded.
func (p *talkers) relayed() (n uint64) {
	for _, x := range p.w.nodes {
		n += x.Status().Traffic.RelayedPackets
	}
	return n
}

// A conversation leaves its relays for the direct way, goes back to them when that dies,
// with a gap of less than a second, and finds it again. The death of its relays is nothing
// to it meanwhile.
func TestDirectWay(t *testing.T) {
	for i, latency := range []time.Duration{5 * time.Millisecond, 40 * time.Millisecond} {
		t.Run(latency.String(), func(t *testing.T) {
			inWorld(t, network(uint64(i), latency), func(t *testing.T, w *world) {
				p := talking(t, w, 6, 2, func(*runtime.Config) {})
				p.direct(2 * time.Second)
				before := p.relayed()
				p.felt("nothing happens", 200*time.Millisecond)
				if n := p.relayed() - before; n > 0 {
					t.Errorf("%d packets of a direct conversation were relayed", n)
				}
				a, b := p.a.Status().Address.Addr(), p.b.Status().Address.Addr()
				w.net.Split(a, b, true)
				p.felt("the direct way dies", time.Second)
				if p.a.Status().Direct+p.b.Status().Direct > 0 {
					t.Error("a way that is dead is used")
				}
				w.net.Split(a, b, false)
				p.direct(time.Minute)
				p.gaps()
				for range 2 {
					p.kill(p.holder())
					p.felt("a relay that stands by dies", 200*time.Millisecond)
				}
				p.stop(t)
			})
		})
	}
}

// holder returns a supernode through which the conversation has a channel.
func (p *talkers) holder() string {
	for name, n := range p.w.nodes {
		if n.Status().Serving.Channels > 0 {
			return name
		}
	}
	p.w.t.Fatal("there is no channel")
	return ""
}

// Who keeps its addresses for itself is told none either, and talks all the same.
func TestRelayedOnly(t *testing.T) {
	for _, quiet := range []string{"a", "b"} {
		inWorld(t, memnet.Config{Seed: 9}, func(t *testing.T, w *world) {
			p := talking(t, w, 4, 2, func(c *runtime.Config) { c.RelayedOnly = c.Name == quiet })
			before := p.relayed()
			p.felt("nothing happens", 200*time.Millisecond)
			a, b := p.a.Status(), p.b.Status()
			if a.Direct+b.Direct > 0 || a.Path.Punches+b.Path.Punches > 0 || p.relayed() == before {
				t.Errorf("%s is relayed only: %d and %d direct, %d punches", quiet, a.Direct, b.Direct, a.Path.Punches+b.Path.Punches)
			}
			p.stop(t)
		})
	}
}
