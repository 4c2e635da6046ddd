package path

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ada420b6/overlay/internal/ident"
)

var (
	victim  = netip.MustParseAddrPort("12.66.0.1:53")
	nowhere = netip.MustParseAddrPort("12.67.0.1:4040")
)

// hostile is a node that others have proven and that does with its keys what it likes. It
// sends through its relays only.
type hostile struct {
	*rig
	key  ident.Key
	to   *rig
	via  netip.AddrPort
	here uint64 // the channel of both
}

// newHostile returns a node and a hostile peer of it with a channel.
func newHostile(to *rig, key ident.Key, channel uint64) *hostile {
	h := &hostile{rig: &rig{}, key: key, to: to, via: relay1, here: channel}
	h.Conn = New(Config{
		Self: key, Send: h.send, Wanted: h.want, Silent: h.fallSilent, Secret: secretOf(key),
		Local: func() []netip.AddrPort { return nil },
	})
	to.Open(key, Route{Channel: channel, Via: eve, Addr: relay1})
	h.Open(self, Route{Channel: channel, Via: eve, Addr: relay1})
	to.Proven(key)
	return h
}

// says has the node receive a payload from an address.
func (h *hostile) says(channel uint64, payload []byte, from netip.AddrPort) {
	b := NewBuffer()
	b.pack(channel, payload)
	if !h.to.Receive(b, from) {
		b.Free()
	}
}

// offers names addresses, or answers with them.
func (h *hostile) offers(kind byte, channel uint64, at ...netip.AddrPort) {
	h.says(h.here, appendOffer(h.macKey(h.peers[self]), h.key, kind, channel, at), h.via)
}

// punches sends a punch from an address, true or forged.
func (h *hostile) punches(kind byte, channel, token, echo uint64, from netip.AddrPort) {
	p := make([]byte, punchSize)
	p[0] = kind
	binary.BigEndian.PutUint64(p[1:], token)
	binary.BigEndian.PutUint64(p[9:], echo)
	copy(p[17:], h.macKey(h.peers[self]).sumPunch(h.key, channel, p[:17]))
	h.says(channel, p, from)
}

// got returns how many packets went to an address, and the largest of them.
func (r *rig) got(at netip.AddrPort) (n, largest int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, x := range slices.Concat(r.sent, r.probes) {
		if x.to == at {
			n++
			largest = max(largest, len(x.b))
		}
	}
	return n, largest
}

// follower is a key below self's: that end is offered to.
var follower = ident.Key{0, 1}

// Whoever is named as a candidate, by however many peers and however often, and whatever
// else they do, gets three small packets.
func TestVictimIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		defer r.Close()
		r.own = func() []netip.AddrPort { return []netip.AddrPort{nowhere} }
		for i := range 5 {
			h := newHostile(r, ident.Key{10, byte(i)}, uint64(100+i))
			for k := range 10 {
				channel := uint64(1000*i + k + 1)
				h.offers(kindOffer, channel, victim)
				<-time.After(answerEvery)
				synctest.Wait()
				for range 20 { // from the victim's address, without having seen what was sent there
					h.punches(kindPunch, channel, 7, 7, victim)
					h.punches(kindProven, channel, 7, 8, victim)
				}
			}
			h.Close()
		}
		n, largest := r.got(victim)
		if n == 0 || n > maxUnproven || largest > HeaderSize+punchSize {
			t.Errorf("%d packets of up to %d bytes to a victim", n, largest)
		}
	})
}

// The same by a node that is offered to, and answers with a victim's address, again and
// again.
func TestVictimAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		defer r.Close()
		r.own = func() []netip.AddrPort { return nil }
		h := newHostile(r, follower, 100)
		defer h.Close()
		for range 40 {
			h.pass(t)
			if channel := r.offering(follower); channel != 0 {
				h.offers(kindAnswer, channel, victim, netip.AddrPortFrom(victim.Addr(), 54))
				h.punches(kindPunch, channel, 7, 9, victim)
			}
			<-time.After(250 * ms)
			synctest.Wait()
		}
		if n, _ := r.got(victim); n == 0 || n > maxUnproven {
			t.Errorf("%d packets to a victim", n)
		}
		if r.Direct(follower) {
			t.Error("a victim's address is used")
		}
	})
}

