package path

import (
	"crypto/cipher"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	cryptorand "crypto/rand"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
)

// An offer names, over a relayed channel, the addresses at which its sender may be
// reached directly, and the number of the direct way; an answer, with the same number,
// those of the other end. Both are sealed with the key that the two session keys give: a
// relay learns neither the addresses nor the number.
//
//	0      1       25
//	+------+-------+------------------------------------------------- - - -+
//	| kind | nonce | sealed: channel 8 | count 1 | count x address 7 or 19 |
//	|  1   |  24   |                                                   +16 |
//	+------+-------+------------------------------------------------- - - -+
//
// Whoever repeats a recorded offer has the receiver answer its peer and try the same few
// addresses once more, within the bounds of unproven.go.
const (
	kindOffer  = 3
	kindAnswer = 4
	// maxCandidates bounds the addresses in an offer: three of local interfaces for each
	// family, and two that relays see.
	maxCandidates = 8
	offerHead     = 1 + chacha20poly1305.NonceSizeX
	offerMin      = offerHead + 8 + 1 + chacha20poly1305.Overhead
	offerMax      = offerMin + maxCandidates*19
)

// isOffer reports whether a payload is an offer or an answer in form.
func isOffer(payload []byte) bool {
	n := len(payload)
	return n >= offerMin && n <= offerMax && (payload[0] == kindOffer || payload[0] == kindAnswer)
}

// aead returns what seals offers; nil where the peer's key is none that a secret can be
// made with.
func (k *macKey) aead() cipher.AEAD {
	if !k.ok {
		return nil
	}
	a, err := chacha20poly1305.NewX(k.seal[:])
	invariant.Check(err == nil, "path: a key that XChaCha20-Poly1305 does not take")
	return a
}

// bound is what an offer is bound to beside its key: kind and sender.
func bound(kind byte, from ident.Key) []byte { return append([]byte{kind}, from[:]...) }

// appendOffer seals an offer or an answer of from.
func appendOffer(k *macKey, from ident.Key, kind byte, channel uint64, at []netip.AddrPort) []byte {
	a := k.aead()
	if a == nil {
		return nil
	}
	b := make([]byte, offerHead, offerMax)
	b[0] = kind
	_, _ = cryptorand.Read(b[1:]) // never fails
	return a.Seal(b, b[1:offerHead], appendNamed(nil, channel, at), bound(kind, from))
}

// appendNamed writes what is sealed.
func appendNamed(b []byte, channel uint64, at []netip.AddrPort) []byte {
	b = binary.BigEndian.AppendUint64(b, channel)
	b = append(b, byte(len(at)))
	for _, x := range at {
		if raw := x.Addr().As16(); x.Addr().Is4() {
			b = append(append(b, 4), raw[12:]...)
		} else {
			b = append(append(b, 6), raw[:]...)
		}
		b = binary.BigEndian.AppendUint16(b, x.Port())
	}
	return b
}

// parseOffer opens what from has sealed. A channel is never 0.
func parseOffer(k *macKey, from ident.Key, payload []byte) (channel uint64, at []netip.AddrPort, ok bool) {
	a := k.aead()
	if a == nil || !isOffer(payload) {
		return 0, nil, false
	}
	b, err := a.Open(nil, payload[1:offerHead], payload[offerHead:], bound(payload[0], from))
	if err != nil {
		return 0, nil, false
	}
	return parseNamed(b)
}

// parseNamed reads what was sealed, at least 9 bytes.
func parseNamed(b []byte) (channel uint64, at []netip.AddrPort, ok bool) {
	channel, count := binary.BigEndian.Uint64(b), int(b[8])
	b = b[9:]
	for ; count > 0 && len(b) >= 7 && len(at) < maxCandidates; count-- {
		size := 7
		var ip netip.Addr
		switch {
		case b[0] == 4:
			ip = netip.AddrFrom4([4]byte(b[1:]))
		case b[0] == 6 && len(b) >= 19:
			size, ip = 19, netip.AddrFrom16([16]byte(b[1:]))
		default:
			return 0, nil, false
		}
		at = append(at, netip.AddrPortFrom(ip, binary.BigEndian.Uint16(b[size-2:])))
		b = b[size:]
	}
	return channel, at, channel != 0 && count == 0 && len(b) == 0
}

