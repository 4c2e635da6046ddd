package sim

import (
	"errors"
	"testing"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// TestDelivery shows the plain case: everything sent arrives half a round trip later,
// and is answered.
func TestDelivery(t *testing.T) {
	s, c := newChatter(t, quiet(50), vtime.Second)
	c.on = func(_ uint32, in *core.Input) {
		if in.Kind == core.InputMessage && wire.KindOf(in.Bytes) == wire.KindPingAck && in.From.Transient() {
			t.Error("a session's message came from a transient handle")
		}
	}
	s.StartAll(0)
	if err := s.Run(10 * vtime.Second); err != nil {
		t.Fatal(err)
	}
	n := s.Census()
	if n.Running != 50 || n.Sent[wire.KindPing] < 450 || n.Delivered != n.Sent[wire.KindPingAck]+uint64(c.acks) {
		t.Errorf("census %+v", n)
	}
	if sent := int(n.Sent[wire.KindPing]); c.acks > sent || c.acks < sent-15 {
		t.Errorf("%d acks of %d pings; only those of the last 0.1 s may be missing", c.acks, sent)
	}
}

// TestFates checks that each fault of the network takes the share that was asked for.
func TestFates(t *testing.T) {
	cfg := quiet(100)
	cfg.Loss, cfg.Dup = 0.1, 0.05
	s, _ := newChatter(t, cfg, 100*vtime.Millisecond)
	s.StartAll(vtime.Second)
	if err := s.Run(60 * vtime.Second); err != nil {
		t.Fatal(err)
	}
	n := s.Census()
	var sent uint64
	for _, k := range n.Sent {
		sent += k
	}
	if p := float64(n.Dropped[DropLoss]) / float64(sent); p < 0.095 || p > 0.105 {
		t.Errorf("lost %.3f, want 0.1", p)
	}
	if p := float64(n.Delivered) / float64(sent-n.Dropped[DropLoss]); p < 1.045 || p > 1.055 {
		t.Errorf("%.3f deliveries for each message that was not lost, want 1.05", p)
	}
}

// TestService shows that a host works at its rate: a flood waits, then overflows, and
// what waited is lost with the process.
func TestService(t *testing.T) {
	cfg := quiet(3)
	cfg.Service = Service{Rate: 100, Handshake: 10, Queue: 20}
	s, c := newChatter(t, cfg, vtime.Hour)
	s.StartAll(0)
	if err := s.Run(vtime.Second); err != nil {
		t.Fatal(err)
	}
	flood := func(n int, fresh bool) {
		for range n {
			s.send(1, &core.Effect{Peer: handle(0), Fresh: fresh}, (&wire.PingAck{}).Append(nil, nil))
		}
	}
	flood(50, false)
	if err := s.Run(100 * vtime.Millisecond); err != nil { // 50 ms after they came
		t.Fatal(err)
	}
	if c.acks != 6 {
		t.Errorf("%d messages handled in 50 ms, want 1 and 5", c.acks)
	}
	if err := s.Run(vtime.Second); err != nil {
		t.Fatal(err)
	}
	if d := s.Census().Dropped[DropQueue]; c.acks+int(d) != 50 || d < 27 || d > 30 {
		t.Errorf("%d handled and %d dropped of 50, want 21 to 23 handled", c.acks, d)
	}
	c.acks = 0
	flood(3, true)
	flood(1, false)
	if err := s.Run(300 * vtime.Millisecond); err != nil {
		t.Fatal(err)
	}
	if c.acks != 3 {
		t.Errorf("%d messages handled behind handshakes of 100 ms, want 3", c.acks)
	}
	s.Crash(0)
	s.Start(0)
	if err := s.Run(vtime.Second); err != nil {
		t.Fatal(err)
	}
	if c.acks != 3 {
		t.Error("a message that waited in the old process reached the new one")
	}
}

// TestPlain checks who a message outside of any session comes from, and that an answer
// to such a handle finds its way back.
func TestPlain(t *testing.T) {
	s, c := newChatter(t, quiet(2), vtime.Hour)
	var kinds []wire.Kind
	c.on = func(i uint32, in *core.Input) {
		if in.Kind != core.InputMessage {
			return
		}
		kinds = append(kinds, wire.KindOf(in.Bytes))
		switch wire.KindOf(in.Bytes) {
		case wire.KindProbe:
			if !in.From.Transient() || !in.Plain || in.Origin == 0 {
				t.Errorf("a probe came as %+v", in)
			}
			s.send(i, &core.Effect{Peer: in.From, Plain: true}, (&wire.Offer{}).Append(nil, s.book))
		case wire.KindOffer:
			if in.From != handle(0) || !in.Plain {
				t.Errorf("an offer came as %+v", in)
			}
		}
	}
	s.StartAll(0)
	if err := s.Run(vtime.Second); err != nil {
		t.Fatal(err)
	}
	s.send(1, &core.Effect{Peer: handle(0), Plain: true}, (&wire.Probe{}).Append(nil, s.book))
	if err := s.Run(vtime.Second); err != nil {
		t.Fatal(err)
	}
	if len(kinds) != 2 || kinds[1] != wire.KindOffer {
		t.Errorf("messages %v, want a probe and an offer", kinds)
	}
}

// TestNAT shows that only a dial-back is stopped by a NAT, and that the first node has
// none.
func TestNAT(t *testing.T) {
	cfg := quiet(2)
	cfg.Reachable = 0
	s, _ := newChatter(t, cfg, vtime.Hour)
	s.StartAll(0)
	if err := s.Run(vtime.Second); err != nil {
		t.Fatal(err)
	}
	for _, to := range []uint32{0, 1} {
		s.send(1-to, &core.Effect{Peer: handle(to), Plain: true}, (&wire.DialBack{}).Append(nil, s.book))
		s.send(1-to, &core.Effect{Peer: handle(to)}, (&wire.PingAck{}).Append(nil, s.book))
	}
	if err := s.Run(vtime.Second); err != nil {
		t.Fatal(err)
	}
	n := s.Census()
	if n.Dropped[DropNAT] != 1 || n.Delivered != 3 {
		t.Errorf("%d dropped and %d delivered, want 1 and 3", n.Dropped[DropNAT], n.Delivered)
	}
}

// TestPartition shows cuts in both directions, in one, and their end.
func TestPartition(t *testing.T) {
	for _, tc := range []struct {
		name   string
		cut    func(s *Sim)
		lost01 uint64
		lost10 uint64
	}{
		{"both ways", func(s *Sim) { s.PartitionFunc(func(i int) int { return i }) }, 1, 1},
		{"one way", func(s *Sim) { s.PartitionOneWay(0); s.hosts[1].side = 1 }, 0, 1},
		{"mended", func(s *Sim) { s.PartitionFunc(func(i int) int { return i }); s.Mend() }, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, _ := newChatter(t, quiet(2), vtime.Hour)
			s.StartAll(0)
			if err := s.Run(vtime.Second); err != nil {
				t.Fatal(err)
			}
			tc.cut(s)
			ack := (&wire.PingAck{}).Append(nil, nil)
			s.send(0, &core.Effect{Peer: handle(1)}, ack)
			if n := s.stats.dropped[DropPartition]; n != tc.lost01 {
				t.Errorf("%d lost from 0 to 1, want %d", n, tc.lost01)
			}
			s.send(1, &core.Effect{Peer: handle(0)}, ack)
			if n := s.stats.dropped[DropPartition]; n != tc.lost01+tc.lost10 {
				t.Errorf("%d lost, want %d", n, tc.lost01+tc.lost10)
			}
		})
	}
}

