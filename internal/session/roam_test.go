package session

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ada420b6/overlay/internal/vtime"
)

// expectAddr fails unless payloads of at for the peer go to want.
func expectAddr(t *testing.T, at, peer *node, want netip.AddrPort, why string) {
	t.Helper()
	if addr, _ := at.Addr(peer.Key()); addr != want {
		t.Fatalf("%s: payloads go to %v, want %v", why, addr, want)
	}
}

func TestRoaming(t *testing.T) {
	w := newWorld(t, 11)
	a, b := w.pair()
	old := a.addr
	a.say(b, "early", false)
	early := w.take(0)
	a.addr = address(200)
	a.say(b, "moved", false)
	if r := w.arrive(w.take(0)); r.Addr != old {
		t.Fatalf("the message is said to be from %v, which is not proven", r.Addr)
	}
	expectAddr(t, b, a, old, "before the Echo")
	w.settle() // Challenge and Echo
	expectAddr(t, b, a, a.addr, "after the Echo")
	if last := w.heard[len(w.heard)-1]; last.Kind != KindMoved || last.Peer != a.Key() || last.Addr != a.addr {
		t.Fatalf("the caller was told %+v", last.Result)
	}
	w.arrive(early)
	w.settle()
	expectAddr(t, b, a, a.addr, "a packet that was overtaken")
	forged := early
	forged.from, forged.data = address(300), bytes.Clone(early.data)
	forged.data[transportHead-1] += 100
	w.arrive(forged)
	if n := b.Counters(); n.ChallengesSent != 1 || n.BadTransport != 1 || n.BadEcho != 0 {
		t.Fatalf("%+v", n)
	}
	b.say(a, "found you", false)
	w.settle()
	if got := w.texts(a); !cmp.Equal(got, []string{"found you"}) {
		t.Fatalf("A heard %q", got)
	}
}

// TestSpoofedSource lets a peer write a victim's address on all that it sends, as fast
// as it likes, and the core answer with all it has: the victim gets one Challenge a
// second, and none that is larger than what caused it.
func TestSpoofedSource(t *testing.T) {
	w := newWorld(t, 12)
	a, b := w.pair()
	victim, start := address(77777), w.now
	s := a.peers[b.Key()].current
	for i := range 500 {
		a.transport(s, make([]byte, i%10*100))
		spoofed := w.take(0)
		spoofed.from = victim
		w.arrive(spoofed)
		if err := b.Send(a.Key(), a.addr, make([]byte, MaxPayload), false, w.now); err != nil {
			t.Fatal(err)
		}
		for len(w.flight) > 0 {
			p := w.take(0)
			if p.to == victim && (len(p.data) != challengeSize || len(p.data) > len(spoofed.data)) {
				t.Fatalf("the victim got %d B for %d B", len(p.data), len(spoofed.data))
			}
		}
		w.now = w.now.Add(10 * vtime.Millisecond)
	}
	seconds := uint64(w.now.Sub(start) / vtime.Second)
	if n := b.Counters().ChallengesSent; n == 0 || n > seconds {
		t.Fatalf("%d Challenges in %d s", n, seconds)
	}
	expectAddr(t, b, a, a.addr, "nobody echoed")
}

func TestSmallPacketsAreNoChallenge(t *testing.T) {
	w := newWorld(t, 13)
	a, b := w.pair()
	s := a.peers[b.Key()].current
	for n := range challengeSize - transportOverhead + 1 {
		a.transport(s, make([]byte, n))
		p := w.take(0)
		p.from = address(200)
		w.arrive(p)
		if challenged := len(w.flight) > 0; challenged != (len(p.data) >= challengeSize) {
			t.Fatalf("a packet of %d B: Challenge %v", len(p.data), challenged)
		}
	}
}

