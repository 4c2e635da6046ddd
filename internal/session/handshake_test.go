package session

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

func TestOneExchange(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.add(nil), w.add(nil)
	a.say(b, "question", false)
	if len(w.flight) != 1 || len(w.flight[0].data) != MinInit {
		t.Fatalf("%d packets under way, want one Init of %d B", len(w.flight), MinInit)
	}
	init := w.take(0)
	r := b.Receive(init.from, init.data, w.now)
	if r.Kind != KindMessage || r.Peer != a.Key() || string(r.Payload) != "question" || !r.Fresh || r.Addr != a.addr {
		t.Fatalf("B received %+v", r)
	}
	b.say(a, "answer", false)
	b.say(a, "more", false)
	b.Flush(a.Key())
	if len(w.flight) != 2 || b.Len() != 0 || b.Established(a.Key(), w.now) {
		t.Fatalf("%d packets under way and %d sessions before the confirmation", len(w.flight), b.Len())
	}
	if addr, ok := b.Addr(a.Key()); !ok || addr != a.addr {
		t.Fatalf("B's Addr = %v, %v", addr, ok)
	}
	w.settle()
	if got := w.texts(a); !cmp.Equal(got, []string{"answer", "more"}) {
		t.Fatalf("A heard %q", got)
	}
	if a.Len() != 1 || b.Len() != 1 || b.Counters().Handshakes != 1 {
		t.Fatalf("sessions: A %d, B %d", a.Len(), b.Len())
	}
	b.say(a, "later", false)
	a.say(b, "and back", false)
	w.settle()
	if x, y := w.texts(a), w.texts(b); !cmp.Equal(x, []string{"later"}) || !cmp.Equal(y, []string{"and back"}) {
		t.Fatalf("A heard %q, B heard %q", x, y)
	}
}

func TestFlushAnswersWithoutPayload(t *testing.T) {
	w := newWorld(t, 2)
	a, b := w.pair()
	if len(w.flight) != 0 || a.Counters().Handshakes != 1 || b.Counters().Handshakes != 1 {
		t.Fatal("a bare Response did not establish the session")
	}
	b.Flush(a.Key())
	b.Flush(ident.Key{1})
	if len(w.flight) != 0 {
		t.Fatal("Flush with nothing to answer sent a packet")
	}
}

func TestPayloadsWaitForTheResponse(t *testing.T) {
	w := newWorld(t, 3)
	a, b := w.add(nil), w.add(nil)
	for _, s := range []string{"first", "w1", "w2", "w3", "w4", "w5"} {
		a.say(b, s, false)
	}
	if len(w.flight) != 1 || a.Counters().QueueDropped != 1 {
		t.Fatalf("%d packets under way, %d dropped", len(w.flight), a.Counters().QueueDropped)
	}
	w.settle()
	if got := w.texts(b); !cmp.Equal(got, []string{"first", "w2", "w3", "w4", "w5"}) {
		t.Fatalf("B heard %q", got)
	}

	c := w.add(nil)
	a.say(c, "lost", false)
	a.say(c, "stale", false)
	init := w.take(0)
	w.now = w.now.Add(queueLife + 1)
	w.arrive(init)
	w.settle()
	if got := w.texts(c); !cmp.Equal(got, []string{"lost"}) {
		t.Fatalf("C heard %q: a payload outlived queueLife", got)
	}
}

func TestLargePayloadFollowsABareInit(t *testing.T) {
	w := newWorld(t, 4)
	a, b := w.add(nil), w.add(nil)
	large := strings.Repeat("x", MaxPayload)
	a.say(b, large, false)
	if len(w.flight[0].data) != MinInit {
		t.Fatalf("Init of %d B", len(w.flight[0].data))
	}
	w.settle()
	a.say(b, large[:MaxInitPayload], true)
	if len(w.flight[0].data) != MaxPacket {
		t.Fatalf("Init of %d B, want %d", len(w.flight[0].data), MaxPacket)
	}
	w.settle()
	if got := w.texts(b); !cmp.Equal(got, []string{large, large[:MaxInitPayload]}) {
		t.Fatalf("B heard %d payloads", len(got))
	}
	if err := a.Send(b.Key(), b.addr, make([]byte, MaxPayload+1), false, w.now); !errors.Is(err, ErrPayload) {
		t.Fatalf("Send of MaxPayload+1 = %v", err)
	}
}