// TestDisk shows what a node finds after a crash: numbers later than all that it used.
func TestDisk(t *testing.T) {
	s, c := newChatter(t, quiet(1), vtime.Hour)
	var starts []core.Start
	c.on = func(i uint32, in *core.Input) {
		if i == 0 && in.Kind == core.InputStart {
			starts = append(starts, in.Start)
		}
	}
	s.SetRole(0, core.RoleNode, 12)
	s.StartAll(0)
	if err := s.Run(vtime.Second); err != nil {
		t.Fatal(err)
	}
	s.Reboot(0, vtime.Minute)
	if s.Running(0) {
		t.Error("it runs while it is away")
	}
	if err := s.Run(vtime.Minute); err != nil {
		t.Fatal(err)
	}
	if len(starts) != 2 {
		t.Fatalf("%d starts, want 2", len(starts))
	}
	first, again := starts[0], starts[1]
	if first.Seq != 1 || again.Seq != 6 || again.Inc != 8 || first.Key == again.Key {
		t.Errorf("started with %+v, then with %+v", first, again)
	}
	if !again.HasCert || again.RenewIn <= 14*vtime.Day || again.Slots != 12 || again.Role != core.RoleNode {
		t.Errorf("started again with %+v", again)
	}
	if again.Name != ident.HashName("n0") || again.Self != 1 {
		t.Errorf("identity %+v", again)
	}
}

