package session

import (
	"errors"
	"net/netip"
	"runtime"
	"testing"

	"github.com/flynn/noise"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
)

func TestEviction(t *testing.T) {
	w := newWorld(t, 30)
	b := w.add(func(c *Config) { c.MaxSessions = 2 })
	old, used, late := w.add(nil), w.add(nil), w.add(nil)
	w.join(old, b)
	w.join(used, b)
	w.now = w.now.Add(evictIdle - 1)
	used.say(b, "x", false)
	late.say(b, "x", true)
	w.settle()
	if b.Counters().SessionsFull != 1 || b.Len() != 2 || !b.Established(old.Key(), w.now) {
		t.Fatal("a session that was not idle made room")
	}
	if err := b.Send(late.Key(), late.addr, []byte("x"), true, w.now); !errors.Is(err, ErrFull) {
		t.Fatalf("Send from a full table: %v", err)
	}
	w.now = w.now.Add(1)
	w.join(late, b)
	if b.Len() != 2 || b.Established(old.Key(), w.now) || !b.Established(used.Key(), w.now) || b.Counters().Evicted != 1 {
		t.Fatal("not the least recently used session made room")
	}
}

// Two handshakes may begin while there is one place; the second must find out.
func TestLastPlace(t *testing.T) {
	w := newWorld(t, 31)
	b := w.add(func(c *Config) { c.MaxSessions = 1 })
	w.add(nil).say(b, "x", false)
	w.add(nil).say(b, "x", false)
	w.settle()
	if b.Len() != 1 || b.Counters().SessionsFull != 1 || len(b.sessions) != 1 || len(b.peers) != 1 {
		t.Fatalf("%d sessions in one place", b.Len())
	}
}

func TestPendingIsBounded(t *testing.T) {
	w := newWorld(t, 32)
	a := w.add(func(c *Config) { c.MaxSessions = 1000 })
	r := &reader{seed.New(1)}
	call := func() error {
		var k ident.Key
		draw(r, k[:])
		return a.Send(k, address(5), []byte("x"), false, w.now)
	}
	for range minPending {
		if err := call(); err != nil {
			t.Fatal(err)
		}
	}
	if err := call(); !errors.Is(err, ErrFull) || a.Counters().PendingFull != 1 {
		t.Fatalf("one more: %v", err)
	}
	w.now = w.now.Add(pendingGrace)
	if err := call(); err != nil || a.pending.n != minPending || len(a.peers) != minPending {
		t.Fatalf("%v, %d pending: the oldest did not make room", err, a.pending.n)
	}
	w.now = w.now.Add(pendingLife)
	a.Receive(address(5), nil, w.now)
	if a.pending.n+len(a.peers)+len(a.sessions) != 0 {
		t.Fatal("handshakes outlived pendingLife")
	}
}

func TestQueueGoesWithItsHandshake(t *testing.T) {
	w := newWorld(t, 33)
	a, b := w.add(nil), w.add(nil)
	a.say(b, "x", false)
	a.say(b, "y", false)
	w.now = w.now.Add(pendingLife)
	a.Receive(address(5), nil, w.now)
	if a.Counters().QueueDropped != 1 || len(a.peers) != 0 {
		t.Fatal("a queue outlived its handshake")
	}
}

// heap returns the live bytes that make allocates.
func heap(make func()) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	make()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

// TestMemory holds the promise of PROTOCOL.md section 5: at most 2 KiB per session with
// all that belongs to it, also while the session that a rekey replaced is still there.
// 500 peers come by a real handshake, to see that nothing of it is left; for 10 000 the
// keys are made up, because their arithmetic would take 10 s.
func TestMemory(t *testing.T) {
	for _, c := range []struct {
		name     string
		sessions int
		join     func(b *Table, i int, now vtime.Time)
	}{
		{"real", 500, joinReal},
		{"made up", 10_000, joinMadeUp},
	} {
		t.Run(c.name, func(t *testing.T) {
			const limit = 2048
			w := newWorld(t, 34)
			b := w.add(func(c *Config) { c.HandshakeLoad = 1 << 30; c.MaxSessions = 10_000 })
			used := int64(0)
			for _, round := range []string{"new", "renewed"} {
				used += heap(func() {
					for i := range c.sessions {
						c.join(b.Table, i, w.now)
					}
					b.seen = ephemerals{} // bounded by itself: maxEphemerals
				})
				each := used / int64(c.sessions)
				t.Logf("%s: %d B per session", round, each)
				if each > limit {
					t.Errorf("%s: %d B per session, at most %d are allowed", round, each, limit)
				}
			}
			if b.Len() != c.sessions || len(b.sessions) != 2*c.sessions || b.pending.n != 0 {
				t.Fatalf("%d peers, %d sessions", b.Len(), len(b.sessions))
			}
		})
	}
}

// joinReal lets the i-th stranger make a session with b.
func joinReal(b *Table, i int, now vtime.Time) {
	var sent []byte
	out := func(_ netip.AddrPort, p []byte) { sent = append(sent[:0], p...) }
	c := Config{Network: b.network, Random: &reader{seed.Keyed(uint64(now), uint64(b.n.Handshakes))}, Out: out}
	(&reader{seed.New(uint64(i))}).Read(c.Private[:])
	a := New(c)
	b.emit = out
	invariant.Check(a.Send(b.Key(), address(0), []byte("x"), true, now) == nil, "Send")
	b.Receive(address(i), sent, now)
	b.Flush(a.Key())
	a.Receive(address(0), sent, now)
	b.Receive(address(i), sent, now)
}

// joinMadeUp puts a session with the i-th stranger into b.
func joinMadeUp(b *Table, i int, now vtime.Time) {
	s := &session{addr: address(i), created: now, index: b.newIndex(), pending: &pending{}}
	s.peer = b.peerOf(ident.Key{byte(i), byte(i >> 8), 1})
	s.keys(noise.UnsafeNewCipherState(suite, [32]byte{1}, 0), noise.UnsafeNewCipherState(suite, [32]byte{2}, 0))
	b.begin(s, &s.peer.unconfirmed)
	b.establish(s, now)
}

func TestTransportDoesNotAllocate(t *testing.T) {
	w := newWorld(t, 35)
	a, b := w.pair()
	var last [MaxPacket]byte
	size := 0
	a.emit = func(_ netip.AddrPort, p []byte) { size = copy(last[:], p) }
	payload := make([]byte, 200)
	got := 0
	allocs := testing.AllocsPerRun(1000, func() {
		if a.Send(b.Key(), b.addr, payload, false, w.now) != nil {
			t.Fatal("Send")
		}
		if r := b.Receive(a.addr, last[:size], w.now); r.Kind == KindMessage {
			got++
		}
		w.now = w.now.Add(vtime.Millisecond)
	})
	if allocs != 0 || got != 1001 {
		t.Fatalf("%v allocations per packet, %d of 1001 delivered", allocs, got)
	}
}
