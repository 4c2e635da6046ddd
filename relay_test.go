package overlay_test

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/ada420b6/overlay"
	"github.com/ada420b6/overlay/internal/runtime/memnet"
	"github.com/ada420b6/overlay/internal/stream/packettest"
)

// TestPacketConn: what ListenPacket returns is a net.PacketConn by every rule, between two
// nodes through a relay, between a node and its supernode, and of a node with itself; on
// real sockets.
func TestPacketConn(t *testing.T) {
	relay, alice, bob := quartet(t)
	for _, way := range []struct {
		name string
		a, b *overlay.Node
	}{{"relayed", alice, bob}, {"direct", alice, relay}, {"to itself", bob, bob}} {
		t.Run(way.name, func(t *testing.T) {
			here, err := way.b.ListenPacket("udp", ":here")
			if err != nil {
				t.Fatal(err)
			}
			defer here.Close()
			defer dial(t, way.a, "udp", way.b.Name()+":here").Close() // so that there is a way
			packettest.Run(t, func(t *testing.T) *packettest.Pair {
				open := func(n *overlay.Node, service string) net.PacketConn {
					pc, err := n.ListenPacket("udp", service)
					if err != nil {
						t.Fatal(err)
					}
					return pc
				}
				lost := func() uint64 {
					if way.a == way.b {
						return way.a.Status().Lost
					}
					return way.a.Status().Lost + way.b.Status().Lost
				}
				return &packettest.Pair{A: open(way.a, ":game"), B: open(way.b, ":answers"), Max: overlay.MaxDatagram, Lost: lost}
			})
		})
	}
}

// TestRelayBudget: two downloads through one relay take what its owner gives, in equal
// parts, and a voice call beside them loses nothing.
func TestRelayBudget(t *testing.T) {
	const budget, size = 100_000, 500_000
	inWorld(t, memnet.Config{Seed: 1}, func(t *testing.T, w *world) {
		w.up("relay", overlay.WithRole(overlay.RoleSupernode), overlay.WithRelayBudget(budget))
		b := w.up("b", overlay.WithRole(overlay.RoleNode), overlay.WithRelayedOnly())
		voice, err := b.ListenPacket("udp", ":voice")
		if err != nil {
			t.Fatal(err)
		}
		defer voice.Close()
		took := make(chan time.Duration, 2)
		begun := time.Now()
		for _, name := range []string{"c", "d"} {
			c := dial(t, w.up(name, overlay.WithRole(overlay.RoleNode), overlay.WithRelayedOnly()), "tcp", "b:echo")
			begun = time.Now()
			go func() {
				_, _ = c.Write(bytes.Repeat([]byte{1}, size))
				_ = c.(interface{ CloseWrite() error }).CloseWrite()
			}()
			go func() { // ends with the conversation
				defer c.Close()
				if n, err := io.Copy(io.Discard, c); n != size || err != nil {
					t.Errorf("%d bytes of %d: %v", n, size, err)
				}
				took <- time.Since(begun)
			}()
		}
		a := dial(t, w.up("a", overlay.WithRole(overlay.RoleNode), overlay.WithRelayedOnly()), "udp", "b:voice")
		defer a.Close()
		const calls = 100
		go func() {
			every := time.NewTicker(20 * time.Millisecond)
			defer every.Stop()
			for range calls {
				_, _ = a.Write(make([]byte, 60))
				<-every.C
			}
		}()
		buf := make([]byte, 100)
		for i := range calls {
			_ = voice.SetReadDeadline(time.Now().Add(2 * time.Second))
			if _, _, err := voice.ReadFrom(buf); err != nil {
				t.Fatalf("datagram %d of %d: %v", i, calls, err)
			}
		}
		first, second := <-took, <-took
		// There and back: four times size.
		least := time.Duration(4*size/budget) * time.Second * 9 / 10
		if second < least || second > 2*least || first < second/2 {
			t.Errorf("downloads took %v and %v, at least %v is what the budget takes", first, second, least)
		}
	})
}
