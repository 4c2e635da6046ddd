package overlay_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ada420b6/overlay"
	"github.com/ada420b6/overlay/internal/runtime/memnet"
)

// TestBadOptions is what callers get wrong. Each error says where, and which rule.
func TestBadOptions(t *testing.T) {
	login, err := overlay.ListenLogin("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer login.Close()
	invite := login.Invite()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	typo := []byte(invite)
	if typo[20]++; typo[20] > 'z' || typo[20] > '7' && typo[20] < 'a' {
		typo[20] = 'a' // another letter of the alphabet, which is a-z and 2-7
	}
	with := func(opts ...overlay.Option) func() error {
		return func() error { _, err := overlay.New(opts...); return err }
	}
	join := func(name string, opts ...overlay.NodeOption) func() error {
		return func() error {
			o, err := overlay.New(overlay.WithInvite(invite))
			if err != nil {
				return err
			}
			defer o.Close()
			_, err = o.Join(t.Context(), name, opts...)
			return err
		}
	}
	listen := func(address string, opts ...overlay.LoginOption) func() error {
		return func() error { _, err := overlay.ListenLogin(address, opts...); return err }
	}
	rehearse := func(opts ...overlay.Option) func() error {
		return func() error { _, err := overlay.NewSimulation(1, opts...); return err }
	}
	for _, tc := range []struct {
		do   func() error
		says []string
	}{
		{with(), []string{"WithInvite"}},
		{with(nil), []string{"nil option"}},
		{with(overlay.WithInvite("")), []string{"WithInvite", "prefix"}},
		{with(overlay.WithInvite("overlay1")), []string{"WithInvite"}},
		{with(overlay.WithInvite(invite[:len(invite)-8])), []string{"WithInvite"}},
		{with(overlay.WithInvite(strings.ToUpper(invite))), []string{"WithInvite"}},
		{with(overlay.WithInvite(string(typo))), []string{"WithInvite", "checksum"}},
		{with(overlay.WithInvite(strings.Repeat("a", 1<<20))), []string{"WithInvite", "at most"}},
		{with(overlay.WithInvite(invite), overlay.WithStateDir("")), []string{"WithStateDir", "empty"}},
		{with(overlay.WithInvite(invite), overlay.WithStateDir(file)), []string{"WithStateDir", "not a directory"}},
		{with(overlay.WithInvite(invite), overlay.WithLogger(nil)), []string{"WithLogger", "nil"}},
		{with(overlay.WithInvite(invite), overlay.WithListenPacket(nil)), []string{"WithListenPacket", "nil"}},
		{with(overlay.WithInvite(invite), overlay.WithLoss(0.1)), []string{"WithLoss", "NewSimulation"}},
		{with(overlay.WithInvite(invite), overlay.WithHealing(overlay.HealingPolicy{})), []string{"WithHealing", "Attachments"}},
		{join(""), []string{"name", "empty"}},
		{join("Bob"), []string{"name", `'B'`, "a-z"}},
		{join("bob-"), []string{"name", "end with"}},
		{join(strings.Repeat("b", 64)), []string{"name", "at most 63"}},
		{join("bob", nil), []string{"nil option"}},
		{join("bob", overlay.WithContributeOnly()), []string{"WithContributeOnly", "bob"}},
		{join("", overlay.WithContributeOnly(), overlay.WithRole(overlay.RoleNode)), []string{"WithContributeOnly", "WithRole"}},
		{join("bob", overlay.WithListenAddress("4040")), []string{"WithListenAddress", "host:port"}},
		{join("bob", overlay.WithListenAddress("127.0.0.1:999999")), []string{"join", "bob", "port"}},
		{join("bob", overlay.WithRole(9)), []string{"WithRole", "9"}},
		{join("bob", overlay.WithCapacity(0)), []string{"WithCapacity", "1 to"}},
		{join("bob", overlay.WithCapacity(overlay.MaxCapacity+1)), []string{"WithCapacity", "1 to"}},
		{join("bob", overlay.WithRelayBudget(overlay.MinRelayBudget-1)), []string{"WithRelayBudget", "14000"}},
		{listen("nowhere"), []string{"login server", "nowhere"}},
		{listen("127.0.0.1:0", nil), []string{"nil option"}},
		{listen("127.0.0.1:0", overlay.WithAdmission(nil)), []string{"WithAdmission", "nil"}},
		{listen("127.0.0.1:0", overlay.WithAccountDB(nil)), []string{"WithAccountDB", "nil"}},
		{listen("127.0.0.1:0", overlay.WithCertificateLifetime(time.Minute)), []string{"WithCertificateLifetime", "1 h"}},
		{listen("127.0.0.1:0", overlay.WithAdvertise()), []string{"WithAdvertise", "1 to 8"}},
		{listen("127.0.0.1:0", overlay.WithAdvertise("login.example.org")), []string{"WithAdvertise", "port"}},
		{listen("127.0.0.1:0", overlay.WithStateDir(file)), []string{"WithStateDir", "not a directory"}},
		{rehearse(overlay.WithLoss(2)), []string{"WithLoss", "0 to 0.9"}},
		{rehearse(overlay.WithLoss(math.NaN())), []string{"WithLoss", "0 to 0.9"}},
		{rehearse(overlay.WithReachable(-1)), []string{"WithReachable", "0 to 1"}},
		{rehearse(overlay.WithMaxNodes(0)), []string{"WithMaxNodes", "1 to"}},
		{rehearse(overlay.WithLatencies(file + "x")), []string{"WithLatencies", "file"}},
		{rehearse(overlay.WithLogger(slog.New(slog.DiscardHandler))), []string{"WithLogger"}},
	} {
		err := tc.do()
		for _, s := range append(tc.says, "overlay: ") {
			if err == nil || !strings.Contains(err.Error(), s) {
				t.Errorf("want an error that says %q, got %v", tc.says, err)
				break
			}
		}
	}
}

func TestBadAddresses(t *testing.T) {
	inTrio(t, func(t *testing.T, _ *world, a, _ *overlay.Node) {
		for _, tc := range []struct{ network, address, says string }{
			{"tcp4", "b:80", "unknown network"},
			{"", "b:80", "unknown network"},
			{"tcp", "b", "missing port"},
			{"tcp", "b:", "empty"},
			{"tcp", "b:a b", "allowed are"},
			{"tcp", "b:" + strings.Repeat("8", 64), "at most 63"},
			{"tcp", ":80", "name"},
			{"udp", "B:80", "name"},
			{"tcp", "[::1]:80", "name"},
		} {
			_, err := a.DialContext(t.Context(), tc.network, tc.address)
			var op *net.OpError
			if !errors.As(err, &op) || op.Op != "dial" || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "0000") {
				t.Errorf("dial %q %q: %v, ought to say %q", tc.network, tc.address, err, tc.says)
			}
		}
		for _, tc := range []struct{ network, address, says string }{
			{"udp", ":80", "unknown network"},
			{"tcp", "80", "missing port"},
			{"tcp", ":", "empty"},
			{"tcp", "b:80", "own name"},
		} {
			_, err := a.Listen(tc.network, tc.address)
			var op *net.OpError
			if !errors.As(err, &op) || op.Op != "listen" || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "0000") {
				t.Errorf("listen %q %q: %v, ought to say %q", tc.network, tc.address, err, tc.says)
			}
		}
		// What went wrong is said once.
		for address, want := range map[string]string{
			"nobody:80": `dial tcp nobody:80: overlay: name not found: nobody by that name is attached: "nobody"`,
			"b:99":      "dial tcp b:99: connection refused",
		} {
			if _, err := a.DialContext(t.Context(), "tcp", address); err == nil || err.Error() != want {
				t.Errorf("dial %q: %v, want %s", address, err, want)
			}
		}
		if _, err := a.Lookup(t.Context(), "no such name"); err == nil || !strings.Contains(err.Error(), "name") {
			t.Errorf("look-up of what is no name: %v", err)
		}
	})
}

