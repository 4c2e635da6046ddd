package path

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sent is a packet that a Conn handed out.
type sent struct {
	to netip.AddrPort
	b  []byte
}

// rig is a Conn whose packets and wishes are kept.
type rig struct {
	*Conn
	mu     sync.Mutex
	sent   []sent
	probes []sent // and echoes
	wanted []ident.Key
	silent []uint64
}

var (
	self, bob, eve = ident.Key{1}, ident.Key{2}, ident.Key{3}
	relay1         = netip.MustParseAddrPort("11.1.0.1:1")
	relay2         = netip.MustParseAddrPort("11.2.0.1:1")
)

func newRig() *rig {
	r := &rig{}
	r.Conn = New(Config{
		Self: self, Name: "self",
		Send:   r.send,
		Wanted: r.want, Silent: r.fallSilent,
		Secret: secretOf(self),
	})
	return r
}

func (r *rig) send(to netip.AddrPort, b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := sent{to, bytes.Clone(b)}
	if isControl(b[HeaderSize:]) {
		r.probes = append(r.probes, x)
		return
	}
	r.sent = append(r.sent, x)
}

func (r *rig) want(k ident.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wanted = append(r.wanted, k)
}

func (r *rig) fallSilent(_ ident.Key, channel uint64, _ ident.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.silent = append(r.silent, channel)
}

// secretOf makes secrets that both ends find, as Diffie and Hellman's do.
func secretOf(self ident.Key) func(ident.Key) ([32]byte, error) {
	return func(peer ident.Key) (secret [32]byte, err error) {
		for i := range secret {
			secret[i] = self[i] ^ peer[i]
		}
		return secret, nil
	}
}

// packet returns a received packet on a channel.
func packet(channel uint64, payload string) *Buffer {
	b := NewBuffer()
	b.pack(channel, []byte(payload))
	return b
}

func (r *rig) write(t *testing.T, to ident.Key, payload string) {
	t.Helper()
	if n, err := r.WriteTo([]byte(payload), stream.Addr{Key: to}); err != nil || n != len(payload) {
		t.Fatalf("wrote %d of %d bytes: %v", n, len(payload), err)
	}
}

func (r *rig) read(t *testing.T, from ident.Key, payload string) {
	t.Helper()
	var b [100]byte
	n, at, err := r.ReadFrom(b[:])
	if err != nil || string(b[:n]) != payload || at != net.Addr(stream.Addr{Key: from}) {
		t.Fatalf("read %q from %v: %v", b[:n], at, err)
	}
}

func TestRoutes(t *testing.T) {
	r := newRig()
	defer r.Close()
	r.write(t, bob, "lost")
	if len(r.sent) != 0 || len(r.wanted) != 1 || r.wanted[0] != bob || r.Counters().NoRoute != 1 {
		t.Fatalf("without a way: sent %v, wanted %v", r.sent, r.wanted)
	}
	r.Open(bob, Route{Channel: 7, Via: eve, Addr: relay1})
	r.write(t, bob, "hello")
	want := append([]byte{Head, 0, 0, 0, 0, 0, 0, 0, 7}, "hello"...)
	if len(r.sent) != 1 || r.sent[0].to != relay1 || !bytes.Equal(r.sent[0].b, want) {
		t.Fatalf("sent %v", r.sent)
	}
	if !r.Receive(packet(7, "hi"), relay1) {
		t.Fatal("a packet of the relay is refused")
	}
	r.read(t, bob, "hi")
	if r.Receive(packet(7, "forged"), relay2) || r.Receive(packet(8, "forged"), relay1) {
		t.Fatal("a packet from elsewhere, or of no channel, is taken")
	}
	if c := r.Counters(); c.WrongSource != 1 || c.UnknownChannel != 1 {
		t.Fatalf("%+v", c)
	}
	r.Moved(eve, relay2)
	if !r.Receive(packet(7, "hi again"), relay2) {
		t.Fatal("a relay that moved is refused")
	}
	r.read(t, bob, "hi again")
	if via := r.Via(bob); via != eve {
		t.Fatalf("the way leads over %x", via)
	}
	r.Forget(bob)
	if ok, _ := r.Has(bob); ok || r.Len() != 0 || len(r.channels) != 0 {
		t.Fatal("a peer that was forgotten is still there")
	}
}