// What waited for a session goes where the Init went, not where the Response says that
// it is from.
func TestSpoofedResponse(t *testing.T) {
	w := newWorld(t, 14)
	a, b := w.add(nil), w.add(nil)
	victim := address(77777)
	a.say(b, "call", false)
	a.say(b, string(make([]byte, 1000)), false)
	w.arrive(w.take(0))
	response := w.take(0)
	response.from = victim
	w.arrive(response)
	for _, p := range w.flight {
		if p.to == victim && len(p.data) > challengeSize {
			t.Fatalf("the victim got %d B", len(p.data))
		}
	}
	if n := a.Counters(); n.Handshakes != 1 || n.ChallengesSent != 1 {
		t.Fatalf("%+v", n)
	}
	w.settle()
	expectAddr(t, a, b, b.addr, "nobody echoed")
	if got := w.texts(b); len(got) != 2 {
		t.Fatalf("B heard %d messages", len(got))
	}
}

// challenged returns a pair whose second node has challenged address(200), and the Echo
// of the first, not yet delivered.
func challenged(t *testing.T, seed uint64) (w *world, a, b *node, echo packet) {
	w = newWorld(t, seed)
	a, b = w.pair()
	a.say(b, "moved", false)
	moved := w.take(0)
	moved.from = address(200)
	w.arrive(moved)
	challenge := w.take(0)
	if challenge.to != moved.from || challenge.data[0] != head(typeChallenge) {
		t.Fatalf("%d to %v", challenge.data[0], challenge.to)
	}
	challenge.to = a.addr
	w.arrive(challenge)
	echo = w.take(0)
	if echo.to != challenge.from || len(echo.data) > len(challenge.data) {
		t.Fatalf("an Echo of %d B to %v", len(echo.data), echo.to)
	}
	echo.from = moved.from
	return w, a, b, echo
}

func TestForgedEcho(t *testing.T) {
	for _, c := range []struct {
		name   string
		forge  func(w *world, a, b *node, echo packet) packet
		reason func(*Counters) *uint64
	}{
		{"wrong token", func(w *world, a, b *node, echo packet) packet {
			token := b.peers[a.Key()].current.roam.token
			token[7] ^= 1
			a.sendToken(a.peers[b.Key()].current, b.addr, echoMark, token)
			p := w.take(0)
			p.from = echo.from
			return p
		}, func(n *Counters) *uint64 { return &n.BadEcho }},
		{"another address", func(_ *world, _, _ *node, echo packet) packet {
			echo.from = address(201)
			return echo
		}, func(n *Counters) *uint64 { return &n.BadEcho }},
		{"the session's address", func(_ *world, a, _ *node, echo packet) packet {
			echo.from = a.addr
			return echo
		}, func(n *Counters) *uint64 { return &n.BadEcho }},
		{"a Challenge sent back", func(_ *world, _, _ *node, echo packet) packet {
			echo.data = bytes.Clone(echo.data)
			echo.data[headSize+indexSize] ^= 0x80
			return echo
		}, func(n *Counters) *uint64 { return &n.BadTransport }},
		{"unknown session", func(_ *world, _, _ *node, echo packet) packet {
			echo.data = bytes.Clone(echo.data)
			echo.data[headSize] ^= 1
			return echo
		}, func(n *Counters) *uint64 { return &n.UnknownSession }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, a, b, echo := challenged(t, 15)
			want := b.Counters()
			*c.reason(&want)++
			if r := w.arrive(c.forge(w, a, b, echo)); r.Kind != KindNone || len(w.flight) != 0 {
				t.Fatalf("%+v, %d packets", r, len(w.flight))
			}
			if diff := cmp.Diff(want, b.Counters()); diff != "" {
				t.Fatal(diff)
			}
			expectAddr(t, b, a, a.addr, "forged")
		})
	}
}

