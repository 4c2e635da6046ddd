package path

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// happening is what befalls the ways of a conversation at some moment.
type happening struct {
	after time.Duration
	what  int // the direct way is cut or mended, a relay falls silent or comes back
	relay int
}

// Whatever happens to the direct way and to one relay at a time, behind whatever NATs: no
// gap is longer than a second, and an address that has not answered gets three packets a
// minute. When all is well again, the way is direct if it can be.
func TestAnyHistory(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		kind := func(name string) (m, f dependence) {
			n := rapid.IntRange(0, 8).Draw(rt, name)
			return dependence(n / 3), dependence(n % 3)
		}
		m0, f0 := kind("first NAT")
		m1, f1 := kind("second NAT")
		from := rapid.IntRange(0, 1).Draw(rt, "speaker")
		history := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) happening {
			return happening{
				after: time.Duration(rapid.IntRange(0, 12000).Draw(t, "ms")) * ms,
				what:  rapid.IntRange(0, 1).Draw(t, "what"), relay: rapid.IntRange(0, 1).Draw(t, "relay"),
			}
		}), 0, 10).Draw(rt, "history")
		synctest.Test(t, func(t *testing.T) {
			behind := [2][]*nat{{newNAT("12.1.0.1", m0, f0)}, {newNAT("12.2.0.1", m1, f1)}}
			x := newCountry(t, behind)
			counts := x.countPunches()
			x.start()
			defer x.close()
			length := 3 * time.Second
			for _, h := range history {
				length += h.after
			}
			go x.live(history)
			if gap := x.voice(from, length, 0, nil); gap > time.Second {
				rt.Errorf("gap of %v", gap)
			}
			if most := counts(); most > maxUnproven {
				rt.Errorf("%d packets in a minute to an address that has not answered", most)
			}
			x.mu.Lock()
			x.broken, x.dead = false, [2]bool{}
			x.mu.Unlock()
			x.attach(0) // as the core has it when a relay does not answer
			x.attach(1)
			if took, ok := x.direct(3 * renewMax); ok != punchable(behind[0][0], behind[1][0]) {
				rt.Errorf("direct is %v after %v", ok, took)
			}
		})
	})
}

// live lets a history happen. One relay at least is always there.
func (x *country) live(history []happening) {
	<-time.After(time.Second)
	for _, h := range history {
		<-time.After(h.after)
		x.mu.Lock()
		if h.what == 0 {
			x.broken = !x.broken
		} else {
			x.dead = [2]bool{h.relay == 0 && !x.dead[0], h.relay == 1 && !x.dead[1]}
		}
		x.mu.Unlock()
	}
}

// countPunches watches the internet and returns the most punches that went from one NAT to
// one address within a minute without anything having come from there.
func (x *country) countPunches() func() int {
	type pair struct {
		from netip.Addr
		to   netip.AddrPort
	}
	sent, most := make(map[pair][]time.Time), 0
	x.tap = func(from, to netip.AddrPort, packet []byte) {
		if !isPunch(packet[HeaderSize:]) {
			return
		}
		delete(sent, pair{to.Addr(), from}) // whoever is written to may have answered now
		if packet[HeaderSize] != kindPunch {
			return
		}
		key, now := pair{from.Addr(), to}, time.Now()
		sent[key] = append(sent[key], now)
		n := 0
		for _, at := range sent[key] {
			if now.Sub(at) < unprovenFor {
				n++
			}
		}
		most = max(most, n)
	}
	return func() int {
		x.mu.Lock()
		defer x.mu.Unlock()
		return most
	}
}