func TestSendErrors(t *testing.T) {
	w := newWorld(t, 5)
	a, b := w.add(nil), w.add(nil)
	if err := a.Send(b.Key(), netip.AddrPort{}, []byte("x"), false, w.now); !errors.Is(err, ErrAddress) {
		t.Errorf("no address: %v", err)
	}
	if err := a.Send(ident.Key{}, b.addr, []byte("x"), false, w.now); !errors.Is(err, ErrPeer) {
		t.Errorf("key of small order: %v", err)
	}
	if len(a.peers)+len(a.sessions)+a.pending.n+len(w.flight) != 0 {
		t.Error("a Send that failed left something behind")
	}
}

func TestCallsThatCross(t *testing.T) {
	w := newWorld(t, 6)
	a, b := w.add(nil), w.add(nil)
	a.say(b, "from A", false)
	b.say(a, "from B", false)
	w.settle()
	for i := range 10 {
		w.now = w.now.Add(20 * vtime.Second)
		if i == 5 {
			a.addr = address(100)
		}
		a.say(b, "from A", false)
		w.settle()
		b.say(a, "from B", false)
		w.settle()
	}
	if x, y := len(w.texts(a)), len(w.texts(b)); x != 11 || y != 11 {
		t.Fatalf("A heard %d, B %d messages, want 11", x, y)
	}
	if n := a.Counters().ResetsSent + b.Counters().ResetsSent; n != 0 {
		t.Fatalf("%d Resets", n)
	}
}

// A round trip longer than the retransmission interval must still end in a session.
func TestSlowPath(t *testing.T) {
	w := newWorld(t, 7)
	a, b := w.add(nil), w.add(nil)
	a.say(b, "try", true)
	w.now = w.now.Add(vtime.Second)
	a.say(b, "try", true)
	w.arrive(w.take(0)) // Init 1 -> Response 1
	w.now = w.now.Add(vtime.Second)
	a.say(b, "try", true) // under way: Init 2, Response 1, Init 3
	w.arrive(w.take(0))   // Init 2 -> Response 2
	w.arrive(w.take(0))   // Response 1: two newer calls have displaced it
	w.arrive(w.take(1))   // Response 2
	if !a.Established(b.Key(), w.now) {
		t.Fatal("a newer call displaced the one that was answered")
	}
	w.settle()
	if !a.Established(b.Key(), w.now) || !b.Established(a.Key(), w.now) {
		t.Fatal("no session")
	}
	a.say(b, "through", false)
	w.settle()
	if got := w.texts(b); len(got) != 4 || got[3] != "through" {
		t.Fatalf("B heard %q", got)
	}
}

func TestRekey(t *testing.T) {
	w := newWorld(t, 8)
	a, b := w.pair()
	w.now = w.now.Add(RekeyAfter - 1)
	a.say(b, "young", false)
	if len(w.flight[0].data) == MinInit {
		t.Fatal("rekey before RekeyAfter")
	}
	w.settle()
	w.now = w.now.Add(RekeyAfter/10 + 2)
	b.say(a, "the responder goes on", false)
	w.settle()
	if a.Counters().Handshakes != 1 {
		t.Fatal("the responder renewed the session")
	}
	a.say(b, "old", false)
	init := w.take(0)
	if init.data[0] != head(typeInit) || a.Counters().Rekeys != 1 {
		t.Fatal("no rekey after RekeyAfter and its jitter")
	}
	a.say(b, "meanwhile", false)
	if a.Counters().Rekeys != 1 {
		t.Fatal("two rekeys at once")
	}
	b.say(a, "as well", false)
	w.settle()
	if x, y := w.texts(a), w.texts(b); len(x) != 2 || !cmp.Equal(y, []string{"young", "meanwhile"}) {
		t.Fatalf("while the rekey is under way A heard %q, B %q", x, y)
	}
	b.say(a, "on the old keys", false)
	w.arrive(init)
	w.settle()
	b.say(a, "on the new keys", false)
	w.settle()
	if x, y := w.texts(a), w.texts(b); !cmp.Equal(x, []string{"on the old keys", "on the new keys"}) || !cmp.Equal(y, []string{"old"}) {
		t.Fatalf("A heard %q, B %q", x, y)
	}
	if a.Counters().Handshakes != 2 || b.Counters().Handshakes != 2 || a.Len() != 1 {
		t.Fatal("the rekey did not end in a session")
	}
}

