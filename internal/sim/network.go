package sim

import (
	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// network is the way of a message between two sockets.
//
// Sessions are modelled as far as they change what a machine sees: a message of a
// session has a proven sender, one outside of any session comes from a transient
// handle unless it answers a question (an Offer comes from whom was asked), and the
// first one of a session costs its receiver a handshake. What is not modelled: every
// pair has the keys it needs, so a host that has rebooted reads what was meant for its
// former self, and its machine, not its driver, says NotAttached. Nor are there cookies:
// a loaded host drops what its queue can't hold. Whether a dial-back really comes from
// elsewhere makes no difference to a NAT here, which lets none through.
type network struct {
	latency *Latency
	median  vtime.Duration // of the latency
	jitter  uint32         // 1/65536 of the latency
	loss    uint32         // probabilities in 1/65536
	dup     uint32
	reorder uint32
	draw    uint64
	// cut[a][b] says that messages from side a to side b are lost; nil when the
	// network is whole.
	cut    *[maxSides][maxSides]bool
	mended vtime.Time // when it last became whole
}

// maxSides is the largest number of parts a partition can have.
const maxSides = 256

// heldBack is how late a reordered message is at most: a queue somewhere that drains
// slowly, about the largest latency, so that it is overtaken by an answer.
const heldBack = 250 * vtime.Millisecond

// Drop says why a message did not arrive.
type Drop uint8

// The reasons.
const (
	DropLoss      Drop = iota // by the network
	DropQueue                 // the receiver's queue was full
	DropDown                  // the receiver is not running
	DropPartition             // sender and receiver are parted
	DropNAT                   // the receiver can't be reached by strangers
	drops
)

func newNetwork(c *Config) network {
	return network{
		latency: c.Latency,
		median:  c.Latency.Median(),
		jitter:  share16(c.Jitter),
		loss:    share16(c.Loss),
		dup:     share16(c.Dup),
		reorder: share16(c.Reorder),
		draw:    mix(c.Seed ^ 0x6e6574),
	}
}

// random draws the chances of one message: 16 bits each for loss, duplication,
// reordering and jitter.
func (n *network) random() uint64 {
	n.draw++
	return mix(n.draw)
}

// send puts b on its way from host i to f.Peer.
func (s *Sim) send(i uint32, f *core.Effect, b []byte) {
	to := f.Peer
	if to.Transient() { // an answer goes to the address it was asked from
		to = ident.Handle(uint32(to) << 1 >> 1)
	}
	if !s.book.known(to) || to == handle(i) {
		s.violated("book", i, "%v sent to %d, which is nobody or itself", wire.KindOf(b), to)
		return
	}
	kind := wire.KindOf(b)
	if kind == wire.KindPut && s.renewed(i, index(to), b) {
		return
	}
	s.stats.sent[kind]++
	s.stats.bytes += uint64(len(b))
	if len(b) > wire.MaxMessage {
		s.violated("size", i, "a %v of %d bytes, at most %d are allowed", kind, len(b), wire.MaxMessage)
		return
	}
	if kind == wire.KindProbe || kind == wire.KindAttach {
		s.stats.attempt(&s.hosts[i], uint16(wire.NonceOf(b))|1)
	}
	e := event{host: index(to), from: i, kind: eventArrive, n: uint16(len(b))}
	if f.Plain {
		e.flag |= flagPlain
	}
	if f.Fresh {
		e.flag |= flagFresh
	}
	s.transmit(&e, b, kind)
}

// transmit decides a message's fate and, unless it is lost, when it arrives.
func (s *Sim) transmit(e *event, b []byte, kind wire.Kind) {
	n := &s.net
	r := n.random()
	switch {
	case n.cut != nil && n.cut[s.hosts[e.from].side][s.hosts[e.host].side]:
		s.stats.dropped[DropPartition]++
		return
	case kind == wire.KindDialBack && !s.hosts[e.host].is(hostReachable):
		s.stats.dropped[DropNAT]++
		return
	case chance(r, n.loss):
		s.stats.dropped[DropLoss]++
		return
	}
	way := n.latency.RTT(s.book.hash(handle(e.from), labelPlace), s.book.hash(handle(e.host), labelPlace)) / 2
	late := vtime.Duration(uint64(way) * uint64(n.jitter) >> 16)
	e.at = s.now.Add(way + vtime.Duration(uint64(late)*(r>>48)>>16))
	if chance(r>>32, n.reorder) {
		e.at = e.at.Add(vtime.Duration(uint64(heldBack) * (n.random() >> 48) >> 16))
	}
	e.ref = s.arena.put(b)
	s.queue.push(*e)
	if chance(r>>16, n.dup) {
		e.ref = s.arena.put(b)
		e.at = e.at.Add(vtime.Duration(uint64(heldBack) * (n.random() >> 48) >> 16))
		s.queue.push(*e)
	}
}

// arrive takes a message from the network: an idle host handles it at once, a busy one
// when its turn comes, and beyond its queue it is lost.
func (s *Sim) arrive(e *event, h *host) {
	svc := &s.cfg.Service
	if int(e.host) >= s.cfg.Nodes {
		svc = &s.cfg.LoginService
	}
	if e.flag&flagFresh != 0 && h.is(hostServing) && wire.KindOf(s.arena.get(e.ref, int(e.n))) == wire.KindAttach {
		s.offered.add(e.host, s.now)
		s.stats.offered++
	}
	wait := h.busy.Sub(s.now)
	switch {
	case !h.is(hostUp):
		s.stats.dropped[DropDown]++
	case wait > svc.room():
		s.stats.dropped[DropQueue]++
		s.rouse(e.host)
	case wait > 0:
		later := *e
		later.kind, later.at, later.gen = eventServe, h.busy, h.boots
		h.busy = h.busy.Add(svc.cost(e.flag&flagFresh != 0))
		s.queue.push(later)
		return // the bytes stay in the arena
	default:
		h.busy = s.now.Add(svc.cost(e.flag&flagFresh != 0))
		s.deliver(e)
	}
	s.arena.free(e.ref)
}

// deliver hands a message to its machine.
func (s *Sim) deliver(e *event) {
	from := handle(e.from)
	s.in = core.Input{
		Kind:   core.InputMessage,
		Plain:  e.flag&flagPlain != 0,
		From:   from,
		Origin: s.book.hash(from, labelOrigin),
		Group:  s.book.Group(from),
		Bytes:  s.arena.get(e.ref, int(e.n)),
	}
	if s.in.Plain && wire.KindOf(s.in.Bytes) != wire.KindOffer {
		s.in.From = ident.Transient(uint32(from))
	}
	s.stats.delivered++
	s.step(e.host)
}
