package path

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/stream"
)

// dependence is what a NAT's mapping, or its filter, looks at of the other end: RFC 4787.
type dependence int

const (
	endpointIndependent dependence = iota
	addressDependent
	portDependent
)

var dependences = [...]string{"endpoint-independent", "address-dependent", "port-dependent"}

func (d dependence) String() string { return dependences[d] }

// of returns what is looked at of an address.
func (d dependence) of(at netip.AddrPort) netip.AddrPort {
	switch d {
	case endpointIndependent:
		return netip.AddrPort{}
	case addressDependent:
		return netip.AddrPortFrom(at.Addr(), 0)
	}
	return at
}

// nat is a NAT by the book.
type nat struct {
	public             netip.Addr
	mapping, filtering dependence
	forgets            time.Duration // a binding that nothing goes out on; 0 is never
	out                map[[2]netip.AddrPort]*binding
	in                 map[uint16]*binding
	port               uint16
}

type binding struct {
	inside  netip.AddrPort
	port    uint16
	written map[netip.AddrPort]bool // by the filter's dependence
	last    time.Time
}

func (n *nat) dead(b *binding) bool { return n.forgets > 0 && time.Since(b.last) >= n.forgets }

// outward returns the source that a packet has outside.
func (n *nat) outward(from, to netip.AddrPort) netip.AddrPort {
	key := [2]netip.AddrPort{from, n.mapping.of(to)}
	b := n.out[key]
	if b == nil || n.dead(b) {
		n.port++
		b = &binding{inside: from, port: 30000 + n.port, written: make(map[netip.AddrPort]bool)}
		n.out[key], n.in[b.port] = b, b
	}
	b.written[n.filtering.of(to)], b.last = true, time.Now()
	return netip.AddrPortFrom(n.public, b.port)
}

// inward returns whom a packet from outside is for.
func (n *nat) inward(from netip.AddrPort, port uint16) (to netip.AddrPort, ok bool) {
	b := n.in[port]
	if b == nil || n.dead(b) || !b.written[n.filtering.of(from)] {
		return to, false
	}
	return b.inside, true
}

// reboot forgets all, and may change the address.
func (n *nat) reboot(public netip.Addr) {
	n.public, n.out, n.in = public, make(map[[2]netip.AddrPort]*binding), make(map[uint16]*binding)
}

// country is two hosts behind NATs and two relays on the internet.
type country struct {
	t        *testing.T
	delay    time.Duration
	ends     [2]*rig
	keys     [2]ident.Key
	hosts    [2]netip.AddrPort
	behind   [2][]*nat // from the host outwards
	relays   [2]netip.AddrPort
	mu       sync.Mutex
	seen     [2][2]netip.AddrPort // by relay: where its ends' sessions are
	broken   bool                 // nothing goes but by a relay
	dead     [2]bool              // relays that forward nothing
	lie      netip.AddrPort       // where relays say that their ends are
	relayed  [2]bool              // these ends tell no addresses
	unknown  bool                 // QUIC has proven nobody
	narrow   bool                 // nothing but probes does
	received map[netip.AddrPort]int
	tap      func(from, to netip.AddrPort, packet []byte)
}

// newNAT returns a NAT of the given kind at an address of its own.
func newNAT(public string, mapping, filtering dependence) *nat {
	n := &nat{mapping: mapping, filtering: filtering}
	n.reboot(netip.MustParseAddr(public))
	return n
}

func newCountry(t *testing.T, behind [2][]*nat) *country {
	x := &country{
		t: t, delay: 20 * ms, keys: [2]ident.Key{self, bob}, behind: behind, received: make(map[netip.AddrPort]int),
		relays: [2]netip.AddrPort{netip.MustParseAddrPort("11.1.0.1:4040"), netip.MustParseAddrPort("11.2.0.1:4040")},
		hosts:  [2]netip.AddrPort{netip.MustParseAddrPort("192.168.1.2:4040"), netip.MustParseAddrPort("192.168.2.2:4040")},
	}
	for i := range x.ends {
		if len(behind[i]) == 0 {
			x.hosts[i] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{12, byte(i + 1), 0, 1}), 4040)
		}
	}
	return x
}

// start lets both ends have a channel through each relay, and know each other.
func (x *country) start() {
	for i := range x.ends {
		r := &rig{}
		c := Config{
			Self: x.keys[i], Send: func(to netip.AddrPort, b []byte) { x.carry(i, to, b) },
			Wanted: r.want, Silent: r.fallSilent, Secret: secretOf(x.keys[i]),
		}
		if !x.relayed[i] {
			c.Local = func() []netip.AddrPort { return []netip.AddrPort{x.hosts[i]} }
		}
		r.Conn = New(c)
		x.ends[i] = r
	}
	for r := range x.relays {
		x.attach(r)
	}
	for end, r := range x.ends {
		if !x.unknown {
			r.Proven(x.keys[1-end])
		}
	}
}

