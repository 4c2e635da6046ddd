package overlay_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
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
	typo[20] ^= 1
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

// TestBadPolicy gives every field of a policy a value that none can have.
func TestBadPolicy(t *testing.T) {
	fields := reflect.TypeFor[overlay.HealingPolicy]()
	for i := range fields.NumField() {
		for _, v := range []float64{-1, math.MaxInt64, math.NaN()} {
			p := overlay.DefaultHealing()
			f := reflect.ValueOf(&p).Elem().Field(i)
			switch {
			case f.CanInt() && v == v:
				f.SetInt(int64(min(v, math.MaxInt64/2)))
			case f.CanFloat():
				f.SetFloat(v)
			default: // a bool, or NaN for what can't be
				continue
			}
			name := fields.Field(i).Name
			_, err := overlay.NewSimulation(1, overlay.WithHealing(p))
			if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "WithHealing") {
				t.Errorf("%s of %v: %v", name, v, err)
			}
		}
	}
	for _, p := range []overlay.HealingPolicy{overlay.DefaultHealing(), overlay.Naive2007()} {
		if _, err := overlay.NewSimulation(1, overlay.WithHealing(p)); err != nil {
			t.Error(err)
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
			if !errors.As(err, &op) || op.Op != "dial" || !strings.Contains(err.Error(), tc.says) {
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
			if !errors.As(err, &op) || op.Op != "listen" || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("listen %q %q: %v, ought to say %q", tc.network, tc.address, err, tc.says)
			}
		}
		if _, err := a.Lookup(t.Context(), "no such name"); err == nil || !strings.Contains(err.Error(), "name") {
			t.Errorf("look-up of what is no name: %v", err)
		}
	})
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
				time.Sleep(100 * time.Millisecond) // there and back, in virtual time
				after := n.Status()
				if after.Service.Held != before.Service.Held || after.Service.Members != before.Service.Members {
					t.Errorf("a packet %s changed the node: %+v, before %+v", attack.what, after, before)
				}
				// A plain message is anybody's to send, so one that is whole is answered.
				plain := packet[0]&15 == 8
				if lost := after.Dropped - before.Dropped; lost == 0 && !(plain && attack.what == "replayed") && packet[0]&15 != 9 {
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
		time.Sleep(time.Second)
		after := n.Status()
		if got := after.Dropped - before.Dropped; got != uint64(len(packets)) {
			t.Errorf("%d of %d packets of another network are counted", got, len(packets))
		}
		if after.Service.Held != 0 || after.Service.Members != 1 || !after.Attached {
			t.Errorf("%+v", after)
		}
	})
}

// stateFiles is what a node keeps.
var stateFiles = []string{"identity", "identity.copy", "certificate", "counters", "hostcache", "roster", "role"}

// TestDamagedState damages each file of a node's state in several ways. The node comes
// back under its name each time, says what was damaged, and has set it aside.
func TestDamagedState(t *testing.T) {
	inWorld(t, memnet.Config{Seed: 1}, func(t *testing.T, w *world) {
		w.up("first", overlay.WithRole(overlay.RoleSupernode))
		m := w.machine("super", overlay.WithRole(overlay.RoleSupernode)) // so that it keeps a roster
		m.start()
		key := keyOf(t, m.wait(time.Minute))
		for _, name := range stateFiles {
			for what, damage := range map[string]func(b []byte) []byte{
				"empty":    func([]byte) []byte { return nil },
				"cut":      func(b []byte) []byte { return b[:len(b)/2] },
				"flipped":  func(b []byte) []byte { b[len(b)/2] ^= 4; return b },
				"longer":   func(b []byte) []byte { return append(b, 0) },
				"other's":  func([]byte) []byte { return []byte("#!/bin/sh\necho something else\n") },
				"zeroed":   func(b []byte) []byte { clear(b); return b },
				"replaced": func([]byte) []byte { return readFile(t, filepath.Join(m.dir, m.name, neighbour(name))) },
			} {
				time.Sleep(10 * time.Second) // what has changed is written
				m.stop(false)
				path := filepath.Join(m.dir, m.name, name)
				broken := damage(readFile(t, path))
				if err := os.WriteFile(path, broken, 0o600); err != nil {
					t.Fatal(err)
				}
				m.start()
				n := m.wait(2 * time.Minute)
				if got := keyOf(t, n); got != key {
					t.Fatalf("%s %s: the node has another key", name, what)
				}
				told := firstEvent(t, n)
				if told.Kind != overlay.EventDamaged || !strings.Contains(told.Err.Error(), path) {
					t.Errorf("%s %s: first event is %v, %v", name, what, told.Kind, told.Err)
				}
				if aside := readFile(t, path+".corrupt"); string(aside) != string(broken) {
					t.Errorf("%s %s: %d bytes are set aside, not the %d that were damaged", name, what, len(aside), len(broken))
				}
			}
		}
	})
}