// Relays that tell an end a false address of its own have three packets sent there, and
// keep it from nothing that it can do without them.
func TestRelaysLie(t *testing.T) {
	for _, open := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			behind := [2][]*nat{{home("12.1.0.9")}, {home("12.2.0.9")}}
			if open {
				behind = [2][]*nat{{home("12.1.0.9")}, nil}
			}
			x := newCountry(t, behind)
			x.lie = victim
			x.start()
			defer x.close()
			if took, ok := x.direct(10 * time.Second); ok != open || !x.asks(0) || !x.asks(1) {
				t.Errorf("direct is %v after %v", ok, took)
			}
			synctest.Wait()
			x.mu.Lock()
			defer x.mu.Unlock()
			if n := x.received[victim]; n == 0 || n > 2*maxUnproven {
				t.Errorf("%d packets to a victim from two ends", n)
			}
		})
	}
}

// offering returns the number of the direct way that is sought, 0 when none is.
func (r *rig) offering(key ident.Key) uint64 {
	p := r.peers[key]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.attempt == nil {
		return 0
	}
	return p.attempt.channel
}

// A punch or an offer that the peer has not made causes nothing, also from somebody who
// knows the number of the way, as one on the path does.
func TestForgedPunch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		defer r.Close()
		r.own = func() []netip.AddrPort { return nil }
		h := newHostile(r, ident.Key{10}, 100)
		defer h.Close()
		h.offers(kindOffer, 7, nowhere)
		<-time.After(answerEvery)
		synctest.Wait()
		other := newHostile(newRig(), ident.Key{10}, 100) // of another node: another secret
		defer other.Close()
		defer other.to.Close()
		other.to, other.Conn.secret, other.peers[self].macs = r, secretOf(ident.Key{11}), nil
		before := r.Counters()
		for i := range 10 {
			other.punches(kindPunch, 7, 1, 1, victim)
			other.punches(kindPunch, 7, 1, 1, nowhere)
			other.offers(kindOffer, uint64(20+i), victim)
			<-time.After(answerEvery)
			synctest.Wait()
		}
		n, _ := r.got(victim)
		c := r.Counters() // the attempt ends meanwhile
		if bad, unknown := c.BadProbe-before.BadProbe, c.UnknownChannel-before.UnknownChannel; n != 0 || bad < 12 || bad+unknown != 30 {
			t.Errorf("%d packets to a victim, %d bad and %d on no channel of 30", n, bad, unknown)
		}
	})
}

// pass answers the probes of the node that are on the channel.
func (h *hostile) pass(t *testing.T) {
	t.Helper()
	h.to.mu.Lock()
	probes := h.to.probes
	h.to.probes = nil
	h.to.mu.Unlock()
	for _, x := range probes {
		if x.to == h.via {
			b := NewBuffer()
			b.SetLen(copy(b.Space(), x.b))
			if !h.Receive(b, h.via) {
				b.Free()
			}
		} else {
			h.to.mu.Lock()
			h.to.sent = append(h.to.sent, x)
			h.to.mu.Unlock()
		}
	}
	h.mu.Lock()
	echoes := h.probes
	h.probes = nil
	h.mu.Unlock()
	for _, x := range echoes {
		b := NewBuffer()
		b.SetLen(copy(b.Space(), x.b))
		if !h.to.Receive(b, h.via) {
			b.Free()
		}
	}
}