// A new way waits while the one in use works, takes its place when that ends, and does
// not close it to what is still on it.
func TestTwoWays(t *testing.T) {
	r := newRig()
	defer r.Close()
	r.Open(bob, Route{Channel: 7, Via: eve, Addr: relay1})
	r.Open(bob, Route{Channel: 8, Via: bob, Addr: relay2})
	r.write(t, bob, "on the one in use")
	if r.sent[0].to != relay1 {
		t.Fatalf("sent to %v", r.sent[0].to)
	}
	r.Over(7, bob) // not whose it is
	r.write(t, bob, "still there")
	if r.sent[1].to != relay1 {
		t.Fatalf("sent to %v", r.sent[1].to)
	}
	r.Over(7, eve)
	r.write(t, bob, "on the other one")
	if last := r.sent[len(r.sent)-1]; last.to != relay2 || len(r.sent) != 5 { // and both from before once more
		t.Fatalf("%d sent, the last to %v", len(r.sent), last.to)
	}
	if !r.Receive(packet(7, "late"), relay1) {
		t.Fatal("what was still on the old way is refused")
	}
	r.read(t, bob, "late")
	r.write(t, bob, "answer")
	if last := r.sent[len(r.sent)-1]; last.to != relay2 {
		t.Fatalf("answered to %v", last.to)
	}
	for n := range uint64(10) {
		r.Open(bob, Route{Channel: 100 + n, Via: eve, Addr: relay1})
	}
	if len(r.channels) != maxWays || r.channels[8] == nil {
		t.Fatalf("%d ways to one peer, the one in use %v", len(r.channels), r.channels[8])
	}
	// Somebody else's way takes the number over; nothing of the old one is left.
	r.Open(eve, Route{Channel: 109, Via: eve, Addr: relay2})
	if len(r.peers[bob].ways) != maxWays-1 || r.channels[109].to.key != eve {
		t.Fatal("a channel belongs to two peers")
	}
}

func TestLostKeepsWhatWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		defer r.Close()
		r.Open(bob, Route{Channel: 7, Via: eve, Addr: relay1})
		r.Receive(packet(7, "hi"), relay1)
		r.Lost(bob, time.Second)
		if ok, _ := r.Has(bob); !ok {
			t.Fatal("a way that works was given up")
		}
		time.Sleep(2 * time.Second)
		r.Lost(bob, time.Second)
		if ok, _ := r.Has(bob); ok {
			t.Fatal("a way that is silent was kept")
		}
		r.Lost(eve, 0) // nobody
	})
}

// A way is wanted when what is sent is not answered, and only then; the wishes become
// rarer for as long as nothing comes.
func TestWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		defer r.Close()
		r.Open(bob, Route{Channel: 7, Via: eve, Addr: relay1})
		for range 100 { // an answered conversation
			r.write(t, bob, "ping")
			time.Sleep(300 * time.Millisecond)
			r.Receive(packet(7, "pong"), relay1)
			r.read(t, bob, "pong")
		}
		// An idle one: a burst that needs no answer, and a keepalive much later.
		for range 50 {
			r.write(t, bob, "ack")
		}
		time.Sleep(25 * time.Second)
		r.write(t, bob, "keepalive")
		if len(r.wanted) != 0 {
			t.Fatalf("a way that works was given up %d times", len(r.wanted))
		}
		r.Receive(packet(7, "keepalive"), relay1)
		begun := time.Now()
		for len(r.wanted) == 0 && time.Since(begun) < time.Minute {
			r.write(t, bob, "anybody there?")
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
		}
		if d := time.Since(begun); d > 2*time.Second {
			t.Fatalf("a dead way was noticed after %v", d)
		}
		for time.Since(begun) < 10*time.Minute {
			r.write(t, bob, "anybody there?")
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
		}
		if n := len(r.wanted); n < 15 || n > 30 {
			t.Fatalf("%d wishes in 10 minutes", n)
		}
	})
}

func TestLoopback(t *testing.T) {
	r := newRig()
	defer r.Close()
	r.write(t, self, "note to self")
	r.read(t, self, "note to self")
	if len(r.sent)+len(r.wanted) != 0 {
		t.Fatal("a packet to oneself left")
	}
}

func TestDeadlinesAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		var b [10]byte
		if err := r.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if _, _, err := r.ReadFrom(b[:]); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begun) != time.Second {
			t.Fatalf("after %v: %v", time.Since(begun), err)
		}
		if _, err := r.WriteTo(nil, stream.Addr{Key: self}); err != nil {
			t.Fatalf("the deadline of reads ends writes: %v", err)
		}
		if err := r.SetDeadline(time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, err := r.WriteTo(nil, stream.Addr{Key: self}); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("write after the deadline: %v", err)
		}
		if err := r.SetDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		r.read(t, self, "")
		go func() {
			time.Sleep(time.Second)
			r.Close()
		}()
		if _, _, err := r.ReadFrom(b[:]); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("read while it is closed: %v", err)
		}
		_, err := r.WriteTo(nil, stream.Addr{Key: self})
		if !errors.Is(err, net.ErrClosed) || !errors.Is(r.SetDeadline(time.Time{}), net.ErrClosed) || r.Close() != nil {
			t.Fatalf("after the end: %v", err)
		}
	})
}

