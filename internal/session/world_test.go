package session

import (
	"encoding/binary"
	"net/netip"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
)

// reader draws bytes from a seeded generator: equal seeds give equal keys and packets.
type reader struct{ r seed.Rand }

func (r *reader) Read(b []byte) (int, error) {
	for i := 0; i < len(b); i += 8 {
		var w [8]byte
		binary.LittleEndian.PutUint64(w[:], r.r.Uint64())
		copy(b[i:], w[:])
	}
	return len(b), nil
}

// packet is a datagram under way.
type packet struct {
	from, to netip.AddrPort
	data     []byte
}

// world is some tables and the packets between them, in the order in which they were
// sent. Nothing moves until a test delivers it.
type world struct {
	t       rapid.TB
	rand    seed.Rand
	now     vtime.Time
	nodes   []*node
	flight  []packet
	heard   []heard
	network [8]byte
}

// node is a table with an address.
type node struct {
	w      *world
	config Config
	*Table
	addr netip.AddrPort
}

// heard is what a node's Receive returned, with a copy of the payload.
type heard struct {
	at *node
	Result
	text string
}

func newWorld(t rapid.TB, s uint64) *world {
	return &world{t: t, rand: seed.New(s), now: 1 << 40, network: [8]byte{1}}
}

// add makes a node; change may alter its configuration.
func (w *world) add(change func(*Config)) *node {
	n := &node{w: w, addr: address(len(w.nodes))}
	n.config = Config{Network: w.network, Random: &reader{w.rand.Fork(uint64(len(w.nodes)))}}
	draw(n.config.Random, n.config.Private[:])
	n.config.Out = func(to netip.AddrPort, b []byte) {
		w.flight = append(w.flight, packet{n.addr, to, append([]byte(nil), b...)})
	}
	if change != nil {
		change(&n.config)
	}
	n.reboot()
	w.nodes = append(w.nodes, n)
	return n
}

// address returns the i-th address of the test network.
func address(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 4000)
}

// reboot loses all that the node's table held.
func (n *node) reboot() { n.Table = New(n.config) }

// say sends a payload to another node.
func (n *node) say(to *node, text string, fresh bool) {
	n.w.t.Helper()
	if err := n.Send(to.Key(), to.addr, []byte(text), fresh, n.w.now); err != nil {
		n.w.t.Fatalf("Send(%q) = %v", text, err)
	}
}

// take removes the i-th packet under way.
func (w *world) take(i int) packet {
	p := w.flight[i]
	w.flight = append(w.flight[:i:i], w.flight[i+1:]...)
	return p
}

// arrive hands a packet to the node at its destination, if there is one, and ends the
// step as the runtime does.
func (w *world) arrive(p packet) Result {
	for _, n := range w.nodes {
		if n.addr != p.to {
			continue
		}
		r := n.Receive(p.from, p.data, w.now)
		if r.Kind != KindNone {
			w.heard = append(w.heard, heard{n, r, string(r.Payload)})
		}
		if r.Fresh {
			n.Flush(r.Peer)
		}
		return r
	}
	return Result{}
}

// settle delivers everything under way, in order, and what that causes.
func (w *world) settle() {
	for range 1000 {
		if len(w.flight) == 0 {
			return
		}
		w.arrive(w.take(0))
	}
	w.t.Fatal("1000 packets and no end")
}

// texts returns what n heard, and forgets it.
func (w *world) texts(n *node) (texts []string) {
	var rest []heard
	for _, h := range w.heard {
		if h.at == n && h.Kind == KindMessage {
			texts = append(texts, h.text)
		} else {
			rest = append(rest, h)
		}
	}
	w.heard = rest
	return texts
}

// kinds counts what n heard of one kind.
func (w *world) kinds(n *node, k Kind) (count int) {
	for _, h := range w.heard {
		if h.at == n && h.Kind == k {
			count++
		}
	}
	return count
}

// pair returns two nodes with an established session that the first began.
func (w *world) pair() (a, b *node) {
	a, b = w.add(nil), w.add(nil)
	w.join(a, b)
	return a, b
}

func (w *world) join(a, b *node) {
	w.t.Helper()
	a.say(b, "join", true)
	w.settle()
	if !a.Established(b.Key(), w.now) || !b.Established(a.Key(), w.now) {
		w.t.Fatal("no session")
	}
	w.heard = nil
}