// Sessions that were made together must not be renewed together.
func TestRekeyJitter(t *testing.T) {
	w := newWorld(t, 14)
	a := w.add(nil)
	earliest, latest := vtime.Never, vtime.Time(0)
	for range 30 {
		b := w.add(nil)
		a.say(b, "x", false)
		at := a.peers[b.Key()].calling[0].rekeyAt
		earliest, latest = vtime.Earlier(earliest, at), vtime.Later(latest, at)
	}
	after, until := earliest.Sub(w.now), latest.Sub(w.now)
	if after < RekeyAfter || until > RekeyAfter+RekeyAfter/10 || until-after < RekeyAfter/20 {
		t.Fatalf("rekeys from %v s to %v s", after.Seconds(), until.Seconds())
	}
}

func TestRekeyByMessages(t *testing.T) {
	w := newWorld(t, 9)
	a, b := w.pair()
	a.peers[b.Key()].current.counter = rekeyMessages
	a.say(b, "x", false)
	if a.Counters().Rekeys != 1 {
		t.Fatal("no rekey after rekeyMessages")
	}
}

func TestRejectAfter(t *testing.T) {
	w := newWorld(t, 10)
	a, b := w.pair()
	b.say(a, "in time", false)
	late := w.take(0)
	w.now = w.now.Add(RejectAfter)
	w.arrive(late)
	if len(w.texts(a)) != 0 || a.Counters().Expired != 1 || a.Len() != 0 {
		t.Fatal("a session older than RejectAfter took a packet")
	}
	w.settle() // the Reset
	if w.kinds(b, KindReset) != 1 {
		t.Fatal("the peer was not told")
	}
	b.say(a, "again", false)
	if w.flight[0].data[0] != head(typeInit) {
		t.Fatal("no new handshake")
	}
	w.settle()
	if got := w.texts(a); !cmp.Equal(got, []string{"again"}) {
		t.Fatalf("A heard %q", got)
	}
}

func TestForget(t *testing.T) {
	w := newWorld(t, 12)
	a, b := w.pair()
	b.say(a, "x", true)
	w.settle()
	a.say(b, "y", true)
	a.Forget(b.Key())
	a.Forget(b.Key())
	if a.Len()+len(a.peers)+len(a.sessions)+a.pending.n != 0 {
		t.Fatal("Forget left something behind")
	}
	if _, ok := a.Addr(b.Key()); ok || a.Established(b.Key(), w.now) {
		t.Fatal("a forgotten peer has a session")
	}
}

func TestNetworksNeverTalk(t *testing.T) {
	w := newWorld(t, 13)
	a, b := w.add(nil), w.add(func(c *Config) { c.Network = [8]byte{2} })
	a.say(b, "x", false)
	w.settle()
	if b.Counters().WrongMac1 != 1 || len(w.heard) != 0 {
		t.Fatal("mac1 does not keep networks apart")
	}
	// With mac1 out of the way the prologue still does.
	a.say(b, "x", true)
	init := w.take(0)
	k := publicKeyed(labelMac1, b.network, b.Key())
	copy(mac1(init.data), appendMac(nil, newMac(k[:]), before1(init.data)))
	w.arrive(init)
	if b.Counters().BadInit != 1 || len(w.heard)+len(w.flight) != 0 {
		t.Fatal("the prologue does not keep networks apart")
	}
}
