package path

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/stream"
)

// hop is one relay between the two ends of a pair.
type hop struct {
	addr  netip.AddrPort
	delay time.Duration // from end to end
	extra atomic.Int64  // more of it, in ns
	dead  atomic.Bool
	lost  [2]atomic.Bool // what end 0, or end 1, sends
	drops atomic.Bool    // everything but probes and echoes
	tap   func(from int, packet []byte) []byte
	n     [2]atomic.Int64 // probes and echoes sent by each end
}

// pair is two Conns with hops between them; channel i leads over hop i-1.
type pair struct {
	t    *testing.T
	ends [2]*rig
	keys [2]ident.Key
	hops []*hop
}

func newPair(t *testing.T, hops ...*hop) *pair {
	p := &pair{t: t, keys: [2]ident.Key{self, bob}, hops: hops}
	for i := range p.ends {
		r := &rig{}
		r.Conn = New(Config{
			Self: p.keys[i], Send: func(to netip.AddrPort, b []byte) { p.carry(i, to, b) },
			Wanted: r.want, Silent: r.fallSilent,
			Secret: secretOf(p.keys[i]),
		})
		p.ends[i] = r
	}
	for i, h := range hops {
		h.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, byte(i + 1), 0, 1}), 1)
		p.open(i)
	}
	time.Sleep(time.Second)
	synctest.Wait()
	return p
}

func (p *pair) open(i int) {
	for end := range p.ends {
		p.ends[end].Open(p.keys[1-end], Route{Channel: uint64(i + 1), Via: ident.Key{100, byte(i)}, Addr: p.hops[i].addr})
	}
}

func (p *pair) close() {
	for _, r := range p.ends {
		r.Close()
	}
}

func (p *pair) carry(from int, to netip.AddrPort, packet []byte) {
	for _, h := range p.hops {
		if h.addr != to {
			continue
		}
		if isControl(packet[HeaderSize:]) {
			h.n[from].Add(1)
		}
		if h.tap != nil {
			packet = h.tap(from, packet)
		}
		b := NewBuffer()
		b.SetLen(copy(b.Space(), packet))
		if packet == nil || h.drops.Load() && !isControl(packet[HeaderSize:]) || h.dead.Load() || h.lost[from].Load() {
			b.Free()
			return
		}
		time.AfterFunc(h.delay+time.Duration(h.extra.Load()), func() {
			if h.dead.Load() || !p.ends[1-from].Receive(b, h.addr) {
				b.Free()
			}
		})
	}
}

// via returns which hop an end sends on.
func (p *pair) via(end int) int { return int(p.ends[end].Via(p.keys[1-end])[1]) }

// talk sends numbered packets at a constant rate from one end for as long as d, each of which
// the other end answers as QUIC acknowledges, and returns the longest silence that the
// receiver saw, and how many never came.
func (p *pair) talk(from int, every, d time.Duration, at time.Duration, then func()) (gap time.Duration, lost int) {
	got := make(map[uint64]bool)
	last, begun := time.Now(), time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		var b [100]byte
		for {
			n, addr, err := p.ends[1-from].ReadFrom(b[:])
			if err != nil {
				return
			}
			got[binary.BigEndian.Uint64(b[1:n])] = true
			gap, last = max(gap, time.Since(last)), time.Now()
			_, _ = p.ends[1-from].WriteTo([]byte("ack"), addr)
		}
	}()
	drained := make(chan struct{})
	go func() { // acknowledgements are read and forgotten
		defer close(drained)
		var b [100]byte
		for {
			if _, _, err := p.ends[from].ReadFrom(b[:]); err != nil {
				return
			}
		}
	}()
	n := uint64(0)
	for ; time.Since(begun) < d; n++ {
		if then != nil && time.Since(begun) >= at {
			then()
			then = nil
		}
		b := binary.BigEndian.AppendUint64([]byte{0x40}, n)
		_, _ = p.ends[from].WriteTo(b, stream.Addr{Key: p.keys[1-from]})
		time.Sleep(every)
	}
	time.Sleep(time.Second)
	for _, r := range p.ends {
		_ = r.SetReadDeadline(time.Now())
	}
	<-done
	<-drained
	synctest.Wait()
	for _, r := range p.ends {
		_ = r.SetReadDeadline(time.Time{})
	}
	return gap, int(n) - len(got)
}

const ms = time.Millisecond

