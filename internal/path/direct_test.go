package path

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ada420b6/overlay/internal/ident"
)

// punchable tells which pairs of NATs can be punched without guessing ports, by what RFC
// 4787 says of them and nothing of how it is done here.
//
// Of a mapping that depends on nothing the other end knows the port. Of any other it
// learns it from a packet that reaches it: through a filter that does not look at ports,
// where its own mapping is known; and where neither is, through one that looks at nothing,
// and back through one that does not look at ports, while at least one of the two ports
// stays the same for one host.
func punchable(a, b *nat) bool {
	switch {
	case a.mapping == endpointIndependent && b.mapping == endpointIndependent:
		return true
	case a.mapping == endpointIndependent:
		return a.filtering != portDependent
	case b.mapping == endpointIndependent:
		return b.filtering != portDependent
	case a.mapping == portDependent && b.mapping == portDependent:
		return false
	}
	open := a.filtering == endpointIndependent || b.filtering == endpointIndependent
	return open && a.filtering != portDependent && b.filtering != portDependent
}

// Every pair of NATs of RFC 4787 that can be punched is direct within two seconds, every
// other pair is relayed, and what is sent arrives.
func TestPairsOfNATs(t *testing.T) {
	var table strings.Builder
	count := 0
	for i := range 81 {
		kind := func(n int) (m, f dependence) { return dependence(n / 3), dependence(n % 3) }
		m0, f0 := kind(i / 9)
		m1, f1 := kind(i % 9)
		behind := [2][]*nat{{newNAT("12.1.0.1", m0, f0)}, {newNAT("12.2.0.1", m1, f1)}}
		inCountry(t, behind, func(t *testing.T, x *country) {
			took, ok := x.direct(2 * time.Second)
			if want := punchable(behind[0][0], behind[1][0]); ok != want {
				t.Errorf("mapping %v, filter %v, to mapping %v, filter %v: direct is %v, should be %v", m0, f0, m1, f1, ok, want)
			}
			if ok {
				count++
			}
			fmt.Fprintf(&table, "%-21v %-21v %-21v %-21v %v %v\n", m0, f0, m1, f1, ok, took)
			for end := range 2 {
				if !x.asks(end) {
					t.Errorf("mapping %v, filter %v, to mapping %v, filter %v: nothing arrives from end %d", m0, f0, m1, f1, end)
				}
			}
			<-time.After(10 * time.Second) // the second attempt
			for end := range 2 {
				for at, n := range x.unanswered(end) {
					if n > maxUnproven {
						t.Errorf("%d packets to %v, which has proven nothing", n, at)
					}
				}
			}
		})
	}
	t.Logf("%d of 81 direct\n%s", count, table.String())
}

// unanswered returns what an end has sent to addresses that have proven nothing.
func (x *country) unanswered(end int) map[netip.AddrPort]int {
	u := &x.ends[end].unproven
	u.mu.Lock()
	defer u.mu.Unlock()
	m := make(map[netip.AddrPort]int)
	for at, c := range u.sent {
		m[at] = int(c.n)
	}
	return m
}

// home is the usual NAT: it keeps the port, and lets in who was written to.
func home(public string) *nat { return newNAT(public, endpointIndependent, portDependent) }

func TestSpecialPairs(t *testing.T) {
	carrier := func(public string) *nat { return newNAT(public, endpointIndependent, endpointIndependent) }
	for name, behind := range map[string][2][]*nat{
		"no NAT":            {},
		"one NAT":           {{home("12.1.0.9")}},
		"double NAT":        {{home("10.0.0.9"), carrier("12.1.0.9")}, {home("12.2.0.9")}},
		"double NAT, twice": {{home("10.0.0.9"), home("12.1.0.9")}, {home("10.0.0.9"), home("12.2.0.9")}},
	} {
		t.Run(name, func(t *testing.T) {
			inCountry(t, behind, func(t *testing.T, x *country) {
				took, ok := x.direct(2 * time.Second)
				if t.Logf("direct after %v", took); !ok || !x.asks(0) || !x.asks(1) {
					t.Errorf("direct is %v after %v", ok, took)
				}
			})
		})
	}
}

// Two hosts in one LAN, and two nodes on one host, use the way between them, though
// their NAT does not send back what is for itself.
func TestShortWay(t *testing.T) {
	shared := home("12.1.0.9")
	for _, second := range []string{"192.168.1.3:4040", "192.168.1.2:4041"} {
		synctest.Test(t, func(t *testing.T) {
			x := newCountry(t, [2][]*nat{{shared}, {shared}})
			x.hosts[1] = netip.MustParseAddrPort(second)
			x.start()
			defer x.close()
			if took, ok := x.direct(2 * time.Second); !ok {
				t.Errorf("%s is not direct after %v", second, took)
			}
			synctest.Wait()
			for end, r := range x.ends {
				if at := *r.peers[x.keys[1-end]].inUse().addr.Load(); at != x.hosts[1-end] {
					t.Errorf("end %d writes to %v", end, at)
				}
			}
		})
	}
}

