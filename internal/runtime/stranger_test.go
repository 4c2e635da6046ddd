package runtime_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/runtime"
	"github.com/ada420b6/overlay/internal/runtime/memnet"
)

// elsewhere is where strangers say that others are.
var elsewhere = netip.MustParseAddrPort("66.66.66.66:66")

// Plain messages are written by hand here: a stranger is not bound to our encoder.
func plain(network cert.NetworkID, seen netip.AddrPort, message []byte) []byte {
	return append(address(append([]byte{0x18}, network[:]...), seen), message...)
}

func address(b []byte, at netip.AddrPort) []byte {
	ip := at.Addr().As4()
	return append(append(append(b, 4), ip[:]...), byte(at.Port()>>8), byte(at.Port()))
}

// probe is a Probe that anybody can write.
func probe() []byte { return append([]byte{1, 5}, make([]byte, 1400)...) }

// offer is an Offer that answers nobody's Probe and has each key at elsewhere.
func offer(keys ...ident.Key) []byte {
	b := append([]byte{1, 6}, make([]byte, 8+1+4+4+8+1+1)...)
	b = append(b, byte(len(keys)))
	for _, k := range keys {
		b = address(append(b, k[:]...), elsewhere)
	}
	return b
}

// flood is strangers in as many address groups as a node remembers witnesses.
type flood struct {
	t       *testing.T
	network cert.NetworkID
	keys    []ident.Key // of whom they tell lies
	from    []net.PacketConn
	shapes  [][]byte // without sense, or of no network
}

func newFlood(w *world, keys ...ident.Key) *flood {
	f := &flood{t: w.t, network: w.invite.Network.ID(), keys: keys}
	for i := range 8 {
		pc, err := w.net.Listen(fmt.Sprintf("%d.9.0.1:1", 20+i))
		if err != nil {
			w.t.Fatal(err)
		}
		f.from = append(f.from, pc)
	}
	head := func(b byte, n int) []byte { return append([]byte{b}, make([]byte, n)...) }
	f.shapes = [][]byte{
		{}, {0}, {0x11}, make([]byte, 1472), head(0x11, 900), head(0x13, 60), head(0x18, 100), head(0x19, 100), {0x19}, {0x15, 1}, {0xff, 0xff},
	}
	return f
}

func (f *flood) close() {
	for _, pc := range f.from {
		_ = pc.Close()
	}
}

// pour writes 400 datagrams to a node: nonsense, and what only somebody with the
// network's identifier can write.
func (f *flood) pour(to netip.AddrPort) {
	f.t.Helper()
	right := [][]byte{
		plain(f.network, elsewhere, probe()), plain(f.network, elsewhere, offer(f.keys...)), plain(f.network, elsewhere, []byte{1, 99}),
	}
	for i := range 400 {
		b := f.shapes[i/2%len(f.shapes)]
		if i%2 == 0 {
			b = right[i/2%len(right)]
		}
		if _, err := f.from[i/2%len(f.from)].WriteTo(b, net.UDPAddrFromAddrPort(to)); err != nil {
			f.t.Fatal(err)
		}
	}
}

// Strangers without key or certificate, in many address groups, say to a supernode that
// it is elsewhere. It does not come to believe it, and goes on taking nodes in.
func TestStrangersAreNoWitnesses(t *testing.T) {
	inWorld(t, memnet.Config{Seed: 6}, func(t *testing.T, w *world) {
		s := w.start("s", func(c *runtime.Config) { c.Role = core.RoleSupernode })
		w.attached(s, time.Minute)
		is := s.Status().Address
		f := newFlood(w, s.Key())
		defer f.close()
		f.pour(is)
		<-time.After(2 * time.Second)
		if got := s.Status().Address; got != is {
			t.Fatalf("strangers moved it from %v to %v", is, got)
		}
		w.attached(w.start("m", func(c *runtime.Config) { c.Role = core.RoleNode }), time.Minute)
	})
}

