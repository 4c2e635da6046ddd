package session

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ada420b6/overlay/internal/vtime"
)

func TestReplayedInit(t *testing.T) {
	w := newWorld(t, 20)
	a, b := w.add(nil), w.add(nil)
	a.say(b, "once", false)
	init := w.flight[0]
	w.settle()
	w.arrive(init)
	if got := w.texts(b); len(got) != 1 || b.Counters().ReplayedInit != 1 {
		t.Fatalf("B heard %q", got)
	}
	// A recording older than the filter is delivered once more, and harms nothing.
	b.seen = ephemerals{}
	init.from = address(99)
	w.arrive(init)
	w.flight = nil // the Response goes to whoever replayed
	b.say(a, "still here", false)
	a.say(b, "so am I", false)
	w.settle()
	if x, y := w.texts(a), w.texts(b); !cmp.Equal(x, []string{"still here"}) || !cmp.Equal(y, []string{"once", "so am I"}) {
		t.Fatalf("A heard %q, B %q", x, y)
	}
	if addr, _ := b.Addr(a.Key()); addr != a.addr {
		t.Fatal("a replayed Init moved the session")
	}
	w.now = w.now.Add(pendingLife)
	b.say(a, "x", false)
	if b.pending.n != 0 || len(b.sessions) != 1 {
		t.Fatal("the replayed handshake was kept")
	}
}

func TestEphemeralsForgetTheOldest(t *testing.T) {
	var f ephemerals
	key := func(i int) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(i)) }
	for i := range maxEphemerals + 10 {
		f.add(key(i))
	}
	if len(f.seen) != maxEphemerals || len(f.ring) != maxEphemerals {
		t.Fatalf("%d keys held", len(f.seen))
	}
	if f.has(key(9)) || !f.has(key(10)) || !f.has(key(maxEphemerals+9)) {
		t.Fatal("not the oldest was forgotten")
	}
}

// TestCut cuts every packet at every byte and changes every byte: nothing is delivered
// or established, and the packet itself still works afterwards.
func TestCut(t *testing.T) {
	w := newWorld(t, 21)
	a, b := w.add(nil), w.add(func(c *Config) { c.HandshakeLoad = 1 })
	c := w.add(nil)
	w.join(c, b) // so that B is under load and A sees a cookie as well
	types := make(map[byte]bool)
	attack := func() {
		for i := 0; i < len(w.flight); i++ {
			p := w.flight[i]
			types[p.data[0]&0x0f] = true
			heard, flight := len(w.heard), len(w.flight)
			handshakes := a.Counters().Handshakes + b.Counters().Handshakes
			for n := range p.data {
				w.arrive(packet{p.from, p.to, p.data[:n]})
				bent := bytes.Clone(p.data)
				bent[n] ^= 0x80
				w.arrive(packet{p.from, p.to, bent})
			}
			if len(w.heard) != heard || a.Counters().Handshakes+b.Counters().Handshakes != handshakes {
				t.Fatalf("type %d: a damaged packet was accepted: %+v", p.data[0], w.heard[heard:])
			}
			w.flight = w.flight[:flight] // Resets for indices that the damage made up
		}
	}
	a.say(b, "try", false)
	for step := 0; len(w.flight) > 0; step++ {
		attack()
		if r := w.arrive(w.take(0)); r.Kind == KindCookie {
			a.say(b, "try again", false)
		}
	}
	a.say(b, "payload", false)
	attack()
	w.settle()
	a.addr = address(200)
	a.say(b, "moved", false)
	for len(w.flight) > 0 {
		attack()
		w.arrive(w.take(0))
	}
	b.reboot()
	a.say(b, "anyone?", false)
	for len(w.flight) > 0 {
		attack()
		w.arrive(w.take(0))
	}
	if got := w.texts(b); !cmp.Equal(got, []string{"try again", "payload", "moved"}) || w.kinds(a, KindReset) != 1 {
		t.Fatalf("B heard %q", got)
	}
	for kind := byte(typeInit); kind <= typeChallenge; kind++ {
		if !types[kind] {
			t.Errorf("type %d was never under way", kind)
		}
	}
}

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		name   string
		packet []byte
		field  func(*Counters) *uint64
	}{
		{"empty", nil, func(n *Counters) *uint64 { return &n.Truncated }},
		{"newer", []byte{2<<4 | typeInit}, func(n *Counters) *uint64 { return &n.NewerVersion }},
		{"older", []byte{typeInit}, func(n *Counters) *uint64 { return &n.OlderVersion }},
		{"type 0", []byte{head(0)}, func(n *Counters) *uint64 { return &n.UnknownType }},
		{"type 7", []byte{head(7)}, func(n *Counters) *uint64 { return &n.UnknownType }},
		{"type 8", []byte{head(8)}, func(n *Counters) *uint64 { return &n.UnknownType }},
		{"short", append([]byte{head(typeInit)}, make([]byte, MinInit-2)...), func(n *Counters) *uint64 { return &n.Truncated }},
		{"long", append([]byte{head(typeTransport)}, make([]byte, MaxPacket)...), func(n *Counters) *uint64 { return &n.Oversized }},
		{"long Response", append([]byte{head(typeResponse)}, make([]byte, MinInit)...), func(n *Counters) *uint64 { return &n.Oversized }},
		{"short Challenge", append([]byte{head(typeChallenge)}, make([]byte, challengeSize-2)...), func(n *Counters) *uint64 { return &n.Truncated }},
		{"long Challenge", append([]byte{head(typeChallenge)}, make([]byte, challengeSize)...), func(n *Counters) *uint64 { return &n.Oversized }},
		{"long Reset", append([]byte{head(typeReset)}, make([]byte, resetSize)...), func(n *Counters) *uint64 { return &n.Oversized }},
	} {
		var got, want Counters
		*c.field(&want) = 1
		if kind := classify(c.packet, &got); kind != 0 || got != want {
			t.Errorf("%s: type %d, %+v", c.name, kind, got)
		}
	}
}

