package stream

import (
	"net"
	"sync/atomic"
	"testing"

	"github.com/ada420b6/overlay/internal/stream/packettest"
)

// TestPacketConn: what ListenPacket returns is a net.PacketConn by every rule, on a network
// that loses and on one that does not.
func TestPacketConn(t *testing.T) {
	for name, loss := range map[string]float64{"no loss": 0, "loss": 0.02} {
		t.Run(name, func(t *testing.T) {
			packettest.Run(t, func(t *testing.T) *packettest.Pair {
				f := newFabric()
				f.loss = loss
				alice, bob := start(t, f, "alice"), start(t, f, "bob")
				return &packettest.Pair{
					A: listenPacket(t, alice, "game"), B: listenPacket(t, bob, "game"), Max: MaxDatagram,
					Lost: func() uint64 { return lostBy(alice) + lostBy(bob) },
				}
			})
		})
	}
}

func lostBy(e *Endpoint) uint64 {
	s := e.Stats()
	return s.DatagramsUnsent + s.DatagramsLost + s.InboxFull
}

// TestLargestDatagram has the longest services at both ends.
func TestLargestDatagram(t *testing.T) {
	f := newFabric()
	long := make([]byte, MaxService)
	for i := range long {
		long[i] = 'a'
	}
	a, b := listenPacket(t, start(t, f, "alice"), string(long)), listenPacket(t, start(t, f, "bob"), string(long))
	check := packettest.Checks[1]
	if err := check.Of(&packettest.Pair{A: a, B: b, Max: MaxDatagram}); err != nil {
		t.Errorf("%s: %v", check.Name, err)
	}
}

func TestNumbers(t *testing.T) {
	type step struct {
		number uint32
		ok     bool
		lost   uint64
	}
	for name, steps := range map[string][]step{
		"in order":       {{1, true, 0}, {2, true, 0}, {3, true, 0}},
		"one missing":    {{1, true, 0}, {3, true, 1}, {4, true, 1}},
		"late":           {{2, true, 1}, {1, true, 0}, {3, true, 0}},
		"repeated":       {{1, true, 0}, {1, false, 0}, {2, true, 0}},
		"more than late": {{2, true, 1}, {1, true, 0}, {1, false, 0}, {0, false, 0}},
		"jumps":          {{1, true, 0}, {maxJump + 2, false, 0}, {1 << 31, false, 0}, {2, true, 0}},
		"wraps":          {{maxJump, true, maxJump - 1}, {1<<32 - 5, false, maxJump - 1}},
	} {
		var n numbers
		var lost atomic.Uint64
		for _, s := range steps {
			rest, ok := n.cut(appendNumber([]byte("x"), s.number), &lost)
			if ok != s.ok || lost.Load() != s.lost || ok && string(rest) != "x" {
				t.Errorf("%s: at %d: %q, %v, %d lost", name, s.number, rest, ok, lost.Load())
			}
		}
	}
	n := numbers{last: 1<<32 - 2}
	var lost atomic.Uint64
	for _, number := range []uint32{1<<32 - 1, 1, 0, 2} {
		if _, ok := n.cut(appendNumber(nil, number), &lost); !ok {
			t.Errorf("%d is refused around 2^32", number)
		}
	}
	if _, ok := n.cut([]byte("abc"), &lost); ok || lost.Load() != 0 {
		t.Errorf("a frame of 3 bytes: %v; %d lost", ok, lost.Load())
	}
}

var _ net.PacketConn = (*packetConn)(nil)
