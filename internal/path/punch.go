package path

import (
	"crypto/hmac"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"

	"golang.org/x/crypto/blake2s"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
)

// A punch opens a hole in the sender's NAT, crosses the receiver's, and proves an address:
//
//	0      1       9       17
//	+------+-------+-------+--------+
//	| kind | token | echo  |  mac   |
//	|  1   |   8   |   8   |   16   |
//	+------+-------+-------+--------+
//
// Each end draws a token for each address that it tries. A packet that comes from an
// address with the token that was sent there proves that the peer receives there: the peer
// itself could write any source on a packet, but not know what a victim was sent. Who has
// proof sends the other kind, which asks for no answer.
const (
	kindPunch  = 5
	kindProven = 8
	punchSize  = 1 + 8 + 8 + macSize
)

const (
	// maxTrials bounds the addresses that are tried in one attempt: those that the peer has
	// named, and four that its packets come from, since a NAT may give it another one for
	// each address that it writes to.
	maxTrials = maxCandidates + 4
	// maxPerHost bounds those of one host among them, which differ by the port: two that
	// relays see, two that packets to what relays see come from, and the one that answers
	// come from.
	maxPerHost = 5
)

// trial is one address that is tried.
type trial struct {
	at     netip.AddrPort
	token  uint64 // that the peer must echo from there
	theirs uint64 // that came from there last; 0 is none
	sent   uint8  // packets in this attempt, before it was proven
	proven bool
}

// isPunch reports whether a payload is a punch in form.
func isPunch(payload []byte) bool {
	return len(payload) == punchSize && (payload[0] == kindPunch || payload[0] == kindProven)
}

// sumPunch returns the mac of a punch, which covers its sender, its channel and all of it.
func (k *macKey) sumPunch(from ident.Key, channel uint64, head []byte) []byte {
	h, err := blake2s.New128(k.key[:])
	invariant.Check(err == nil, "path: a key that BLAKE2s does not take")
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], channel)
	h.Write(from[:])
	h.Write(b[:])
	h.Write(head)
	return h.Sum(nil)
}

// punch sends one to an address, if it may have another one. The caller holds the peer's
// lock.
func (c *Conn) punch(a *attempt, t *trial, now time.Duration) {
	k := c.macKey(a.to)
	if !k.ok || !t.proven && !c.unproven.take(t.at, a.to.key, now) {
		return
	}
	kind := byte(kindPunch)
	if t.proven {
		kind = kindProven
	} else {
		t.sent++
	}
	var p [punchSize]byte
	p[0] = kind
	binary.BigEndian.PutUint64(p[1:], t.token)
	binary.BigEndian.PutUint64(p[9:], t.theirs)
	copy(p[17:], k.sumPunch(c.self, a.channel, p[:17]))
	b := NewBuffer()
	b.pack(a.channel, p[:])
	c.send(t.at, b.Bytes())
	b.Free()
	c.n.punches.Add(1)
}

// punched takes in a punch. Its channel is known to nobody but the two ends.
func (c *Conn) punched(number uint64, payload []byte, from netip.AddrPort, now time.Duration) {
	a := c.attempts.of(number)
	if a == nil {
		c.n.unknown.Add(1)
		return
	}
	p := a.to
	c.mu.Lock()
	defer c.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	k := c.macKey(p)
	if p.gone || a.over || !k.ok || !hmac.Equal(payload[17:], k.sumPunch(p.key, number, payload[:17])) {
		c.n.probe.Add(1)
		return
	}
	c.punching(a, now) // the other end has begun
	t := a.find(from)
	if t == nil {
		if t = a.add(from, p.loopback()); t == nil {
			return
		}
	}
	t.theirs = binary.BigEndian.Uint64(payload[1:])
	if echo := binary.BigEndian.Uint64(payload[9:]); echo == t.token {
		if !t.proven {
			t.proven = true
			c.unproven.proven(t.at)
			c.enterDirect(a, t, now)
		}
	}
	if payload[0] == kindPunch {
		c.punch(a, t, now)
	}
}

func (a *attempt) find(at netip.AddrPort) *trial {
	for i := range a.trials {
		if a.trials[i].at == at {
			return &a.trials[i]
		}
	}
	return nil
}

// add enters an address to be tried; nil when it is none that may be.
func (a *attempt) add(at netip.AddrPort, loopback bool) *trial {
	host := 0
	for i := range a.trials {
		if a.trials[i].at.Addr() == at.Addr() {
			host++
		}
	}
	if len(a.trials) == maxTrials || host == maxPerHost || !usable(at, loopback) || a.find(at) != nil {
		return nil
	}
	a.trials = append(a.trials, trial{at: at, token: rand.Uint64() | 1})
	return &a.trials[len(a.trials)-1]
}

// round sends a punch to every address that has not proven anything. The end that follows
// keeps one packet for an answer; the other one uses its last in the second attempt.
func (c *Conn) round(a *attempt, now time.Duration) {
	keep := 0
	if !a.leads {
		keep = 1
	}
	for i := range a.trials {
		if t := &a.trials[i]; !t.proven && t.sent < punchRounds && c.unproven.left(t.at, a.to.key, now) > keep {
			c.punch(a, t, now)
		}
	}
}