// attach has both ends' sessions with a relay stand, and a channel through it.
func (x *country) attach(relay int) {
	x.mu.Lock()
	for end := range x.ends {
		x.seen[relay][end] = x.outward(end, x.relays[relay])
	}
	x.mu.Unlock()
	for end, r := range x.ends {
		r.Open(x.keys[1-end], Route{Channel: uint64(relay + 1), Via: ident.Key{100, byte(relay)}, Addr: x.relays[relay]})
	}
}

func (x *country) close() {
	for _, r := range x.ends {
		r.Close()
	}
}

func (x *country) outward(end int, to netip.AddrPort) netip.AddrPort {
	from := x.hosts[end]
	for _, n := range x.behind[end] {
		from = n.outward(from, to)
	}
	return from
}

func (x *country) carry(end int, to netip.AddrPort, packet []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	packet = append([]byte(nil), packet...)
	for peer := range x.hosts { // in one LAN, or on one host
		if to == x.hosts[peer] && sameLAN(x.hosts[peer], x.hosts[end]) {
			x.deliver(peer, x.hosts[end], packet, x.delay/10)
			return
		}
	}
	x.route(x.outward(end, to), to, packet)
}

func sameLAN(a, b netip.AddrPort) bool {
	p, _ := a.Addr().Prefix(24)
	return a.Addr().IsPrivate() && p.Contains(b.Addr())
}

// route carries a packet over the internet.
func (x *country) route(from, to netip.AddrPort, packet []byte) {
	x.received[to]++
	if x.tap != nil {
		x.tap(from, to, packet)
	}
	for r, at := range x.relays {
		if to == at {
			x.relay(r, from, packet)
			return
		}
	}
	if (x.broken || x.narrow && !isControl(packet[HeaderSize:]) && !isPunch(packet[HeaderSize:])) && from.Addr() != x.relays[0].Addr() && from.Addr() != x.relays[1].Addr() {
		return
	}
	for end := range x.hosts {
		if at, ok := x.inward(end, from, to); ok && at == x.hosts[end] {
			x.deliver(end, from, packet, x.delay)
			return
		}
	}
}

// inward takes a packet from the internet through an end's NATs.
func (x *country) inward(end int, from, to netip.AddrPort) (netip.AddrPort, bool) {
	for i := len(x.behind[end]) - 1; i >= 0; i-- {
		n, ok := x.behind[end][i], false
		if n.public != to.Addr() {
			return to, false
		}
		if to, ok = n.inward(from, to.Port()); !ok {
			return to, false
		}
	}
	return to, true
}

func (x *country) relay(r int, from netip.AddrPort, packet []byte) {
	if x.dead[r] {
		return
	}
	for end := range x.ends {
		if x.seen[r][end] != from || binary.BigEndian.Uint64(packet[1:]) != uint64(r+1) {
			continue
		}
		to := x.seen[r][1-end]
		at := from
		if x.lie.IsValid() {
			at = x.lie
		}
		if Mirror(packet, at) {
			to = from
		}
		time.AfterFunc(x.delay, func() {
			x.mu.Lock()
			defer x.mu.Unlock()
			x.route(x.relays[r], to, packet)
		})
		return
	}
}

func (x *country) deliver(end int, from netip.AddrPort, packet []byte, after time.Duration) {
	time.AfterFunc(after, func() {
		b := NewBuffer()
		b.SetLen(copy(b.Space(), packet))
		if !x.ends[end].Receive(b, from) {
			b.Free()
		}
	})
}

// direct waits until both ends have a direct way, at most for some time, and returns how
// long it took.
func (x *country) direct(within time.Duration) (took time.Duration, ok bool) {
	for begun := time.Now(); ; <-time.After(5 * ms) {
		took = time.Since(begun)
		if x.ends[0].Direct(x.keys[1]) && x.ends[1].Direct(x.keys[0]) {
			return took, true
		}
		if took > within {
			return took, false
		}
	}
}

// asks sends something from an end and reports whether the other one has got it.
func (x *country) asks(from int) bool {
	_, _ = x.ends[from].WriteTo([]byte{0x40, byte(from)}, stream.Addr{Key: x.keys[1-from]})
	to := x.ends[1-from]
	_ = to.SetReadDeadline(time.Now().Add(time.Second))
	var b [10]byte
	n, _, err := to.ReadFrom(b[:])
	return err == nil && n == 2 && b[1] == byte(from)
}

func inCountry(t *testing.T, behind [2][]*nat, f func(*testing.T, *country)) {
	synctest.Test(t, func(t *testing.T) {
		x := newCountry(t, behind)
		x.start()
		defer x.close()
		f(t, x)
	})
}
