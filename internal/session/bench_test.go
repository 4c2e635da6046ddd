package session

import (
	"net/netip"
	"testing"
	"time"

	"github.com/flynn/noise"

	"github.com/ada420b6/overlay/internal/vtime"
)

// duel is two tables whose packets go to a slice, so that a benchmark measures them and
// nothing else.
type duel struct {
	a, b *Table
	now  vtime.Time
	sent []byte // the newest packet
}

func newDuel(t testing.TB, load int) *duel {
	w := newWorld(t, 70)
	d := &duel{now: w.now}
	set := func(c *Config) {
		c.HandshakeLoad = load
		c.Out = func(_ netip.AddrPort, p []byte) { d.sent = append(d.sent[:0], p...) }
	}
	d.a, d.b = w.add(set).Table, w.add(set).Table
	return d
}

// call sends an Init with a payload of n bytes.
func (d *duel) call(t testing.TB, n int) {
	if err := d.a.Send(d.b.Key(), address(1), make([]byte, n), true, d.now); err != nil {
		t.Fatal(err)
	}
}

// exchange makes a session: Init, Response with an answer, confirmation.
func (d *duel) exchange(t testing.TB) {
	d.call(t, 200)
	d.b.Receive(address(0), d.sent, d.now)
	if err := d.b.Send(d.a.Key(), address(0), make([]byte, 200), false, d.now); err != nil {
		t.Fatal(err)
	}
	d.b.Flush(d.a.Key())
	d.a.Receive(address(1), d.sent, d.now)
	d.b.Receive(address(0), d.sent, d.now)
	d.now = d.now.Add(vtime.Second)
}

// bare is the same exchange with flynn/noise alone.
func (d *duel) bare(t testing.TB) {
	i, r := d.a.handshake(d.b.key[:]), d.b.handshake(nil)
	plain := make([]byte, MinInit-initOverhead+lengthSize)
	one, _, _, err1 := i.WriteMessage(nil, plain)
	_, _, _, err2 := r.ReadMessage(nil, one)
	two, _, _, err3 := r.WriteMessage(nil, plain[:200])
	_, s1, s2, err4 := i.ReadMessage(nil, two)
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
		t.Fatal("bare handshake")
	}
	var _, _ *noise.CipherState = s1, s2
}

// BenchmarkHandshake is both sides of a handshake, beside flynn/noise's in the same run.
func BenchmarkHandshake(b *testing.B) {
	d := newDuel(b, 1<<30)
	var table, bare time.Duration
	for b.Loop() {
		start := time.Now()
		d.exchange(b)
		half := time.Now()
		d.bare(b)
		table += half.Sub(start)
		bare += time.Since(half)
	}
	if d.b.Counters().Handshakes != uint64(b.N) {
		b.Fatalf("%d handshakes", d.b.Counters().Handshakes)
	}
	b.ReportMetric(float64(table.Nanoseconds())/float64(b.N), "ns/table")
	b.ReportMetric(float64(bare.Nanoseconds())/float64(b.N), "ns/bare")
	b.ReportMetric(float64(table)/float64(bare), "table/bare")
}

// BenchmarkTransport is one packet, sealed and opened.
func BenchmarkTransport(b *testing.B) {
	for _, c := range []struct {
		name string
		size int
	}{{"50B", 50}, {"200B", 200}, {"1200B", 1200}} {
		b.Run(c.name, func(b *testing.B) {
			d := newDuel(b, 1<<30)
			d.exchange(b)
			payload := make([]byte, c.size)
			b.SetBytes(int64(c.size))
			b.ReportAllocs()
			for b.Loop() {
				if d.a.Send(d.b.Key(), address(1), payload, false, d.now) != nil {
					b.Fatal("Send")
				}
				if d.b.Receive(address(0), d.sent, d.now).Kind != KindMessage {
					b.Fatal("not delivered")
				}
			}
		})
	}
}

// refusal measures the responder: what an Init costs that it serves, and one that it
// refuses with a cookie.
func refusal(t testing.TB, rounds int) (serve, refuse time.Duration) {
	d := newDuel(t, 1<<30)
	serve, refuse = time.Hour, time.Hour
	for range rounds {
		d.call(t, 200)
		init := append([]byte(nil), d.sent...)

		d.b.handshakeLoad = 0
		start := time.Now()
		d.b.Receive(address(0), init, d.now)
		refuse = min(refuse, time.Since(start))

		d.b.handshakeLoad = 1 << 30
		start = time.Now()
		r := d.b.Receive(address(0), init, d.now)
		d.b.Flush(r.Peer)
		serve = min(serve, time.Since(start))
		d.now = d.now.Add(vtime.Second)
	}
	if n := d.b.Counters(); n.CookiesSent != uint64(rounds) || n.BadInit+n.PendingFull != 0 {
		t.Fatalf("%+v", n)
	}
	return serve, refuse
}

// PROTOCOL.md section 5: a refusal costs at least 20 times less than an attach. The
// fastest of some rounds, so that a busy machine changes nothing.
func TestRefusalIsCheap(t *testing.T) {
	serve, refuse := refusal(t, 200)
	t.Logf("handshake %v, refusal %v", serve, refuse)
	if serve < 20*refuse {
		t.Errorf("a refusal costs %v, a handshake %v: less than 20 times as much", refuse, serve)
	}
}

// BenchmarkRefuse is an Init refused with a cookie; the metric is how many of them cost
// one handshake.
func BenchmarkRefuse(b *testing.B) {
	d := newDuel(b, 1)
	d.call(b, 200)
	init := append([]byte(nil), d.sent...)
	d.b.handshakeLoad = 0
	b.ReportAllocs()
	for b.Loop() {
		d.b.Receive(address(0), init, d.now)
	}
	if n := d.b.Counters().CookiesSent; n != uint64(b.N) {
		b.Fatalf("%d cookies", n)
	}
	serve, refuse := refusal(b, 200)
	b.ReportMetric(float64(serve)/float64(refuse), "refusals/handshake")
}

// BenchmarkStranger is an Init with a wrong mac1.
func BenchmarkStranger(b *testing.B) {
	d := newDuel(b, 1)
	d.call(b, 200)
	mac1(d.sent)[0] ^= 1
	init := append([]byte(nil), d.sent...)
	b.ReportAllocs()
	for b.Loop() {
		d.b.Receive(address(0), init, d.now)
	}
	if n := d.b.Counters().WrongMac1; n != uint64(b.N) {
		b.Fatalf("%d strangers", n)
	}
}