// A stranger who writes from wherever it likes gets nothing back, and moves nothing:
// neither with a channel that it guesses, nor with one that it has seen.
func TestStrangerWrites(t *testing.T) {
	behind := [2][]*nat{{home("12.1.0.9")}, {home("12.2.0.9")}}
	inCountry(t, behind, func(t *testing.T, x *country) {
		var seen [][]byte
		x.tap = func(_, to netip.AddrPort, packet []byte) {
			if to.Addr() == behind[0][0].public && to.Port() != 0 {
				seen = append(seen, packet)
			}
		}
		if _, ok := x.direct(2 * time.Second); !ok {
			t.Fatal("not direct")
		}
		x.asks(1)
		synctest.Wait()
		x.mu.Lock()
		x.tap = nil
		recorded := slices.Clone(seen)
		x.mu.Unlock()
		r := x.ends[0]
		before, at := x.sum(), *r.peers[bob].direct.addr.Load()
		for _, packet := range recorded {
			for change := range 2 {
				b := NewBuffer()
				b.SetLen(copy(b.Space(), packet))
				if change == 1 { // of the mac, or of QUIC's own
					b.Bytes()[len(packet)-1] ^= 1
				}
				if r.Receive(b, victim) {
					t.Errorf("a packet from elsewhere is taken: %x", packet)
				}
			}
			guess := NewBuffer()
			guess.SetLen(copy(guess.Space(), packet))
			guess.Bytes()[3] ^= 1
			if r.Receive(guess, at) {
				t.Errorf("a packet on no channel is taken: %x", packet)
			}
		}
		<-time.After(ms)
		synctest.Wait()
		// A punch that was recorded says that the peer is at a new address, which may be: it
		// is told there what the peer must know.
		if n := x.sum() - before; n > maxUnproven {
			t.Errorf("%d packets in answer to %d of a stranger", n, 3*len(recorded))
		}
		if now := *r.peers[bob].direct.addr.Load(); now != at || !x.asks(0) || !x.asks(1) || !r.Direct(bob) {
			t.Errorf("a stranger has moved %v to %v", at, now)
		}
	})
}

// Addresses that are nobody's, everybody's or this machine's own are not tried.
func TestSenselessAddresses(t *testing.T) {
	for _, s := range []string{
		"0.0.0.0:1", "255.255.255.255:1", "224.0.0.1:1", "127.0.0.1:4040", "169.254.1.1:1", "12.1.0.1:0",
		"[::]:1", "[ff02::1]:1", "[::1]:1", "[fe80::1]:1", "[::ffff:12.1.0.1]:1",
	} {
		if at := netip.MustParseAddrPort(s); usable(at, false) {
			t.Errorf("%v is tried", at)
		}
	}
	for _, s := range []string{"12.1.0.1:4040", "192.168.1.2:4040", "[2001:db8::1]:4040"} {
		if !usable(netip.MustParseAddrPort(s), false) {
			t.Errorf("%s is not tried", s)
		}
	}
	if !usable(netip.MustParseAddrPort("127.0.0.1:4040"), true) {
		t.Error("the loopback is not tried where the relay is there, too")
	}
	a := &attempt{}
	for i := range 100 {
		a.add(netip.AddrPortFrom(netip.AddrFrom4([4]byte{12, 1, 0, byte(i / 10)}), uint16(i+1)), false)
	}
	if len(a.trials) != maxTrials || a.trials[maxPerHost-1].at.Addr() == a.trials[maxPerHost].at.Addr() {
		t.Errorf("%d addresses are tried: %v", len(a.trials), a.trials)
	}
}

// However many addresses peers name, what goes to those that prove nothing is bounded.
func TestUnprovenIsBounded(t *testing.T) {
	var u unproven
	sent := 0
	at := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{12, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
	}
	by := func(i int) ident.Key { return ident.Key{byte(i)} }
	now := time.Second
	for i := range 10 * maxUnprovenAddresses {
		for range 2 * maxUnproven {
			if u.take(at(i), by(i), now) {
				sent++
			}
		}
	}
	if sent != maxUnproven*maxUnprovenAddresses || len(u.sent) != maxUnprovenAddresses {
		t.Errorf("%d packets to %d addresses", sent, len(u.sent))
	}
	now += unprovenFor
	if u.left(at(1<<20), by(1), now) != maxUnproven {
		t.Error("what was tried a minute ago keeps everybody from being tried")
	}
	if !u.take(at(1<<20), by(1), now) || len(u.sent) != 1 {
		t.Errorf("%d addresses are kept after a minute", len(u.sent))
	}
	u.take(at(1<<20), by(1), now)
	if u.proven(at(1 << 20)); u.left(at(1<<20), by(1), now) != maxUnproven {
		t.Error("an address that is proven is counted")
	}
}

// No minute sees more than three packets to an address, wherever it begins.
func TestUnprovenInAnyMinute(t *testing.T) {
	var u unproven
	for _, x := range []struct {
		at   time.Duration
		want bool
	}{{1, true}, {59, true}, {59, true}, {59, false}, {61, false}, {118, false}, {119, true}} {
		if u.take(victim, follower, x.at*time.Second) != x.want {
			t.Errorf("after %d s another packet is not %v", x.at, x.want)
		}
	}
}