// Whoever sends, and whichever end is the one that chooses, a relay's death is a gap of
// less than a second, and what was lost in it is sent again.
func TestRelayDies(t *testing.T) {
	for from := range 2 {
		for _, delay := range []time.Duration{5 * ms, 20 * ms, 75 * ms, 200 * ms} {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, &hop{delay: delay}, &hop{delay: delay + 3*ms})
				defer p.close()
				gap, lost := p.talk(from, 20*ms, 10*time.Second, 5*time.Second, func() { p.hops[0].dead.Store(true) })
				limit := max(patienceMin, 5*delay/2+patienceMore) + delay + 40*ms
				if gap > limit || lost > 16 {
					t.Errorf("end %d sends, %v to the other: gap of %v, at most %v; %d lost", from, delay, gap, limit, lost)
				}
				t.Logf("end %d sends, %v to the other: gap of %v, %d lost", from, delay, gap, lost)
				for end, r := range p.ends {
					if p.via(end) != 1 || len(r.silent) != 1 || r.silent[0] != 1 || len(r.wanted) != 0 {
						t.Errorf("end %d sends by way of %d, tells %v silent, wants %v", end, p.via(end), r.silent, r.wanted)
					}
				}
			})
		}
	}
}

// Without a second way the same death is no gap but the end: the test above sees.
func TestRelayDiesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, &hop{delay: 20 * ms})
		defer p.close()
		_, lost := p.talk(0, 20*ms, 10*time.Second, 5*time.Second, func() { p.hops[0].dead.Store(true) })
		if lost < 240 || len(p.ends[0].wanted) == 0 {
			t.Errorf("%d packets lost without a relay, wants %v", lost, p.ends[0].wanted)
		}
	})
}

// A relay that says goodbye and goes on for a moment costs nothing.
func TestRelayLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, &hop{delay: 20 * ms}, &hop{delay: 30 * ms})
		defer p.close()
		gap, lost := p.talk(0, 20*ms, 4*time.Second, 2*time.Second, func() {
			p.ends[0].Over(1, ident.Key{100, 0})
			time.AfterFunc(50*ms, func() { p.ends[1].Over(1, ident.Key{100, 0}) })
			time.AfterFunc(200*ms, func() { p.hops[0].dead.Store(true) })
		})
		if gap > 50*ms || lost > 0 {
			t.Errorf("gap of %v, %d lost", gap, lost)
		}
	})
}

// One direction of a relay that fails is a death as well: what is not answered is doubted.
func TestOneDirectionDies(t *testing.T) {
	for end := range 2 {
		synctest.Test(t, func(t *testing.T) {
			p := newPair(t, &hop{delay: 20 * ms}, &hop{delay: 20 * ms})
			defer p.close()
			gap, _ := p.talk(0, 20*ms, 6*time.Second, 2*time.Second, func() { p.hops[0].lost[end].Store(true) })
			if gap > time.Second {
				t.Errorf("what end %d sends is lost: gap of %v", end, gap)
			}
		})
	}
}

// Ends that speak on different ways find together, and probe little meanwhile.
func TestEndsFindTogether(t *testing.T) {
	for first := range 2 {
		synctest.Test(t, func(t *testing.T) {
			p := newPair(t, &hop{delay: 20 * ms}, &hop{delay: 20 * ms})
			defer p.close()
			r := p.ends[first]
			w := r.channels[2]
			w.to.use(w)
			p.talk(0, 20*ms, 10*time.Second, 0, nil)
			if p.via(0) != p.via(1) {
				t.Errorf("end 0 sends by way of %d, end 1 of %d", p.via(0), p.via(1))
			}
			for _, h := range p.hops {
				if n := h.n[0].Load() + h.n[1].Load(); n > 4+8 {
					t.Errorf("%d probes and echoes on a way that works", n)
				}
			}
		})
	}
}

// While a conversation is answered, ends in a burst that needs no answer, or is idle, there
// are no probes but the one of each end at the beginning of each way, and those by which
// the end that chooses compares ways when something is said.
func TestNoProbesWithoutDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, &hop{delay: 20 * ms}, &hop{delay: 20 * ms})
		defer p.close()
		for range 20 {
			p.talk(0, 300*ms, time.Second, 0, nil)
			for range 30 {
				p.ends[1].write(t, self, "ack")
			}
			time.Sleep(25 * time.Second)
		}
		for i, h := range p.hops {
			if h.n[0].Load() != 2+20 || h.n[1].Load() != 2+20 {
				t.Errorf("hop %d: %d and %d probes and echoes", i, h.n[0].Load(), h.n[1].Load())
			}
		}
		if n := p.ends[0].peers[bob].recent.n; n != 0 {
			t.Errorf("%d packets kept while idle", n)
		}
	})
}

