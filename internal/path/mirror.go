package path

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"
)

// A mirror is a packet on a channel that its relay answers itself, with the address from
// which it came: so an end learns how it is seen through its NATs, now and on this very
// socket. Request and answer have the same size, and the relay answers only an end of the
// channel, at the address that the end's session has proven. Like probes, both are
// payloads that QUIC never makes:
//
//	0      1       9        10        26
//	+------+-------+--------+---------+------+
//	| kind | nonce | family | address | port |
//	|  1   |   8   | 4 or 6 | 4 or 16 |  2   |
//	+------+-------+--------+---------+------+
//
// A request has zeros after the nonce. What a relay says here is a candidate like those
// that a peer names, and tried with the same care.
const (
	kindMirror   = 6
	kindMirrored = 7
	mirrorSize   = 1 + 8 + 1 + 16 + 2
)

// Mirror turns a request in a packet on a channel into its answer to whoever sent it
// from there, and reports whether it was one.
func Mirror(packet []byte, from netip.AddrPort) bool {
	if len(packet) != HeaderSize+mirrorSize || packet[HeaderSize] != kindMirror {
		return false
	}
	b := packet[HeaderSize:]
	b[0] = kindMirrored
	ip := from.Addr().Unmap()
	if raw := ip.As16(); ip.Is4() {
		b[9] = 4
		copy(b[10:], raw[12:])
	} else {
		b[9] = 6
		copy(b[10:], raw[:])
	}
	binary.BigEndian.PutUint16(b[26:], from.Port())
	return true
}

// lookIn asks the relay of a way how this node is seen. The caller holds the peer's lock.
func (c *Conn) lookIn(w *way) {
	if w.mirror == 0 {
		w.mirror = rand.Uint64() | 1
	}
	var p [mirrorSize]byte
	p[0] = kindMirror
	binary.BigEndian.PutUint64(p[1:], w.mirror)
	b := NewBuffer()
	b.pack(w.channel, p[:])
	c.send(*w.addr.Load(), b.Bytes())
	b.Free()
}

// isMirrored reports whether a payload is a relay's answer in form.
func isMirrored(payload []byte) bool {
	return len(payload) == mirrorSize && payload[0] == kindMirrored
}

// mirrored returns what an answer says; at is not valid when that is no address.
func mirrored(payload []byte) (nonce uint64, at netip.AddrPort) {
	var ip netip.Addr
	switch payload[9] {
	case 4:
		ip = netip.AddrFrom4([4]byte(payload[10:]))
	case 6:
		ip = netip.AddrFrom16([16]byte(payload[10:])).Unmap()
	default:
		return 0, at
	}
	return binary.BigEndian.Uint64(payload[1:]), netip.AddrPortFrom(ip, binary.BigEndian.Uint16(payload[26:]))
}

// look asks the relays how this node is seen, and reports whether that is known, or is
// not waited for any longer.
func (c *Conn) look(p *peer, now time.Duration) bool {
	stale := false
	for _, w := range p.ways {
		if w.relayed() && w.via != p.key && w.good() && (w.seenAt == 0 || now-w.seenAt > sightFor) {
			stale = true
		}
	}
	switch {
	case !stale:
		return true
	case p.looked != 0 && now-p.looked < sightFor:
		return now-p.looked >= sightWait
	}
	c.lookAll(p, now)
	c.arm(p, sightWait)
	return false
}

// lookBy asks when a way was opened: all relays, since this node may be seen elsewhere now,
// but its own only where they have been asked just now. A relay that opens ways without end
// has no other one asked for each.
func (c *Conn) lookBy(w *way, now time.Duration) {
	switch p := w.to; {
	case p.looked == 0 || now-p.looked >= sightWait:
		c.lookAll(p, now)
	case w.via != p.key:
		c.lookIn(w)
	}
}

func (c *Conn) lookAll(p *peer, now time.Duration) {
	p.looked = now
	for _, w := range p.ways {
		if w.relayed() && w.via != p.key && w.good() {
			c.lookIn(w)
		}
	}
}

// sight takes a relay's word on this node's own address.
func (c *Conn) sight(w *way, payload []byte, now time.Duration) {
	nonce, at := mirrored(payload)
	p := w.to
	p.mu.Lock()
	defer p.mu.Unlock()
	if nonce == 0 || nonce != w.mirror {
		c.n.probe.Add(1)
		return
	}
	w.seen, w.seenAt, w.mirror = at, now, 0
	if p.held != nil || p.at != 0 {
		c.arm(p, 0)
	}
}