// One peer that names ever others does not keep the others from being tried.
func TestOnePeerNamesMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		defer r.Close()
		r.own = func() []netip.AddrPort { return []netip.AddrPort{nowhere} }
		h := newHostile(r, ident.Key{10}, 100)
		defer h.Close()
		named := 0
		for k := range 100 {
			var at []netip.AddrPort
			for range maxCandidates {
				named++
				at = append(at, netip.AddrPortFrom(netip.AddrFrom4([4]byte{12, 1, byte(named >> 8), byte(named)}), 53))
			}
			h.offers(kindOffer, uint64(1000+k), at...)
			<-time.After(answerEvery)
			synctest.Wait()
		}
		r.unproven.mu.Lock()
		defer r.unproven.mu.Unlock()
		if n := len(r.unproven.sent); n == 0 || n > maxUnprovenOfPeer {
			t.Errorf("%d of %d addresses that one peer names are tried", n, named)
		}
	})
}

// An offer that is repeated without end is answered now and then: each answer takes a look
// at the machine's interfaces.
func TestRepeatedOffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		defer r.Close()
		looks := 0
		r.own = func() []netip.AddrPort { looks++; return nil }
		h := newHostile(r, ident.Key{10}, 100)
		defer h.Close()
		for range 1000 {
			h.offers(kindOffer, 7, nowhere)
			<-time.After(ms)
			synctest.Wait()
		}
		if looks == 0 || looks > 2*int(time.Second/repeatEvery) {
			t.Errorf("%d looks at the interfaces for 1000 offers in a second", looks)
		}
	})
}

// A relay that opens channels without end, with the peer's help, has neither the other relays
// asked for each, nor an attempt made.
func TestOpenedWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		defer r.Close()
		looks := 0
		r.own = func() []netip.AddrPort { looks++; return nil }
		h := newHostile(r, follower, 100)
		defer h.Close()
		r.Open(follower, Route{Channel: 77, Via: bob, Addr: relay2})
		before, _ := r.got(relay2)
		for range 1000 {
			r.Open(follower, Route{Channel: 100, Via: eve, Addr: relay1})
			h.pass(t)
			<-time.After(ms)
			synctest.Wait()
		}
		if n, _ := r.got(relay2); n-before > 20 {
			t.Errorf("%d packets to a relay in a second for channels of another one", n-before)
		}
		if looks == 0 || looks > 2*int(time.Second/answerEvery)*(1+offerTries) {
			t.Errorf("%d looks at the interfaces for 1000 channels in a second", looks)
		}
	})
}

// A way that carries probes and nothing else is left, once.
func TestDirectWayThatCarriesProbesOnly(t *testing.T) {
	for from := range 2 {
		inCountry(t, [2][]*nat{{home("12.1.0.9")}, {home("12.2.0.9")}}, func(t *testing.T, x *country) {
			if _, ok := x.direct(2 * time.Second); !ok {
				t.Fatal("not direct")
			}
			x.voice(from, 10*time.Second, time.Second, func() { x.mu.Lock(); x.narrow = true; x.mu.Unlock() })
			gap := x.voice(from, 2*time.Minute, 0, nil)
			if gap > 100*ms || x.ends[0].Direct(bob) || x.ends[1].Direct(self) {
				t.Errorf("end %d speaks: gap of %v later, direct is %v", from, gap, x.ends[from].Direct(x.keys[1-from]))
			}
		})
	}
}

func FuzzNamed(f *testing.F) {
	f.Add(appendNamed(nil, 1, nil))
	f.Add(appendNamed(nil, 7, []netip.AddrPort{victim, netip.MustParseAddrPort("[2001:db8::1]:4040")}))
	f.Add(appendNamed(nil, 7, []netip.AddrPort{netip.MustParseAddrPort("[::ffff:1.2.3.4]:1")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 9 {
			return
		}
		channel, at, ok := parseNamed(b)
		if !ok {
			return
		}
		if len(at) > maxCandidates || string(appendNamed(nil, channel, at)) != string(b) {
			t.Errorf("%x is read as %d, %v", b, channel, at)
		}
	})
}