// A relay that carries probes and drops everything else is left, and another one is wanted
// when there is none.
func TestRelayThatCarriesProbesOnly(t *testing.T) {
	for hops := 1; hops <= 2; hops++ {
		synctest.Test(t, func(t *testing.T) {
			bad := &hop{delay: 20 * ms}
			p := newPair(t, []*hop{bad, {delay: 30 * ms}}[:hops]...)
			defer p.close()
			_, lost := p.talk(0, 20*ms, 10*time.Second, 2*time.Second, func() {
				bad.drops.Store(true)
			})
			if wants := len(p.ends[0].wanted); hops == 1 && (wants < 1 || wants > 4) || hops == 2 && (lost > 75 || p.via(0) != 1) {
				t.Errorf("%d relays: %d packets lost, by way of %d, %d wishes", hops, lost, p.via(0), wants)
			}
		})
	}
}

// Who was forgotten is not looked for any more.
func TestForgottenIsNotWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hop{delay: 20 * ms}
		p := newPair(t, h)
		defer p.close()
		h.dead.Store(true)
		for range 50 {
			p.ends[0].write(t, bob, "anybody there?")
			time.Sleep(50 * ms)
		}
		synctest.Wait()
		wants := len(p.ends[0].wanted)
		p.ends[0].Forget(bob)
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(p.ends[0].wanted); wants == 0 || n != wants {
			t.Errorf("%d wishes before, %d after", wants, n)
		}
	})
}

// A relay can't answer a probe itself: neither by sending it back, nor as an echo, nor with
// an echo that it has seen before.
func TestForgedEcho(t *testing.T) {
	for name, forge := range map[string]func(packet, seen []byte) []byte{
		"sent back": func(packet, _ []byte) []byte { return packet },
		"turned round": func(packet, _ []byte) []byte {
			packet[HeaderSize] = kindEcho
			return packet
		},
		"seen before": func(_, seen []byte) []byte { return seen },
	} {
		synctest.Test(t, func(t *testing.T) {
			h := &hop{delay: 20 * ms}
			var seen []byte
			h.tap = func(from int, b []byte) []byte {
				if from == 1 && b[HeaderSize] == kindEcho {
					seen = append([]byte(nil), b...)
				}
				return b
			}
			p := newPair(t, h)
			defer p.close()
			if seen == nil {
				t.Fatal("no echo came by")
			}
			synctest.Wait()
			rtt := p.ends[0].channels[1].rtt
			h.tap = func(from int, b []byte) []byte {
				if from == 0 && isControl(b[HeaderSize:]) {
					x := NewBuffer()
					x.SetLen(copy(x.Space(), forge(append([]byte(nil), b...), seen)))
					time.AfterFunc(ms, func() { p.ends[0].Receive(x, h.addr); x.Free() })
				}
				return nil
			}
			for range 100 {
				p.ends[0].write(t, bob, "anybody there?")
				time.Sleep(50 * ms)
			}
			synctest.Wait()
			r := p.ends[0]
			if len(r.silent) == 0 || len(r.wanted) == 0 || r.Counters().BadProbe == 0 || r.channels[1].rtt != rtt {
				t.Errorf("%s: silent %v, wanted %v, %+v", name, r.silent, r.wanted, r.Counters())
			}
		})
	}
}

// What goes back to a relay is never more, nor larger, than what came.
func TestEchoIsNotLarger(t *testing.T) {
	r, peer := newRig(), newRig()
	defer r.Close()
	defer peer.Close()
	peer.self = bob
	peer.Conn.secret = secretOf(bob)
	r.Open(bob, Route{Channel: 7, Via: eve, Addr: relay1})
	peer.Open(self, Route{Channel: 7, Via: eve, Addr: relay1})
	r.probes = nil
	probe := peer.probes[0].b
	for n := range len(probe) + 1 {
		b := NewBuffer()
		b.SetLen(copy(b.Space(), probe[:n]))
		if !r.Receive(b, relay1) {
			b.Free()
		}
	}
	if len(r.sent) != 0 || len(r.probes) != 1 || len(r.probes[0].b) != len(probe) {
		t.Errorf("a probe of %d bytes is answered with %d packets, %v", len(probe), len(r.probes), r.probes)
	}
}