// A direct way is kept open through NATs that forget a binding after 30 s, for as long as
// the conversation stands, and costs a packet each way in 10 s.
func TestDirectWayIsKept(t *testing.T) {
	a, b := home("12.1.0.9"), home("12.2.0.9")
	a.forgets, b.forgets = 30*time.Second, 30*time.Second
	inCountry(t, [2][]*nat{{a}, {b}}, func(t *testing.T, x *country) {
		if _, ok := x.direct(2 * time.Second); !ok {
			t.Fatal("not direct")
		}
		before := x.sum()
		<-time.After(10 * time.Minute)
		if n := x.sum() - before; n > 2*60+2 {
			t.Errorf("%d packets in ten idle minutes", n)
		}
		before = x.viaRelays()
		if !x.asks(0) || !x.asks(1) || x.viaRelays() != before {
			t.Errorf("after ten idle minutes: direct is %v and %v", x.ends[0].Direct(bob), x.ends[1].Direct(self))
		}
	})
}

// sum returns the packets that went over the internet, to the ends.
func (x *country) sum() (n int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, k := range x.received {
		n += k
	}
	return n
}

func (x *country) viaRelays() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.received[x.relays[0]] + x.received[x.relays[1]]
}

// voice sends a packet every 20 ms from an end, which is answered, until d has passed; then
// is called after at. It returns the longest silence at the other end.
func (x *country) voice(from int, d, at time.Duration, then func()) (gap time.Duration) {
	p := &pair{t: x.t, ends: x.ends, keys: x.keys}
	gap, _ = p.talk(from, 20*ms, d, at, then)
	return gap
}

// Whatever happens to a direct way under traffic is a gap of less than a second, and the
// way is found again when it can be.
func TestDirectWayDies(t *testing.T) {
	for from := range 2 {
		a, b := home("12.1.0.9"), home("12.2.0.9")
		inCountry(t, [2][]*nat{{a}, {b}}, func(t *testing.T, x *country) {
			if _, ok := x.direct(2 * time.Second); !ok {
				t.Fatal("not direct")
			}
			gap := x.voice(from, 8*time.Second, 2*time.Second, func() { x.mu.Lock(); x.broken = true; x.mu.Unlock() })
			if gap > time.Second || x.ends[0].Direct(bob) || x.ends[1].Direct(self) {
				t.Errorf("end %d speaks: gap of %v when the direct way dies", from, gap)
			}
			t.Logf("end %d speaks: gap of %v", from, gap)
			x.mu.Lock()
			x.broken = false
			x.mu.Unlock()
			if took, ok := x.direct(2 * renewMax); !ok {
				t.Errorf("not direct again after %v", took)
			}
			if gap := x.voice(from, 8*time.Second, 0, nil); gap > 100*ms {
				t.Errorf("end %d speaks: gap of %v on the direct way", from, gap)
			}
		})
	}
}

// Moving to the direct way, in the middle of a conversation, is no gap.
func TestMovingUpIsNoGap(t *testing.T) {
	for from := range 2 {
		synctest.Test(t, func(t *testing.T) {
			x := newCountry(t, [2][]*nat{{home("12.1.0.9")}, {home("12.2.0.9")}})
			x.start()
			defer x.close()
			gap := x.voice(from, 3*time.Second, 0, nil)
			if gap > 80*ms || !x.ends[0].Direct(bob) || !x.ends[1].Direct(self) {
				t.Errorf("end %d speaks: gap of %v, direct is %v", from, gap, x.ends[0].Direct(bob))
			}
		})
	}
}

// A NAT that reboots and gets another address breaks all ways. When the sessions have
// found back to their relays, a direct way is found as well.
func TestNATReboots(t *testing.T) {
	for end := range 2 {
		behind := [2][]*nat{{home("12.1.0.9")}, {home("12.2.0.9")}}
		inCountry(t, behind, func(t *testing.T, x *country) {
			if _, ok := x.direct(2 * time.Second); !ok {
				t.Fatal("not direct")
			}
			gap := x.voice(0, 10*time.Second, 2*time.Second, func() {
				x.mu.Lock()
				behind[end][0].reboot(netip.AddrFrom4([4]byte{12, 7, 0, 9}))
				x.mu.Unlock()
				time.AfterFunc(2*time.Second, func() { x.attach(0); x.attach(1) })
			})
			if gap > 3*time.Second {
				t.Errorf("gap of %v", gap)
			}
			if took, ok := x.direct(5 * time.Second); !ok {
				t.Errorf("not direct again after %v", took)
			}
		})
	}
}