// TestJoinSaysWhatItWaitsFor ends a first Join to a network of which nobody is there.
func TestJoinSaysWhatItWaitsFor(t *testing.T) {
	login, err := overlay.ListenLogin("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := login.Close(); err != nil {
		t.Fatal(err)
	}
	network, err := overlay.New(overlay.WithInvite(login.Invite()))
	if err != nil {
		t.Fatal(err)
	}
	defer network.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for want, join := range map[string]func() (*overlay.Node, error){
		"no login server has given a certificate": func() (*overlay.Node, error) { return network.Join(ctx, "a") },
		"no supernode has attached it":            func() (*overlay.Node, error) { return network.Join(ctx, "", overlay.WithContributeOnly()) },
	} {
		if _, err := join(); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// tap is a socket that remembers what came in.
type tap struct {
	net.PacketConn
	mu   sync.Mutex
	seen [][]byte
}

func (c *tap) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.PacketConn.ReadFrom(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.seen = append(c.seen, append([]byte(nil), b[:n]...))
	}
	return n, from, err
}

func (c *tap) packets() [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([][]byte(nil), c.seen...)
}

// TestHostilePackets throws at a supernode what strangers can send: it is counted, it
// changes nothing, and the node goes on.
func TestHostilePackets(t *testing.T) {
	inWorld(t, memnet.Config{Seed: 1}, func(t *testing.T, w *world) {
		var ear *tap
		target := w.machine("target", overlay.WithRole(overlay.RoleSupernode))
		target.wraps = func(pc net.PacketConn) net.PacketConn {
			if ear == nil { // the node's own; those to dial back from come later
				ear = &tap{PacketConn: pc}
				return ear
			}
			return pc
		}
		target.start()
		n := target.wait(time.Minute)
		a, b := w.up("a", overlay.WithRole(overlay.RoleNode)), w.up("b", overlay.WithRole(overlay.RoleNode))
		if err := talk(t.Context(), a, "b"); err != nil {
			t.Fatal(err)
		}
		stranger, err := w.net.Listen("12.0.0.1:666")
		if err != nil {
			t.Fatal(err)
		}
		defer stranger.Close()
		heard := ear.packets()
		kinds := make(map[byte]int)
		for _, p := range heard {
			kinds[p[0]&15]++
		}
		if kinds[1] == 0 || kinds[3] == 0 || kinds[8] == 0 || kinds[9] == 0 {
			t.Fatalf("of handshakes, sessions, plain messages and channels, heard were %v", kinds)
		}
		for _, attack := range []struct {
			what   string
			change func(p []byte) []byte
		}{
			{"replayed", func(p []byte) []byte { return p }},
			{"cut short", func(p []byte) []byte { return p[:len(p)/2] }},
			{"one byte", func(p []byte) []byte { return p[:1] }},
			{"bit flipped in the middle", func(p []byte) []byte { p[len(p)/2] ^= 1; return p }},
			{"bit flipped at the end", func(p []byte) []byte { p[len(p)-1] ^= 0x80; return p }},
			{"of a newer version", func(p []byte) []byte { p[0] += 0x10; return p }},
			{"of an unknown type", func(p []byte) []byte { p[0] |= 0x0f; return p }},
			{"longer than it was", func(p []byte) []byte { return append(p, make([]byte, 100)...) }},
			{"of zeros", func(p []byte) []byte { return make([]byte, len(p)) }},
		} {
			for _, packet := range heard {
				before := n.Status()
				to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(target.addr, 4040))
				if _, err := stranger.WriteTo(attack.change(append([]byte(nil), packet...)), to); err != nil {
					t.Fatal(err)
				}
				w.pass(100 * time.Millisecond) // there and back, in virtual time
				after := n.Status()
				if after.Service.Held != before.Service.Held || after.Service.Members != before.Service.Members {
					t.Errorf("a packet %s changed the node: %+v, before %+v", attack.what, after, before)
				}
				// A plain message is anybody's to send, so one that is whole is answered.
				plain := packet[0]&15 == 8
				if lost := after.Dropped - before.Dropped; lost == 0 && !(plain && attack.what == "replayed") {
					t.Errorf("a packet of type %d that was %s is not counted", packet[0]&15, attack.what)
				}
			}
		}
		if err := talk(t.Context(), b, "a"); err != nil {
			t.Errorf("after the attack: %v", err)
		}
	})
}