// usable reports whether an address is one to send to: one host's, and this machine's own
// loopback only where the relay, too, is reached there.
func usable(at netip.AddrPort, loopback bool) bool {
	ip := at.Addr()
	switch {
	case !at.IsValid(), at.Port() == 0, ip.IsUnspecified(), ip.IsMulticast(), ip.IsLinkLocalUnicast(), ip.Zone() != "", ip.Is4In6():
		return false
	case ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return false
	}
	return !ip.IsLoopback() || loopback
}

// candidates returns the addresses at which this node may be reached: what relays see,
// and those of its interfaces, IPv6 first. The caller holds the peer's lock.
func (c *Conn) candidates(p *peer) (at []netip.AddrPort) {
	var seen []netip.AddrPort
	for _, w := range p.ways {
		if w.relayed() && w.seen.IsValid() && len(seen) < 2 && !slices.Contains(seen, w.seen) {
			seen = append(seen, w.seen)
		}
	}
	for _, x := range c.own() {
		if len(at) < maxCandidates-len(seen) && !slices.Contains(seen, x) && usable(x, p.loopback()) {
			at = append(at, x)
		}
	}
	for _, x := range seen {
		if usable(x, p.loopback()) {
			at = append(at, x)
		}
	}
	slices.SortStableFunc(at, func(a, b netip.AddrPort) int { // IPv6 goes out first
		switch a4, b4 := a.Addr().Is4(), b.Addr().Is4(); {
		case a4 == b4:
			return 0
		case a4:
			return 1
		}
		return -1
	})
	return at
}

func (c *Conn) sendOffer(w *way, kind byte, channel uint64) {
	p := appendOffer(c.macKey(w.to), c.self, kind, channel, c.candidates(w.to))
	if p == nil {
		return
	}
	b := NewBuffer()
	b.pack(w.channel, p)
	c.send(*w.addr.Load(), b.Bytes())
	b.Free()
}

// offered takes in an offer, which is answered when the time has come, or an answer.
func (c *Conn) offered(w *way, payload []byte, now time.Duration) {
	p := w.to
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.own == nil || p.gone || !w.relayed() {
		return
	}
	if payload[0] == kindOffer {
		if p.follows && p.tried == 0 {
			p.held = append(p.held[:0], payload...)
			c.arm(p, 0)
		}
		return
	}
	channel, at, ok := parseOffer(c.macKey(p), p.key, payload)
	a := p.attempt
	if !ok || a == nil || a.channel != channel || !a.leads || a.over {
		c.n.probe.Add(1)
		return
	}
	if !a.named { // a punch may have overtaken the answer
		a.named, a.rounds = true, 0
		c.name(a, at)
		c.punching(a, now)
	}
}

// answerOffer answers the offer that is held, and has punching begin half a round trip
// later, when the answer is there.
func (c *Conn) answerOffer(p *peer, now time.Duration) {
	channel, at, ok := parseOffer(c.macKey(p), p.key, p.held)
	p.held = nil
	w := p.carrier()
	if !ok || w == nil {
		if !ok {
			c.n.probe.Add(1)
		}
		return
	}
	a := p.attempt
	again, pause := a != nil && a.channel == channel, answerEvery
	if again {
		pause = repeatEvery
	}
	if p.replied != 0 && now-p.replied < pause {
		return
	}
	p.replied = now
	if !again {
		c.attempts.end(a.unused())
		a = &attempt{to: p, channel: channel}
		c.name(a, at)
		a.begun = now + min(w.rtt/2, 2*punchEvery) // a round trip that was measured in a bad moment is no reason to come late
		a.next = a.begun
		p.attempt = a
		c.attempts.enter(a)
		c.arm(p, a.begun-now)
	}
	c.sendOffer(w, kindAnswer, channel)
}

// name enters the addresses that the peer has named. In two homes the machines often have
// the same.
func (c *Conn) name(a *attempt, at []netip.AddrPort) {
	own := c.own()
	for _, x := range at {
		if !slices.Contains(own, x) {
			a.add(x, a.to.loopback())
		}
	}
}