func TestResetAfterReboot(t *testing.T) {
	w := newWorld(t, 22)
	a, b := w.pair()
	b.reboot()
	for range keptTags + 2 {
		a.say(b, "lost", false)
	}
	lost := len(w.flight)
	for range lost {
		p := w.take(0)
		w.arrive(p)
		if r := w.flight[len(w.flight)-1]; len(r.data) >= len(p.data) || r.data[0] != head(typeReset) {
			t.Fatalf("a Reset of %d B for a packet of %d B", len(r.data), len(p.data))
		}
	}
	w.settle()
	if w.kinds(a, KindReset) != 1 || a.Len() != 0 || a.Counters().Resets != 1 {
		t.Fatalf("A heard %d Resets, %+v", w.kinds(a, KindReset), a.Counters())
	}
	a.say(b, "here I am", false)
	w.settle()
	if got := w.texts(b); !cmp.Equal(got, []string{"here I am"}) {
		t.Fatalf("B heard %q", got)
	}
}

func TestForgedReset(t *testing.T) {
	w := newWorld(t, 23)
	a, b := w.pair()
	a.say(b, "x", false)
	genuine := w.flight[0]
	w.settle()
	s := a.peers[b.Key()].current
	reset := binary.BigEndian.AppendUint32([]byte{head(typeReset)}, s.index)
	reset = binary.BigEndian.AppendUint32(reset, s.remote)
	for _, forged := range [][]byte{
		append(bytes.Clone(reset), make([]byte, tagSize)...),
		append(bytes.Clone(reset), genuine.data[len(genuine.data)-tagSize-1:len(genuine.data)-1]...),
	} {
		w.arrive(packet{b.addr, a.addr, forged})
	}
	if a.Counters().ForgedReset != 2 || a.Len() != 1 || len(w.heard) != 1 {
		t.Fatalf("a forged Reset was believed: %+v", a.Counters())
	}
}

func TestResetsAreLimited(t *testing.T) {
	w := newWorld(t, 24)
	b := w.add(nil)
	p := packet{address(7), b.addr, append([]byte{head(typeTransport)}, make([]byte, 100)...)}
	for range 3 * resetBurst {
		w.arrive(p)
	}
	if n := b.Counters().ResetsSent; n != resetBurst {
		t.Fatalf("%d Resets at once, want %d", n, resetBurst)
	}
	w.now = w.now.Add(vtime.Second)
	for range 3 * resetBurst {
		w.arrive(p)
	}
	if n := b.Counters().ResetsSent; n != resetBurst+resetRate {
		t.Fatalf("%d Resets after a second, want %d", n, resetBurst+resetRate)
	}
}

// A Reset for a session that the peer has already replaced is no news.
func TestResetBesideANewerHandshake(t *testing.T) {
	w := newWorld(t, 25)
	a, b := w.pair()
	b.reboot()
	a.say(b, "on dead keys", false)
	b.say(a, "I was away", true)
	w.arrive(w.take(1)) // B's Init; A answers
	w.settle()
	if w.kinds(a, KindReset) != 0 || a.Len() != 1 || b.Len() != 1 {
		t.Fatal("the Reset of the old session ended the new one")
	}
	a.say(b, "welcome back", false)
	w.settle()
	if got := w.texts(b); !cmp.Equal(got, []string{"welcome back"}) {
		t.Fatalf("B heard %q", got)
	}
}

