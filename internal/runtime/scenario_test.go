package runtime_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/login"
	"github.com/ada420b6/overlay/internal/runtime"
	"github.com/ada420b6/overlay/internal/runtime/memnet"
)

// A whole network reboots at once while every login server is dead: it comes back from
// what is on disk (rule R4).
func TestRebootWithoutLogin(t *testing.T) {
	inWorld(t, memnet.Config{Seed: 2}, func(t *testing.T, w *world) {
		configs := map[string]func(*runtime.Config){}
		for _, name := range []string{"s0", "s1", "a", "b", "c"} {
			dir, role := t.TempDir(), core.RoleNode
			if name[0] == 's' {
				role = core.RoleAuto
			}
			configs[name] = func(c *runtime.Config) { c.StateDir, c.Role = dir, role }
			w.start(name, configs[name])
		}
		keys := map[string]any{}
		for name, n := range w.nodes {
			w.attached(n, time.Minute)
			keys[name] = n.Key()
		}
		contact, err := w.nodes["a"].Lookup(t.Context(), "b")
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range w.nodes {
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
		}
		w.net.Cut(loginAddr, true)
		w.hosts = 0
		for _, name := range []string{"s0", "s1", "a", "b", "c"} { // the same machines again
			w.start(name, configs[name])
		}
		for name, n := range w.nodes {
			w.attached(n, 3*time.Minute)
			if n.Key() != keys[name] {
				t.Errorf("%s has another key after the reboot", name)
			}
		}
		again, err := w.nodes["a"].Lookup(t.Context(), "b")
		if err != nil || again.Seq <= contact.Seq {
			t.Fatalf("b had sequence number %x before the reboot, now %x: %v", contact.Seq, again.Seq, err)
		}
	})
}

// An open conversation survives the death of its relay (rule R12).
func TestConversationSurvivesRelay(t *testing.T) {
	inWorld(t, memnet.Config{Seed: 3}, func(t *testing.T, w *world) {
		for _, name := range []string{"s0", "s1", "s2", "s3"} {
			w.start(name, func(c *runtime.Config) { c.Role = core.RoleSupernode })
		}
		a := w.start("a", func(c *runtime.Config) { c.Role, c.RelayedOnly = core.RoleNode, true })
		b := w.start("b", func(c *runtime.Config) { c.Role = core.RoleNode })
		w.attached(a, time.Minute)
		w.attached(b, time.Minute)
		for len(b.Status().Attached) < 2 {
			<-time.After(time.Second)
		}
		ea, eb := endpoint(t, a), endpoint(t, b)
		defer ea.Close()
		defer eb.Close()
		l, err := eb.Listen("echo")
		if err != nil {
			t.Fatal(err)
		}
		go echo(l)
		peer, err := a.Connect(t.Context(), "b")
		if err != nil {
			t.Fatal(err)
		}
		c, err := ea.Dial(t.Context(), peer, "echo")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		relays, most := 0, runtime.Status{}
		for tries := 0; relays < 2 && tries < 60; tries++ { // the record that names b's second supernode may be on its way
			<-time.After(time.Second)
			pingpong(t, c, 5)
			relays, most = 0, runtime.Status{}
			for _, n := range w.nodes {
				s := n.Status()
				if s.Serving.Channels > 0 {
					relays++
				}
				if s.Traffic.RelayedPackets > most.Traffic.RelayedPackets {
					most = s
				}
			}
		}
		if relays != 2 || !most.Supernode {
			t.Fatalf("%d relays, of which %q carried most", relays, most.Name)
		}
		w.net.Cut(most.Address.Addr(), true)
		begun := time.Now()
		pingpong(t, c, 5)
		t.Logf("gap of %v", time.Since(begun))
		if gap := time.Since(begun); gap > 1500*time.Millisecond { // with five round trips of 40 ms
			t.Errorf("the conversation stood still for %v", gap)
		}
	})
}

// pingpong sends something and waits for it to come back, n times.
func pingpong(t *testing.T, c net.Conn, n int) {
	t.Helper()
	for range n {
		if _, err := c.Write([]byte("ping")); err != nil {
			t.Fatal(err)
		}
		var b [4]byte
		if _, err := io.ReadFull(c, b[:]); err != nil || string(b[:]) != "ping" {
			t.Fatalf("read %q: %v", b, err)
		}
	}
}

// A node finds out that it can be reached from outside: a supernode dials it back from
// an address that it has never written to. Until then it can't be called upon to serve.
func TestAble(t *testing.T) {
	inWorld(t, memnet.Config{Seed: 10}, func(t *testing.T, w *world) {
		for _, name := range []string{"s0", "s1", "s2"} {
			w.attached(w.start(name, func(c *runtime.Config) { c.Role = core.RoleSupernode }), time.Minute)
		}
		auto := w.start("auto", nil)
		node := w.start("node", func(c *runtime.Config) { c.Role = core.RoleNode })
		w.attached(auto, time.Minute)
		w.attached(node, time.Minute)
		<-time.After(5 * time.Minute)
		if s := auto.Status(); !s.Able && !s.Supernode {
			t.Errorf("not found to be reachable: %+v", s)
		}
		if s := node.Status(); s.Able || s.Supernode {
			t.Errorf("a node that shall not serve is able to: %+v", s)
		}
	})
}