// neighbour is another file of the state: whole, but not what belongs there. The two
// copies of the identity may stand for each other.
func neighbour(name string) string {
	if name == "role" {
		return "counters"
	}
	return "role"
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// keyOf is the key that the network knows a node by.
func keyOf(t *testing.T, n *overlay.Node) [32]byte {
	t.Helper()
	p, err := n.Lookup(t.Context(), n.Name())
	if err != nil {
		t.Fatal(err)
	}
	return p.Key
}

// firstEvent is the first thing that a node tells.
func firstEvent(t *testing.T, n *overlay.Node) overlay.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for e := range n.Events(ctx) {
		return e
	}
	return overlay.Event{Kind: 255, Err: errors.New("nothing was told")}
}

// TestStateDirInUse lets two nodes have one state directory: the second is refused, and
// the first goes on.
func TestStateDirInUse(t *testing.T) {
	inTrio(t, func(t *testing.T, w *world, a, b *overlay.Node) {
		m := w.machines[1]
		network, err := overlay.New(append(m.options(), overlay.WithListenPacket(w.net.Host(netip.MustParseAddr("13.0.0.1"))))...)
		if err != nil {
			t.Fatal(err)
		}
		defer network.Close()
		if _, err := network.Join(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), filepath.Join(m.dir, "a")) ||
			!strings.Contains(err.Error(), "another process") {
			t.Errorf("two nodes with one state directory: %v", err)
		}
		if err := talk(t.Context(), a, "b"); err != nil {
			t.Error(err)
		}
	})
}

// TestStateDirCannotBeUsed gives a node a directory that it can't write to. A process of
// root writes anywhere, so something is in the way that not even root can write to.
func TestStateDirCannotBeUsed(t *testing.T) {
	inTrio(t, func(t *testing.T, w *world, _, _ *overlay.Node) {
		m := w.machine("c")
		if err := os.MkdirAll(m.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(m.dir, "c"), []byte("in the way"), 0o600); err != nil {
			t.Fatal(err)
		}
		network, err := overlay.New(m.options()...)
		if err != nil {
			t.Fatal(err)
		}
		defer network.Close()
		if _, err := network.Join(t.Context(), "c"); err == nil || !strings.Contains(err.Error(), "state directory") {
			t.Errorf("a state directory that can't be made: %v", err)
		}
	})
	if os.Geteuid() == 0 {
		t.Skip("root writes to read-only directories")
	}
	inTrio(t, func(t *testing.T, w *world, _, _ *overlay.Node) {
		m := w.machine("c")
		if err := os.MkdirAll(filepath.Join(m.dir, "c"), 0o500); err != nil {
			t.Fatal(err)
		}
		network, err := overlay.New(m.options()...)
		if err != nil {
			t.Fatal(err)
		}
		defer network.Close()
		if _, err := network.Join(t.Context(), "c"); !errors.Is(err, os.ErrPermission) {
			t.Errorf("a state directory that can't be written: %v", err)
		}
	})
}

// TestDiskFails takes a node's directory away while it runs: it goes on, and tells.
func TestDiskFails(t *testing.T) {
	inTrio(t, func(t *testing.T, w *world, a, b *overlay.Node) {
		m := w.machines[1]
		events := a.Events(t.Context())
		if err := os.RemoveAll(m.dir); err != nil {
			t.Fatal(err)
		}
		told := make(chan error, 1)
		go func() {
			for e := range events {
				if e.Kind == overlay.EventUnsaved {
					told <- e.Err
					return
				}
			}
		}()
		w.machines[0].stop(true) // a loses a supernode and finds another: something to keep
		w.machines[0].start()
		w.machines[0].wait(2 * time.Minute)
		select {
		case err := <-told:
			if err == nil || !strings.Contains(err.Error(), m.dir) {
				t.Errorf("the disk is gone: %v", err)
			}
		case <-time.After(5 * time.Minute):
			t.Error("nobody was told that the disk is gone")
		}
		p := overlay.DefaultHealing()
		time.Sleep(p.KeepaliveThin*11/10 + 6*p.CheckStep) // the longest that a dead supernode is believed in
		for _, n := range []*overlay.Node{a, b} {
			if err := n.Attached(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := talk(t.Context(), a, "b"); err != nil {
			t.Error(fmt.Errorf("without a disk: %w", err))
		}
	})
}