// TestRebootShare shows that a mass reboot hits the share that was asked for, once each,
// and that all come back.
func TestRebootShare(t *testing.T) {
	s, _ := newChatter(t, quiet(1000), vtime.Hour)
	s.StartAll(0)
	if err := s.Run(vtime.Second); err != nil {
		t.Fatal(err)
	}
	s.RebootShare(0.3, 10*vtime.Second, 100*vtime.Second)
	if err := s.Run(11 * vtime.Second); err != nil {
		t.Fatal(err)
	}
	if n := s.Census(); n.Running != 700 {
		t.Errorf("%d run, want 700", n.Running)
	}
	if err := s.Run(200 * vtime.Second); err != nil {
		t.Fatal(err)
	}
	boots := 0
	for i := range s.hosts[:1000] {
		boots += int(s.hosts[i].boots)
	}
	if n := s.Census(); n.Running != 1000 || boots != 1300 {
		t.Errorf("%d run after %d boots, want 1000 after 1300", n.Running, boots)
	}
}

// TestTraceHash is R10 for the engine: the trace depends on the seed and on nothing
// else.
func TestTraceHash(t *testing.T) {
	run := func(seed uint64) uint64 {
		cfg := quiet(100)
		cfg.Seed, cfg.Loss, cfg.Dup, cfg.Reorder = seed, 0.05, 0.05, 0.05
		cfg.Latency = DefaultLatency()
		s, _ := newChatter(t, cfg, vtime.Second)
		s.StartAll(vtime.Second)
		s.RebootShare(0.5, 5*vtime.Second, vtime.Second)
		for range 10 { // the pauses of the caller must not matter
			if err := s.Run(vtime.Second); err != nil {
				t.Fatal(err)
			}
		}
		return s.TraceHash()
	}
	if first, second := run(1), run(1); first != second {
		t.Error("the same seed gave two traces")
	}
	if run(1) == run(2) {
		t.Error("two seeds gave one trace")
	}
}

// TestConfig checks that New refuses what it can't simulate.
func TestConfig(t *testing.T) {
	for name, spoil := range map[string]func(*Config){
		"nodes":   func(c *Config) { c.Nodes = 0 },
		"loss":    func(c *Config) { c.Loss = 1.5 },
		"latency": func(c *Config) { c.Latency = nil },
		"service": func(c *Config) { c.Service.Rate = 0 },
		"check":   func(c *Config) { c.Check = 9 },
	} {
		t.Run(name, func(t *testing.T) {
			c := DefaultConfig(10)
			spoil(&c)
			if _, err := New(c); !errors.Is(err, ErrConfig) {
				t.Errorf("got %v, want ErrConfig", err)
			}
		})
	}
	s, err := New(DefaultConfig(10))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(11); !errors.Is(err, ErrConfig) {
		t.Errorf("adding too many: got %v, want ErrConfig", err)
	}
}

// TestHistogram compares the percentiles of waits with what was put in.
func TestHistogram(t *testing.T) {
	var h histogram
	for ms := range 10_000 {
		h.add(uint64(ms))
	}
	for _, q := range []struct {
		got  vtime.Duration
		want float64
	}{{h.span(0.5), 5}, {h.span(0.99), 9.9}, {h.span(0.999), 9.99}, {h.span(1), 10}} {
		if s := q.got.Seconds(); s < q.want*0.99 || s > q.want*1.04 {
			t.Errorf("%.3f s, want %.3f s", s, q.want)
		}
	}
}

// BenchmarkEngine is the driver by itself: messages and timers of machines that do
// nothing.
func BenchmarkEngine(b *testing.B) {
	for _, nodes := range []int{1_000, 100_000} {
		b.Run(sizeName(nodes), func(b *testing.B) {
			cfg := quiet(nodes)
			cfg.Latency, cfg.Jitter, cfg.Loss = DefaultLatency(), 0.1, 0.01
			s, _ := newChatter(b, cfg, 2*vtime.Second)
			s.StartAll(0)
			if err := s.Run(5 * vtime.Second); err != nil {
				b.Fatal(err)
			}
			s.ResetCensus()
			b.ReportAllocs()
			b.ResetTimer()
			for s.stats.events < uint64(b.N) {
				if err := s.Run(vtime.Millisecond); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(s.stats.events)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(s.Memory().PerNode), "B/node")
		})
	}
}
