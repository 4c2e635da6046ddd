package path

import (
	"crypto/hmac"
	"encoding/binary"
	"net/netip"

	"golang.org/x/crypto/blake2s"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
)

// A probe asks the peer, on one way, whether that way works; the peer's path layer
// answers on the same way with an echo of the same size. Both are payloads that QUIC never
// makes, since its packets have bit 6 of the first byte set:
//
//	0      1       9
//	+------+-------+--------+
//	| kind | nonce |  mac   |
//	|  1   |   8   |   16   |
//	+------+-------+--------+
//
// The mac is keyed with what only the two ends can compute from their session keys, and
// covers the sender, the kind, the channel and the nonce. So no relay can answer in
// the peer's place, nor turn a node's own probe round into an echo.
const (
	kindProbe = 1
	kindEcho  = 2
	probeSize = 1 + 8 + macSize
	macSize   = 16
)

// macKey authenticates what goes between two nodes; ok is false where the peer's key is
// none that a secret can be made with.
type macKey struct {
	key  [32]byte
	seal [32]byte // for offers
	ok   bool
}

func (c *Conn) macKey(p *peer) *macKey {
	if p.macs == nil {
		p.macs = new(macKey)
		if shared, err := c.secret(p.key); err == nil {
			p.macs.key = blake2s.Sum256(append([]byte("overlay path probe 1"), shared[:]...))
			p.macs.seal = blake2s.Sum256(append([]byte("overlay path offer 1"), shared[:]...))
			p.macs.ok = true
		}
	}
	return p.macs
}

// sum returns the mac of a probe or an echo.
func (k *macKey) sum(from ident.Key, kind byte, channel, nonce uint64) []byte {
	h, err := blake2s.New128(k.key[:])
	invariant.Check(err == nil, "path: a key that BLAKE2s does not take")
	var b [17]byte
	b[0] = kind
	binary.BigEndian.PutUint64(b[1:], channel)
	binary.BigEndian.PutUint64(b[9:], nonce)
	h.Write(from[:])
	h.Write(b[:])
	return h.Sum(nil)
}

// control sends a probe or an echo on a way, to an address of it. The caller holds the
// peer's lock.
func (c *Conn) control(w *way, to netip.AddrPort, kind byte, nonce uint64) {
	k := c.macKey(w.to)
	if !k.ok {
		return
	}
	var p [probeSize]byte
	p[0] = kind
	binary.BigEndian.PutUint64(p[1:], nonce)
	copy(p[9:], k.sum(c.self, kind, w.channel, nonce))
	b := NewBuffer()
	b.pack(w.channel, p[:])
	c.send(to, b.Bytes())
	b.Free()
}

// isControl reports whether a payload is a probe or an echo in form.
func isControl(payload []byte) bool {
	return len(payload) == probeSize && (payload[0] == kindProbe || payload[0] == kindEcho)
}

// proven returns the nonce of a probe or an echo, if the peer has made it. The caller
// holds the peer's lock.
func (c *Conn) proven(w *way, payload []byte) (nonce uint64, ok bool) {
	nonce = binary.BigEndian.Uint64(payload[1:])
	k := c.macKey(w.to)
	return nonce, k.ok && hmac.Equal(payload[9:], k.sum(w.to.key, payload[0], w.channel, nonce))
}
