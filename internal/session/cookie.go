package session

import (
	"crypto/cipher"
	"encoding/binary"
	"io"
	"net/netip"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
	"github.com/ada420b6/overlay/internal/vtime"
)

const (
	// cookiePeriod is how long a secret makes cookies, and how long its successor
	// still accepts them: a cookie is good for 2 to 4 min.
	cookiePeriod = 2 * vtime.Minute

	// cookieLife is how long an initiator uses a cookie: the shortest time that the
	// responder may accept it.
	cookieLife = cookiePeriod

	// maxCookies is how many cookies an initiator holds: 64 x 56 B = 3.5 kB. A node
	// asks at most 8 candidates at once, a supernode links to 8 and probes 1 a second.
	maxCookies = 64
)

// cookie is the MAC of an address under a secret of the responder: whoever returns it
// receives packets at that address.
type cookie [macSize]byte

// baker is the responder's side: it makes cookies and recognizes them, and remembers
// nobody.
type baker struct {
	random            io.Reader
	current, previous [32]byte
	since             vtime.Time // when current was drawn
	drawn             bool
}

// rotate draws a new secret when the current one is cookiePeriod old.
func (b *baker) rotate(now vtime.Time) {
	age := now.Sub(b.since)
	if b.drawn && age < cookiePeriod {
		return
	}
	b.previous = b.current
	if !b.drawn || age >= 2*cookiePeriod {
		draw(b.random, b.previous[:]) // nobody holds a cookie that may still be good
	}
	draw(b.random, b.current[:])
	b.since, b.drawn = now, true
}

// bake returns the cookie of an address.
func (b *baker) bake(from netip.AddrPort, now vtime.Time) cookie {
	b.rotate(now)
	return cookieOf(&b.current, from)
}

// proves reports whether mac2 of init was made with a cookie of the address from.
func (b *baker) proves(init []byte, from netip.AddrPort, now vtime.Time) bool {
	if binary.LittleEndian.Uint64(mac2(init)) == 0 {
		return false // the sender had no cookie; a real mac2 looks so once in 2^64
	}
	b.rotate(now)
	for _, secret := range []*[32]byte{&b.current, &b.previous} {
		c := cookieOf(secret, from)
		if checkMac(newMac(c[:]), before2(init), mac2(init)) {
			return true
		}
	}
	return false
}

func cookieOf(secret *[32]byte, from netip.AddrPort) (c cookie) {
	var b [18]byte
	a := from.Addr().As16()
	copy(b[:], a[:])
	binary.BigEndian.PutUint16(b[16:], from.Port())
	appendMac(c[:0], newMac(secret[:]), b[:])
	return c
}

// cookieCipher seals cookies for the wire. Its key is public within the network; what
// binds a reply to its Init is mac1 as associated data, which only somebody who saw the
// Init knows.
func cookieCipher(network [8]byte, responder ident.Key) cipher.AEAD {
	k := publicKeyed(labelCookie, network, responder)
	c, err := chacha20poly1305.NewX(k[:])
	invariant.Check(err == nil, "session: a cookie key has 32 bytes")
	return c
}

// refuse answers an Init that has no valid cookie.
func (t *Table) refuse(from netip.AddrPort, init []byte, now vtime.Time) {
	t.n.CookiesSent++
	c := t.baker.bake(from, now)
	b := append(t.out[:0], head(typeCookie))
	b = append(b, init[headSize:headSize+indexSize]...)
	b = b[:len(b)+nonceSizeX]
	nonce := b[len(b)-nonceSizeX:]
	draw(t.random, nonce)
	t.emit(from, t.cookies.Seal(b, nonce, c[:], mac1(init)))
}

// receiveCookie stores the cookie of a peer that refused our Init. It reports
// KindCookie only if that Init carried no cookie: a peer that refuses its own cookies
// must not make us send as fast as it answers.
func (t *Table) receiveCookie(packet []byte, now vtime.Time) Result {
	s := t.sessions[index(packet, 0)]
	if s == nil || s.pending == nil || !s.initiator {
		t.n.UnknownHandshake++
		return Result{}
	}
	rest := packet[headSize+indexSize:]
	var c cookie
	aead := cookieCipher(t.network, s.peer.key)
	_, err := aead.Open(c[:0], rest[:nonceSizeX], rest[nonceSizeX:], s.pending.mac1[:])
	if err != nil || s.pending.refused {
		t.n.BadCookie++
		return Result{}
	}
	s.pending.refused = true
	t.jar.put(s.peer.key, c, now)
	if s.pending.proved {
		return Result{}
	}
	return Result{Kind: KindCookie, Peer: s.peer.key, Addr: s.addr}
}

// jar is the initiator's side: the newest cookies it was given.
type jar struct {
	kept []keptCookie
	at   int // the oldest, once there are maxCookies
}

type keptCookie struct {
	key    ident.Key
	cookie cookie
	at     vtime.Time
}

// put keeps a cookie of the responder k.
func (j *jar) put(k ident.Key, c cookie, now vtime.Time) {
	kept := keptCookie{k, c, now}
	for i := range j.kept {
		if j.kept[i].key == k {
			j.kept[i] = kept
			return
		}
	}
	if len(j.kept) < maxCookies {
		j.kept = append(j.kept, kept)
		return
	}
	j.kept[j.at] = kept
	j.at = (j.at + 1) % maxCookies
}

// get returns the cookie of k if it is not too old.
func (j *jar) get(k ident.Key, now vtime.Time) (cookie, bool) {
	for i := range j.kept {
		if c := &j.kept[i]; c.key == k {
			return c.cookie, now.Sub(c.at) < cookieLife
		}
	}
	return cookie{}, false
}
