package runtime

import (
	"errors"
	"net/netip"
	"time"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
	"github.com/ada420b6/overlay/internal/login"
)

// Grace is how long a certificate is still believed after its end. Healing must not
// depend on login servers (rule R4): they may be away for the last quarter of every
// certificate's life, and for a week more. Longer: a name that the operator gave to
// somebody else is contested for longer.
const Grace = 7 * 24 * time.Hour

// Errors of the Parse methods: what a peer can do wrong. The core counts them.
var (
	errShort     = errors.New("runtime: an item is cut short")
	errAddress   = errors.New("runtime: not an address that can be sent to")
	errKey       = errors.New("runtime: not a key")
	errSignature = errors.New("runtime: signature does not verify")
	errSeq       = errors.New("runtime: sequence number is not of the certificate's generation")
	errCount     = errors.New("runtime: too many attachments")
	errNotOurs   = errors.New("runtime: certificate is not for this node")
)

// rank says how an address was learned. A later one replaces an earlier one of the same
// rank or below; but hearsay replaces nothing, else whoever speaks last cuts a peer off.
type rank uint8

const (
	hearsay rank = iota + 1 // somebody named it
	kept                    // it came back from this node's disk: it was good once
	signed                  // the peer's own member record says so
	proven                  // an authenticated session came from there
)

// entry is what is known of a peer. An entry that was named by ID only has no key.
type entry struct {
	id    ident.ID
	key   ident.Key
	keyed bool
	used  bool // not on the free list
	login bool // a login server: all of them share one key
	rank  rank
	addr  netip.AddrPort
	other netip.AddrPort // what was said later and counts for less
	tries uint8          // calls since the peer was last heard

	member memberBlob
	record recordBlob

	// What a login server keeps between an application and its answer.
	request login.Request
	applied bool
	issued  []byte
}

// Book is the runtime's core.Book: a slice by handle, and maps that are only ever
// looked up in. It belongs to the loop's goroutine.
type Book struct {
	network cert.PublicKey
	id      cert.NetworkID
	trusted bool                 // what is parsed comes from this node's own disk
	live    func(ident.Key) bool // there is a session with whoever has this key; nil for never
	keys    cert.KeyPair
	name    string
	slots   uint32
	time    *networkTime

	self    ident.Handle
	own     cert.Certificate // the zero value until there is one
	encoded []byte           // own, encoded
	address netip.AddrPort   // where this node can be reached from outside

	from    ident.Handle // whose message is being parsed
	entries []entry      // entries[0] is nobody
	free    []ident.Handle
	byKey   map[ident.Key]ident.Handle
	byID    map[ident.ID]ident.Handle
	inUse   int // entries that the last sweep found in use
	n       BookCounters

	application []byte    // signed once
	signed      ownRecord // the newest own name record
	announced   ownMember // the newest own member record
	seal        uint16    // edition of the newest own member record
}

// BookCounters says what was wrong with what peers sent, and what the book was asked
// for and did not have.
type BookCounters struct {
	BadCertificate uint64 // not of this network, or expired
	BadSignature   uint64 // an item that its owner did not sign
	Malformed      uint64 // an item that breaks the form
	Unwritable     uint64 // an item that was to be written and is not known
	Swept          uint64 // entries that were forgotten because nothing refers to them
}

// newBook returns a book with one entry, this node itself.
func newBook(network cert.PublicKey, keys cert.KeyPair, name string, slots uint32) *Book {
	k := &Book{
		network: network,
		id:      network.ID(),
		keys:    keys,
		name:    name,
		slots:   slots,
		time:    newNetworkTime(keys.Session()),
		entries: make([]entry, 1),
		byKey:   make(map[ident.Key]ident.Handle),
		byID:    make(map[ident.ID]ident.Handle),
	}
	k.self = k.intern(keys.Session())
	return k
}