func TestNameTaken(t *testing.T) {
	inWorld(t, memnet.Config{}, func(t *testing.T, w *world) {
		w.attached(w.start("bob", nil), time.Minute)
		events := make(chan runtime.Event, 1)
		thief := w.start("thief", func(c *runtime.Config) { c.Name = "bob" })
		sub := thief.Events()
		go func() {
			for {
				ev, err := sub.Next(t.Context())
				if err != nil {
					return
				}
				if ev.Kind == runtime.EventDenied {
					events <- ev
				}
			}
		}()
		err := thief.WaitAttached(t.Context())
		var taken *runtime.NameTakenError
		if !errors.As(err, &taken) || taken.Name != "bob" || !errors.Is(err, login.ErrTaken) {
			t.Fatalf("a name that is taken: %v", err)
		}
		if ev := <-events; !errors.As(ev.Err, &taken) {
			t.Fatalf("event: %+v", ev)
		}
	})
}

func TestLeave(t *testing.T) {
	inWorld(t, memnet.Config{Seed: 4}, func(t *testing.T, w *world) {
		s := w.start("s", func(c *runtime.Config) { c.Role = core.RoleSupernode })
		w.attached(s, time.Minute)
		s2 := w.start("s2", func(c *runtime.Config) { c.Role = core.RoleSupernode })
		w.attached(s2, time.Minute)
		n := w.start("n", func(c *runtime.Config) { c.Role = core.RoleNode })
		w.attached(n, time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.Leave(ctx); err != nil {
			t.Fatalf("a supernode leaves: %v", err)
		}
		if !n.Attached() {
			t.Error("a node lost its last attachment to a supernode that left (rule R7)")
		}
		if err := n.Leave(ctx); err != nil {
			t.Fatalf("a node leaves: %v", err)
		}
		if _, err := n.Lookup(ctx, "s2"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("look-up after Leave: %v", err)
		}
	})
}

func TestReplay(t *testing.T) {
	inWorld(t, memnet.Config{Seed: 5, Loss: 0.05}, func(t *testing.T, w *world) {
		var records [4]bytes.Buffer
		for i, name := range []string{"s0", "s1", "a", "b"} {
			w.start(name, func(c *runtime.Config) {
				c.Record = &records[i]
				c.Role = core.RoleNode
				if name[0] == 's' {
					c.Role = core.RoleSupernode
				}
			})
		}
		for _, n := range w.nodes {
			w.attached(n, time.Minute)
		}
		ea, eb := endpoint(t, w.nodes["a"]), endpoint(t, w.nodes["b"])
		l, err := eb.Listen("echo")
		if err != nil {
			t.Fatal(err)
		}
		go echo(l)
		talk(t, w.nodes["a"], ea, "b")
		<-time.After(2 * time.Minute) // keepalives, refreshes, gossip
		_, _ = ea.Close(), eb.Close()
		for _, n := range w.nodes { // the recordings end with them
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
		}
		for i := range records {
			recorded := records[i].Bytes()
			if len(recorded) < 1000 {
				t.Fatalf("recording of %d bytes", len(recorded))
			}
			if err := runtime.Replay(bytes.NewReader(recorded)); err != nil {
				t.Errorf("recording %d: %v", i, err)
			}
			// The last byte of a step belongs to the deadline that it left.
			forged := bytes.Clone(recorded)
			end := 0
			for end < len(forged) {
				end += 4 + int(binary.BigEndian.Uint32(forged[end:]))
			}
			forged[end-1] ^= 1
			if err := runtime.Replay(bytes.NewReader(forged)); !errors.Is(err, runtime.ErrDiverged) {
				t.Errorf("recording %d was changed: %v", i, err)
			}
		}
	})
}

// A damaged file is told to whoever asks, and the node comes up all the same.
func TestDamagedStateIsTold(t *testing.T) {
	inWorld(t, memnet.Config{}, func(t *testing.T, w *world) {
		dir := t.TempDir()
		n := w.start("a", func(c *runtime.Config) { c.StateDir = dir })
		w.attached(n, time.Minute)
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"certificate", "hostcache"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("?"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		w.hosts = 0
		again := w.start("a", func(c *runtime.Config) { c.StateDir = dir })
		sub := again.Events()
		for range 2 {
			if ev, err := sub.Next(t.Context()); err != nil || ev.Kind != runtime.EventDamaged || ev.Err == nil {
				t.Fatalf("%+v: %v", ev, err)
			}
		}
		w.attached(again, time.Minute)
		if again.Key() != n.Key() {
			t.Error("the identity was lost with the certificate")
		}
	})
}

// A state directory that can't be used is an error of the start, which names it.
func TestUnusableStateDir(t *testing.T) {
	inWorld(t, memnet.Config{}, func(t *testing.T, w *world) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := runtime.Start(t.Context(), runtime.Config{Invite: w.invite, Name: "a", StateDir: file, ListenPacket: w.net.Host(loginAddr)})
		if err == nil || !strings.Contains(err.Error(), file) {
			t.Fatalf("%v", err)
		}
	})
}

func TestStateDirIsLocked(t *testing.T) {
	inWorld(t, memnet.Config{}, func(t *testing.T, w *world) {
		dir := t.TempDir()
		n := w.start("a", func(c *runtime.Config) { c.StateDir = dir })
		_, err := runtime.Start(t.Context(), runtime.Config{
			Invite: w.invite, Name: "a", StateDir: dir, ListenPacket: w.net.Host(loginAddr),
		})
		if !errors.Is(err, runtime.ErrStateInUse) {
			t.Fatalf("two nodes on one state directory: %v", err)
		}
		w.attached(n, time.Minute)
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "hostcache")); err != nil {
			t.Errorf("the host cache was not kept: %v", err)
		}
		w.hosts = 0
		w.attached(w.start("a", func(c *runtime.Config) { c.StateDir = dir }), time.Minute)
	})
}