// When the direct way and all relays die at once, as when a NAT gets another address, an end
// that says little, ever more rarely, asks for another way soon; and one that only listens
// finds out and tells that its channels are silent, so that its sessions are looked after.
func TestAllWaysDie(t *testing.T) {
	for i := range 20 {
		end := i % 2
		inCountry(t, [2][]*nat{{home("12.1.0.9")}, {home("12.2.0.9")}}, func(t *testing.T, x *country) {
			if _, ok := x.direct(2 * time.Second); !ok {
				t.Fatal("not direct")
			}
			x.asks(end)
			x.asks(1 - end)
			x.mu.Lock()
			x.broken, x.dead = true, [2]bool{true, true}
			x.mu.Unlock()
			begun := time.Now()
			for pause := 100 * ms; time.Since(begun) < 6*time.Second; pause *= 2 {
				x.ends[end].write(t, x.keys[1-end], "@ping")
				<-time.After(pause)
				x.endSilent(end)
			}
			<-time.After(10 * time.Second)
			synctest.Wait()
			speaker, listener := x.ends[end], x.ends[1-end]
			if len(speaker.wanted) == 0 || len(speaker.silent) < 2 {
				t.Errorf("end %d speaks: %d wishes, silent %v", end, len(speaker.wanted), speaker.silent)
			}
			if len(listener.silent) < 2 {
				t.Errorf("end %d listens: silent %v", 1-end, listener.silent)
			}
		})
	}
}

// endSilent ends the channels that an end has told are silent, as the core does.
func (x *country) endSilent(end int) {
	r := x.ends[end]
	r.mu.Lock()
	silent := slices.Clone(r.silent)
	r.mu.Unlock()
	for _, channel := range silent {
		r.Over(channel, ident.Key{100, byte(channel - 1)})
	}
}

// An end that takes the direct way for dead, which it is not, finds back to it, since the
// other one keeps it open.
func TestDeadWayComesBack(t *testing.T) {
	for end := range 2 {
		inCountry(t, [2][]*nat{{home("12.1.0.9")}, {home("12.2.0.9")}}, func(t *testing.T, x *country) {
			if _, ok := x.direct(2 * time.Second); !ok {
				t.Fatal("not direct")
			}
			p := x.ends[end].peers[x.keys[1-end]]
			p.mu.Lock()
			p.direct.dead = true
			p.use(p.best(p.direct))
			p.mu.Unlock()
			if took, ok := x.direct(2 * keepEvery); !ok {
				t.Errorf("end %d does not come back in %v", end, took)
			}
		})
	}
}

// What is lost of the first attempt, all of it, the second one makes good, with the one
// packet that each end has left.
func TestSecondAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newCountry(t, [2][]*nat{{home("12.1.0.9")}, {home("12.2.0.9")}})
		x.broken = true
		x.start()
		defer x.close()
		if _, ok := x.direct(1500 * ms); ok {
			t.Fatal("direct through nothing")
		}
		x.mu.Lock()
		x.broken = false
		x.mu.Unlock()
		if took, ok := x.direct(5 * time.Second); !ok {
			t.Errorf("not direct after %v more", took)
		}
	})
}

// Addresses are told to whom QUIC has proven, and by whom the owner lets tell them.
func TestAddressesAreNotTold(t *testing.T) {
	for _, quiet := range []string{"a stranger", "relayed only, who leads", "relayed only, who follows"} {
		synctest.Test(t, func(t *testing.T) {
			x := newCountry(t, [2][]*nat{{home("12.1.0.9")}, {home("12.2.0.9")}})
			told := 0
			x.tap = func(_, _ netip.AddrPort, packet []byte) {
				if isOffer(packet[HeaderSize:]) || isPunch(packet[HeaderSize:]) {
					told++
				}
			}
			switch {
			case quiet == "a stranger":
				x.unknown = true
			case strings.HasSuffix(quiet, "leads"):
				x.relayed[1] = true
			default:
				x.relayed[0] = true
			}
			x.start()
			defer x.close()
			<-time.After(20 * time.Second)
			synctest.Wait()
			most := 0
			if strings.HasSuffix(quiet, "follows") {
				most = 2 * offerTries * 2 // offers, which say where the other end is, and each is relayed
			}
			if told > most || x.ends[0].Direct(bob) || x.ends[1].Direct(self) || !x.asks(0) || !x.asks(1) {
				t.Errorf("%s: %d packets that tell of addresses", quiet, told)
			}
		})
	}
}

// Who is forgotten, or whose relays are all gone, leaves nothing behind.
func TestDirectIsForgotten(t *testing.T) {
	inCountry(t, [2][]*nat{{home("12.1.0.9")}, {home("12.2.0.9")}}, func(t *testing.T, x *country) {
		if _, ok := x.direct(2 * time.Second); !ok {
			t.Fatal("not direct")
		}
		r := x.ends[0]
		r.Lost(bob, 0)
		if !r.Direct(bob) {
			t.Error("a direct way was given up because no relay can be had")
		}
		r.Forget(bob)
		if len(r.peers)+len(r.channels)+len(r.attempts.by) != 0 {
			t.Errorf("%d peers, %d channels, %d attempts", len(r.peers), len(r.channels), len(r.attempts.by))
		}
		before := x.sum()
		<-time.After(time.Minute)
		if n := x.sum() - before; n > 100 { // the other end has not been told: eight attempts, and their questions
			t.Errorf("%d packets to whom was forgotten", n)
		}
	})
}