// at returns the entry of h, which must be in use: a handle that is not was kept beyond
// its life.
func (k *Book) at(h ident.Handle) *entry {
	invariant.Check(h != ident.None && !h.Transient() && int(h) < len(k.entries) && k.entries[h].used,
		"runtime: a handle is used that the book does not know")
	return &k.entries[h]
}

// find returns the handle of a key, None when it has none.
func (k *Book) find(key ident.Key) ident.Handle { return k.byKey[key] }

// intern returns the handle of a key, and makes one if it has none. An entry that was
// known by ID only is completed.
func (k *Book) intern(key ident.Key) ident.Handle {
	if h, ok := k.byKey[key]; ok {
		return h
	}
	id := key.ID()
	h, ok := k.byID[id]
	if !ok || k.entries[h].keyed { // two keys with one ID: the second is found by key only
		h = k.take()
		if !ok {
			k.byID[id] = h
		}
	}
	e := &k.entries[h]
	e.id, e.key, e.keyed = id, key, true
	k.byKey[key] = h
	return h
}

// internID returns the handle of an ID, and makes one if it has none.
func (k *Book) internID(id ident.ID) ident.Handle {
	if h, ok := k.byID[id]; ok {
		return h
	}
	h := k.take()
	k.entries[h].id = id
	k.byID[id] = h
	return h
}

// internLogin makes an entry for one login server. All share the network's session
// key; which of them a packet came from is told by its address.
func (k *Book) internLogin(key ident.Key, at netip.AddrPort) ident.Handle {
	h := k.find(key)
	if h == ident.None {
		h = k.intern(key)
	} else {
		h = k.take()
		e := &k.entries[h]
		e.id, e.key, e.keyed = key.ID(), key, true
	}
	e := &k.entries[h]
	e.login, e.addr, e.rank = true, at, proven
	return h
}

// take returns a free entry.
func (k *Book) take() ident.Handle {
	if n := len(k.free); n > 0 {
		h := k.free[n-1]
		k.free = k.free[:n-1]
		k.entries[h] = entry{used: true}
		return h
	}
	k.entries = append(k.entries, entry{used: true})
	return ident.Handle(len(k.entries) - 1)
}

// size returns how many entries are in use.
func (k *Book) size() int { return len(k.entries) - 1 - len(k.free) }

// learn notes an address, unless one is known that counts for more; then it is only tried
// in turn with that. A login server stays where its invite says.
func (k *Book) learn(h ident.Handle, at netip.AddrPort, r rank) {
	e := k.at(h)
	switch {
	case !at.IsValid() || e.login || h == k.self:
	case e.addr.IsValid() && (r < e.rank || r == hearsay):
		if at != e.addr {
			e.other = at
		}
	default:
		e.addr, e.rank = at, r
		if e.other == at {
			e.other = netip.AddrPort{}
		}
	}
}

// call returns the address to call h at, without a session. What one hostile peer says
// must not cut h off, and what was proven once must not either when h has moved: while h
// is not heard, both are tried in turn.
func (k *Book) call(h ident.Handle) netip.AddrPort {
	e := k.at(h)
	e.tries++
	if e.other.IsValid() && e.tries%2 == 0 {
		return e.other
	}
	return e.addr
}

// heard notes that h answers at an address.
func (k *Book) heard(h ident.Handle, at netip.AddrPort, r rank) {
	k.learn(h, at, r)
	k.at(h).tries = 0
}

// ID returns the hash of h's key.
func (k *Book) ID(h ident.Handle) ident.ID { return k.at(h).id }

// Group returns h's address group, 0 when it says nothing.
func (k *Book) Group(h ident.Handle) ident.Group {
	if h == k.self {
		return groupOf(k.address)
	}
	return groupOf(k.at(h).addr)
}

// Slots returns how many normal slots h offers.
func (k *Book) Slots(h ident.Handle) uint32 {
	if h == k.self {
		return k.slots
	}
	return k.at(h).member.slots
}