func TestReplayedEcho(t *testing.T) {
	w, a, b, echo := challenged(t, 16)
	if r := w.arrive(echo); r.Kind != KindMoved {
		t.Fatalf("%+v", r)
	}
	expectAddr(t, b, a, echo.from, "echoed")
	w.now = w.now.Add(challengeEvery)
	a.say(b, "back again", false)
	w.settle()
	expectAddr(t, b, a, a.addr, "back")
	a.say(b, "spoofed", false)
	w.now = w.now.Add(challengeEvery)
	spoofed := w.take(0)
	spoofed.from = echo.from
	w.arrive(spoofed)
	w.flight = nil
	if r := w.arrive(echo); r.Kind != KindNone || b.Counters().ReplayedPacket != 1 {
		t.Fatalf("%+v, %+v", r, b.Counters())
	}
	expectAddr(t, b, a, a.addr, "replayed")
}

// A peer that is heard at the old address again has not moved.
func TestBackBeforeTheEcho(t *testing.T) {
	w, a, b, echo := challenged(t, 17)
	a.say(b, "I am here", false)
	w.settle()
	if r := w.arrive(echo); r.Kind != KindNone || b.Counters().BadEcho != 1 {
		t.Fatalf("%+v, %+v", r, b.Counters())
	}
	expectAddr(t, b, a, a.addr, "back")
}

// Nothing is sent again by itself; and of two Challenges of one address either's Echo
// counts, so that a round trip longer than challengeEvery ends in a move.
func TestLostChallenge(t *testing.T) {
	w, a, b, slow := challenged(t, 18)
	again := func(after vtime.Duration, want int) {
		t.Helper()
		w.now = w.now.Add(after)
		a.say(b, "moved", false)
		p := w.take(0)
		p.from = slow.from
		w.arrive(p)
		if len(w.flight) != want {
			t.Fatalf("%d Challenges, want %d", len(w.flight), want)
		}
		w.flight = nil
	}
	again(challengeEvery-1, 0)
	again(1, 1)
	b.say(a, "still to the old address", false)
	if p := w.take(0); p.to != a.addr {
		t.Fatalf("to %v", p.to)
	}
	if r := w.arrive(slow); r.Kind != KindMoved || b.Counters().ChallengesSent != 2 {
		t.Fatalf("%+v, %+v", r, b.Counters())
	}
}

// A Challenge may overtake the confirmation of its session, and then waits for the next
// packet like one that was lost.
func TestEarlyChallenge(t *testing.T) {
	w := newWorld(t, 19)
	a, b := w.add(nil), w.add(nil)
	a.say(b, "call", false)
	w.arrive(w.take(0))
	response := w.take(0)
	response.from = address(200)
	w.arrive(response)
	if len(w.flight) != 2 {
		t.Fatalf("%d packets, want confirmation and Challenge", len(w.flight))
	}
	challenge := w.take(1)
	challenge.to = b.addr
	w.arrive(challenge)
	if b.Counters().EarlyTransport != 1 || len(w.flight) != 1 {
		t.Fatalf("%+v", b.Counters())
	}
	w.settle()
	if b.Len() != 1 {
		t.Fatal("no session")
	}
}

func TestRoamingDoesNotAllocate(t *testing.T) {
	w := newWorld(t, 20)
	a, b := w.pair()
	var last [MaxPacket]byte
	size, challenges := 0, 0
	a.emit = func(_ netip.AddrPort, p []byte) { size = copy(last[:], p) }
	b.emit = func(_ netip.AddrPort, _ []byte) { challenges++ }
	payload := binary.BigEndian.AppendUint64(nil, 1)
	i := 0
	allocs := testing.AllocsPerRun(1000, func() {
		i++
		if a.Send(b.Key(), b.addr, payload, false, w.now) != nil ||
			b.Receive(address(200+i), last[:size], w.now).Kind != KindMessage {
			t.Fatal("not delivered")
		}
		w.now = w.now.Add(challengeEvery)
	})
	if allocs != 0 || challenges != 1001 {
		t.Fatalf("%v allocations per packet, %d of 1001 challenged", allocs, challenges)
	}
}