func TestCookieUnderLoad(t *testing.T) {
	const load = 5
	w := newWorld(t, 26)
	b := w.add(func(c *Config) { c.HandshakeLoad = load })
	for range load {
		w.add(nil).say(b, "x", false)
	}
	w.settle()
	a := w.add(nil)
	a.say(b, "first", false)
	size := len(w.flight[0].data)
	w.arrive(w.take(0))
	if b.Counters().CookiesSent != 1 || len(w.flight[0].data) > size || len(w.texts(b)) != load {
		t.Fatalf("no cookie under load: %+v", b.Counters())
	}
	reply := w.flight[0]
	w.settle()
	w.arrive(reply)
	if w.kinds(a, KindCookie) != 1 || len(w.flight) != 0 || a.Counters().BadCookie != 1 {
		t.Fatal("want one KindCookie, nothing sent, and the repetition ignored")
	}
	a.say(b, "second", false) // at once: the refused handshake must not hold it back
	stolen := packet{address(77), b.addr, bytes.Clone(w.flight[0].data)}
	w.arrive(stolen)
	if b.Counters().CookiesSent != 2 {
		t.Fatal("a cookie served another address")
	}
	w.flight = w.flight[:1]
	w.settle()
	if got := w.texts(b); !cmp.Equal(got, []string{"second"}) || a.Len() != 1 {
		t.Fatalf("B heard %q", got)
	}
	w.now = w.now.Add(2 * vtime.Second)
	c := w.add(nil)
	c.say(b, "calm", false)
	w.settle()
	if got := w.texts(b); !cmp.Equal(got, []string{"calm"}) {
		t.Fatal("a cookie is still asked for after the load")
	}
}

// A peer that refuses its own cookies must not make us send as fast as it answers.
func TestRefusedCookieIsNotRetriedAtOnce(t *testing.T) {
	w := newWorld(t, 27)
	a, b := w.add(nil), w.add(func(c *Config) { c.HandshakeLoad = 1 })
	w.join(w.add(nil), b)
	for range 3 {
		a.say(b, "x", true)
		b.baker = baker{random: b.random}
		w.settle()
	}
	if n := w.kinds(a, KindCookie); n != 1 || b.Counters().CookiesSent != 3 {
		t.Fatalf("%d times told to retry at once", n)
	}
}

func TestCookieLifetimes(t *testing.T) {
	w := newWorld(t, 28)
	bake := baker{random: &reader{}}
	addr := address(1)
	init := make([]byte, MinInit)
	c := bake.bake(addr, w.now)
	copy(mac2(init), appendMac(nil, newMac(c[:]), before2(init)))
	for _, other := range []netip.AddrPort{address(2), netip.AddrPortFrom(addr.Addr(), 1)} {
		if bake.proves(init, other, w.now) {
			t.Errorf("a cookie of %v served %v", addr, other)
		}
	}
	for _, at := range []struct {
		after vtime.Duration
		good  bool
	}{{0, true}, {cookiePeriod - 1, true}, {cookiePeriod, true}, {2*cookiePeriod - 1, true}, {2 * cookiePeriod, false}} {
		if got := bake.proves(init, addr, w.now.Add(at.after)); got != at.good {
			t.Errorf("after %v s: %v", at.after.Seconds(), got)
		}
	}
	if bake.proves(init, addr, w.now.Add(20*cookiePeriod)) {
		t.Error("a cookie survived two secrets")
	}

	var j jar
	for i := range maxCookies + 1 {
		j.put([32]byte{byte(i)}, cookie{byte(i)}, w.now)
	}
	if _, ok := j.get([32]byte{0}, w.now); ok || len(j.kept) != maxCookies {
		t.Error("the jar is not bounded")
	}
	if c, ok := j.get([32]byte{7}, w.now.Add(cookieLife-1)); !ok || c != (cookie{7}) {
		t.Error("a cookie is missing")
	}
	if _, ok := j.get([32]byte{7}, w.now.Add(cookieLife)); ok {
		t.Error("a cookie outlived cookieLife")
	}
}

// TestNoAmplification lets an unproven address ask, and the core answer with all it has.
func TestNoAmplification(t *testing.T) {
	w := newWorld(t, 29)
	a, b := w.add(nil), w.add(nil)
	a.say(b, "x", false)
	init := w.take(0)
	if r := b.Receive(init.from, init.data, w.now); !r.Fresh {
		t.Fatal("not delivered")
	}
	if err := b.Send(a.Key(), a.addr, make([]byte, MaxAnswer+1), false, w.now); err != ErrPayload {
		t.Fatalf("an answer of MaxAnswer+1 B: %v", err)
	}
	for _, n := range []int{300, 200, 1000, 100, 500} {
		if err := b.Send(a.Key(), a.addr, make([]byte, n), false, w.now); err != nil {
			t.Fatal(err)
		}
	}
	b.Flush(a.Key())
	sent := 0
	for _, p := range w.flight {
		sent += len(p.data)
	}
	if sent > len(init.data) {
		t.Fatalf("%d B for an Init of %d B", sent, len(init.data))
	}
	w.settle()
	var sizes []int
	for _, s := range w.texts(a) {
		sizes = append(sizes, len(s))
	}
	if !cmp.Equal(sizes, []int{300, 200, 100, 1000, 500}) {
		t.Fatalf("A heard %v: what waited for the confirmation must follow it", sizes)
	}
}