// A node reboots with the login servers dead, and a stranger sends it Offers that it did
// not ask for, before each of its own rounds: it calls its supernodes where they are.
func TestUnaskedOffer(t *testing.T) {
	inWorld(t, memnet.Config{Seed: 6}, func(t *testing.T, w *world) {
		var keys []ident.Key
		for i := range 3 {
			s := w.start(fmt.Sprintf("s%d", i), func(c *runtime.Config) { c.Role = core.RoleSupernode })
			w.attached(s, time.Minute)
			keys = append(keys, s.Key())
		}
		dir, host := t.TempDir(), w.hosts
		boot := func() *runtime.Node {
			w.hosts = host
			return w.start("n", func(c *runtime.Config) { c.Role, c.StateDir = core.RoleNode, dir })
		}
		n := boot()
		w.attached(n, time.Minute)
		<-time.After(2 * time.Minute) // it hears of all three
		at := n.Status().Address
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		w.net.Cut(loginAddr, true)
		sink, err := w.net.Listen(elsewhere.String())
		if err != nil {
			t.Fatal(err)
		}
		defer sink.Close()
		f := newFlood(w, keys...)
		defer f.close()
		n = boot()
		lie := plain(f.network, at, offer(keys...))
		for begun := time.Now(); len(n.Status().Attached) < 2; <-time.After(100 * time.Millisecond) {
			if time.Since(begun) > 2*time.Minute {
				t.Fatalf("not attached to two: %+v", n.Status())
			}
			if _, err := f.from[0].WriteTo(lie, net.UDPAddrFromAddrPort(at)); err != nil {
				t.Fatal(err)
			}
		}
		if err := sink.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if size, _, err := sink.ReadFrom(make([]byte, 1500)); err == nil {
			t.Errorf("%d bytes were sent where a stranger said", size)
		}
	})
}

// Strangers lie to a whole tier while it serves: every supernode stays where it is and
// in the tier, and whoever comes later finds it.
func TestStrangersDoNotMoveATier(t *testing.T) {
	inWorld(t, memnet.Config{Seed: 6}, func(t *testing.T, w *world) {
		var tier []*runtime.Node
		var is []netip.AddrPort
		var keys []ident.Key
		for i := range 5 {
			s := w.start(fmt.Sprintf("s%d", i), func(c *runtime.Config) { c.Role = core.RoleSupernode })
			w.attached(s, time.Minute)
			tier, is, keys = append(tier, s), append(is, s.Status().Address), append(keys, s.Key())
		}
		f := newFlood(w, keys...)
		defer f.close()
		for range 12 { // two minutes
			for _, at := range is {
				f.pour(at)
			}
			<-time.After(10 * time.Second)
		}
		for i, s := range tier {
			if st := s.Status(); st.Address != is[i] || st.Serving.Members != len(tier) {
				t.Errorf("s%d was at %v, is at %v, and knows %d members of %d", i, is[i], st.Address, st.Serving.Members, len(tier))
			}
		}
		late := w.start("late", func(c *runtime.Config) { c.Role = core.RoleNode })
		w.attached(late, time.Minute)
	})
}

// anywhere is a socket that does not know its own address, as one that listens on every
// address of its machine.
type anywhere struct{ net.PacketConn }

func (anywhere) LocalAddr() net.Addr { return &net.UDPAddr{IP: net.IPv4zero, Port: 4040} }

// The answers to a node's own Probes are witnesses: it learns where it is, while
// strangers say otherwise.
func TestAnswersAreWitnesses(t *testing.T) {
	inWorld(t, memnet.Config{Seed: 6}, func(t *testing.T, w *world) {
		var keys []ident.Key
		for i := range 4 {
			s := w.start(fmt.Sprintf("s%d", i), func(c *runtime.Config) { c.Role = core.RoleSupernode })
			w.attached(s, time.Minute)
			keys = append(keys, s.Key())
		}
		f := newFlood(w, keys...)
		defer f.close()
		n := w.start("n", func(c *runtime.Config) {
			c.Role = core.RoleNode
			listen := c.ListenPacket
			c.ListenPacket = func(ctx context.Context, at string) (net.PacketConn, error) {
				pc, err := listen(ctx, at)
				return anywhere{pc}, err
			}
		})
		is := netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, w.hosts, 0, 1}), 4040)
		for begun := time.Now(); n.Status().Address != is; <-time.After(100 * time.Millisecond) {
			if time.Since(begun) > 5*time.Minute {
				t.Fatalf("it is at %v: %+v", is, n.Status())
			}
			f.pour(is)
		}
		t.Logf("attached %d times", len(n.Status().Attached))
	})
}