// TestOtherNetwork lets nodes of one network knock at a node of another.
func TestOtherNetwork(t *testing.T) {
	inWorld(t, memnet.Config{Seed: 1}, func(t *testing.T, w *world) {
		var foreign *tap
		m := w.machine("theirs", overlay.WithRole(overlay.RoleSupernode))
		m.wraps = func(pc net.PacketConn) net.PacketConn {
			if foreign == nil {
				foreign = &tap{PacketConn: pc}
				return foreign
			}
			return pc
		}
		m.start()
		m.wait(time.Minute)
		w.up("visitor", overlay.WithRole(overlay.RoleNode))

		other, err := overlay.ListenLogin(":4040", overlay.WithStateDir(filepath.Join(w.dir, "other")),
			overlay.WithListenPacket(w.net.Host(netip.MustParseAddr("198.19.0.1"))))
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		ours := w.machine("ours", overlay.WithRole(overlay.RoleSupernode))
		w.invite = other.Invite()
		ours.start()
		n := ours.wait(time.Minute)

		before := n.Status()
		packets := foreign.packets()
		for _, p := range packets {
			if _, err := foreign.WriteTo(p, net.UDPAddrFromAddrPort(netip.AddrPortFrom(ours.addr, 4040))); err != nil {
				t.Fatal(err)
			}
		}
		w.pass(time.Second)
		after := n.Status()
		if got := after.Dropped - before.Dropped; got != uint64(len(packets)) {
			t.Errorf("%d of %d packets of another network are counted", got, len(packets))
		}
		if after.Service.Held != 0 || after.Service.Members != 1 || !after.Attached {
			t.Errorf("%+v", after)
		}
	})
}
