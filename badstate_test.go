package overlay_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ada420b6/overlay"
	"github.com/ada420b6/overlay/internal/runtime/memnet"
)

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
				w.pass(10 * time.Second) // what has changed is written
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

// TestStateDirInTheWay has a file where a node's directory should be.
func TestStateDirInTheWay(t *testing.T) {
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
}

// TestStateDirReadOnly gives a node a directory that it can't write to: without a number
// for its start it would sign what is older than its last.
func TestStateDirReadOnly(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root writes to read-only directories")
	}
	inTrio(t, func(t *testing.T, w *world, _, _ *overlay.Node) {
		m := w.machine("c")
		if err := os.Mkdir(m.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(m.dir, "c"), 0o500); err != nil {
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
		w.pass(p.KeepaliveThin*11/10 + 6*p.CheckStep) // the longest that a dead supernode is believed in
		for _, n := range []*overlay.Node{a, b} {
			if err := n.Attached(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := talk(t.Context(), a, "b"); err != nil {
			t.Errorf("without a disk: %v", err)
		}
	})
}
