package sim

import (
	"encoding/binary"
	"errors"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
)

// book is core.Book for every host at once: self says whose turn it is.
//
// A key, an address and a certificate are all functions of a handle here, so there is
// nothing to look up and nothing to store per pair. What must be modelled is who can
// say what: a record or a member is sealed with a keyed hash that stands for the
// signature, so a change on the way is found; and what a machine writes under another's
// name is compared with what that owner has ever signed, so a machine that makes
// something up is found as well.
//
// The full form has real sizes, the compact one is as small as it can be.
type book struct {
	full   bool
	key    uint64 // of the seals
	self   ident.Handle
	hosts  uint32 // nodes and login servers: handles 1 to hosts
	groups uint32
	slots  []uint32 // normal slots by host index

	// newest is the latest incarnation that each host has signed. A machine that
	// passes a member on writes the incarnation it knows, never a later one.
	newest []uint32

	// held is the incarnation of the member record that a host holds of another, and
	// signed are the name records that owners have signed; full form only, where runs
	// are small: hosts x supernodes and hosts x attaches entries.
	held   map[[2]ident.Handle]uint32
	signed map[uint64]struct{}

	// fault says what a machine wrote that it had no right to; the oracle reads it.
	fault string
	// certified is the host that ParseCertificate kept a certificate for.
	certified ident.Handle
}

// Sizes of the full form, the largest ones of wire's package comment among them.
const (
	sizeIPv4, sizeIPv6               = 39, 51
	memberMin, memberMax             = 240, 340
	recordMin, recordMax             = 300, 420
	sizeApplication, sizeCert        = 300, 250
	sealSize                         = 4
	labelMember               uint64 = 0x6d656d
	labelRecord               uint64 = 0x726563
	labelPeer                 uint64 = 0x706565
	labelSize                 uint64 = 0x73697a
	labelGroup                uint64 = 0x677270
	labelCert                 uint64 = 0x636572
	labelApply                uint64 = 0x617070
)

// Errors of the Parse methods: what a peer can do wrong.
var (
	errCut     = errors.New("sim: an item is cut short")
	errUnknown = errors.New("sim: a handle names nobody")
	errForged  = errors.New("sim: a seal does not fit")
)

func newBook(c *Config, key uint64) *book {
	hosts := c.Nodes + c.Logins
	b := &book{
		full:   c.Full,
		key:    key,
		hosts:  uint32(hosts),
		groups: uint32(c.Groups),
		slots:  make([]uint32, hosts),
		newest: make([]uint32, hosts),
	}
	for i := range b.slots {
		b.slots[i] = uint32(c.Policy.NormalSlots)
	}
	if c.Full {
		b.held = make(map[[2]ident.Handle]uint32)
		b.signed = make(map[uint64]struct{})
	}
	return b
}

// hash is what everything about a host is drawn from.
func (k *book) hash(h ident.Handle, label uint64) uint64 {
	return mix(k.key ^ uint64(h) ^ label<<32)
}

// ID returns the hash of h's key.
func (k *book) ID(h ident.Handle) ident.ID { return ident.ID(k.hash(h, 0)) }

// Group returns h's address group, never 0.
func (k *book) Group(h ident.Handle) ident.Group {
	return ident.Group(1 + scale(k.hash(h, labelGroup), k.groups))
}

// Slots returns how many normal slots h offers.
func (k *book) Slots(h ident.Handle) uint32 {
	if !k.known(h) {
		return 0
	}
	return k.slots[index(h)]
}

func (k *book) known(h ident.Handle) bool { return h != ident.None && uint32(h) <= k.hosts }

// claim checks that a machine writes about somebody who exists.
func (k *book) claim(h ident.Handle) {
	invariant.Check(k.known(h), "sim: a machine named a peer that does not exist")
}

// AppendPeer writes key and address of h.
func (k *book) AppendPeer(b []byte, h ident.Handle) []byte {
	k.claim(h)
	b = binary.BigEndian.AppendUint32(b, uint32(h))
	if k.full {
		b = k.fill(b, k.sizePeer(h)-4, k.hash(h, labelPeer))
	}
	return b
}

// ParsePeer reads a peer.
func (k *book) ParsePeer(b []byte) (ident.Handle, []byte, error) {
	h, rest, err := k.parseHandle(b)
	if err != nil || !k.full {
		return h, rest, err
	}
	rest, err = k.skip(rest, k.sizePeer(h)-4, k.hash(h, labelPeer))
	return h, rest, err
}

// AppendID writes the short reference to h.
func (k *book) AppendID(b []byte, h ident.Handle) []byte {
	k.claim(h)
	b = binary.BigEndian.AppendUint32(b, uint32(h))
	if k.full {
		b = k.fill(b, 4, k.hash(h, labelPeer))
	}
	return b
}

// ParseID reads a short reference.
func (k *book) ParseID(b []byte) (ident.Handle, []byte, error) {
	h, rest, err := k.parseHandle(b)
	if err != nil || !k.full {
		return h, rest, err
	}
	rest, err = k.skip(rest, 4, k.hash(h, labelPeer))
	return h, rest, err
}

func (k *book) parseHandle(b []byte) (ident.Handle, []byte, error) {
	if len(b) < 4 {
		return ident.None, nil, errCut
	}
	h := ident.Handle(binary.BigEndian.Uint32(b))
	if !k.known(h) {
		return ident.None, nil, errUnknown
	}
	return h, b[4:], nil
}

func (k *book) sizePeer(h ident.Handle) int {
	if k.hash(h, labelSize)&3 == 0 { // a quarter of the hosts has IPv6
		return sizeIPv6
	}
	return sizeIPv4
}

// fill stands for the n bytes of keys and signatures that a real item has.
func (k *book) fill(b []byte, n int, hash uint64) []byte {
	for i := range n {
		b = append(b, byte(hash>>(i&7*8)))
	}
	return b
}

func (k *book) skip(b []byte, n int, hash uint64) ([]byte, error) {
	if len(b) < n {
		return nil, errCut
	}
	for i, c := range b[:n] {
		if c != byte(hash>>(i&7*8)) {
			return nil, errForged
		}
	}
	return b[n:], nil
}