func TestBadWrites(t *testing.T) {
	r := newRig()
	defer r.Close()
	if _, err := r.WriteTo(nil, &net.UDPAddr{}); !errors.Is(err, ErrAddr) {
		t.Errorf("to an address of another kind: %v", err)
	}
	if _, err := r.WriteTo(make([]byte, MaxPayload+1), stream.Addr{Key: bob}); !errors.Is(err, syscall.EMSGSIZE) {
		t.Errorf("too large: %v", err)
	}
	r.write(t, bob, string(make([]byte, MaxPayload)))
}

func TestTableAndQueueAreBounded(t *testing.T) {
	r := newRig()
	defer r.Close()
	for n := range MaxPeers + 10 {
		var k ident.Key
		copy(k[:], fmt.Sprintf("%d", n))
		r.Open(k, Route{Channel: uint64(n), Addr: relay1})
	}
	if r.Len() != MaxPeers || len(r.channels) != MaxPeers || r.Counters().TableFull != 10 {
		t.Fatalf("%d peers, %d ways, %+v", r.Len(), len(r.channels), r.Counters())
	}
	for range queueSize + 10 {
		if b := packet(0, "x"); !r.Receive(b, relay1) {
			b.Free()
		}
	}
	if got := r.Counters().QueueFull; got != 10 {
		t.Fatalf("%d packets dropped", got)
	}
}

func TestUnused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		defer r.Close()
		r.Open(bob, Route{Channel: 7, Via: eve, Addr: relay1})
		r.Open(eve, Route{Channel: 8, Via: eve, Addr: relay1})
		time.Sleep(time.Minute)
		r.write(t, bob, "x")
		if got := r.Unused(30 * time.Second); len(got) != 1 || got[0] != eve {
			t.Fatalf("unused: %x", got)
		}
	})
}

// In steady state a packet allocates nothing, either way.
func TestAllocations(t *testing.T) {
	r := newRig()
	defer r.Close()
	r.Conn.send = func(netip.AddrPort, []byte) {}
	r.Open(bob, Route{Channel: 7, Via: eve, Addr: relay1})
	var to net.Addr = stream.Addr{Key: bob}
	p, b := make([]byte, 1280), make([]byte, 1500)
	n := testing.AllocsPerRun(1000, func() {
		_, _ = r.WriteTo(p, to)
		x := NewBuffer()
		x.pack(7, p)
		r.Receive(x, relay1)
		_, _, _ = r.ReadFrom(b)
	})
	if n > 0.1 { // the pool may be emptied by the collector
		t.Errorf("%v allocations per packet", n)
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	r := newRig()
	defer r.Close()
	var other *Conn
	r.Conn.send = func(_ netip.AddrPort, p []byte) {
		x := NewBuffer()
		x.SetLen(copy(x.Space(), p))
		other.Receive(x, relay1)
	}
	other = New(Config{
		Self: bob, Send: func(netip.AddrPort, []byte) {}, Wanted: func(ident.Key) {},
		Silent: func(ident.Key, uint64, ident.Key) {}, Secret: secretOf(bob),
	})
	defer other.Close()
	r.Open(bob, Route{Channel: 7, Via: eve, Addr: relay1})
	other.Open(self, Route{Channel: 7, Via: eve, Addr: relay1})
	var to net.Addr = stream.Addr{Key: bob}
	p, q := make([]byte, 1280), make([]byte, 1500)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = r.WriteTo(p, to)
		_, _, _ = other.ReadFrom(q)
	}
}

func FuzzReceive(f *testing.F) {
	f.Add([]byte{Head, 0, 0, 0, 0, 0, 0, 0, 7, 1})
	f.Add([]byte{Head, 0, 0})
	r := newRig()
	r.Open(bob, Route{Channel: 7, Via: eve, Addr: relay1})
	f.Fuzz(func(t *testing.T, p []byte) {
		b := NewBuffer()
		b.SetLen(copy(b.Space(), p))
		if len(p) > HeaderSize && isControl(p[HeaderSize:]) && r.Receive(b, relay1) {
			t.Fatalf("a probe reaches the application: %x", p)
		}
		if !r.Receive(b, relay1) {
			b.Free()
			return
		}
		var got [BufferSize]byte
		n, _, err := r.ReadFrom(got[:])
		if err != nil || !bytes.Equal(got[:n], p[HeaderSize:min(len(p), BufferSize)]) {
			t.Fatalf("%x became %x: %v", p, got[:n], err)
		}
	})
}
