package runtime

import (
	"encoding/binary"

	"github.com/ada420b6/overlay/internal/ident"
)

// A peer is key 32 | address 7 or 19: 39 or 51 bytes. A reference is the ID, 8 bytes.

// AppendPeer writes key and address of h.
func (k *Book) AppendPeer(b []byte, h ident.Handle) []byte {
	e := k.at(h)
	if !e.keyed {
		// The core has named a peer that it knows by ID only. The zero key is what nobody
		// accepts.
		k.n.Unwritable++
	}
	b = append(b, e.key[:]...)
	if h == k.self {
		return appendAddress(b, k.address)
	}
	return appendAddress(b, e.addr)
}

// ParsePeer reads a peer. What it says of the address is hearsay.
func (k *Book) ParsePeer(b []byte) (ident.Handle, []byte, error) { return k.parsePeer(b, hearsay) }

// parsePeer reads a peer whose address counts as r.
func (k *Book) parsePeer(b []byte, r rank) (ident.Handle, []byte, error) {
	if len(b) < len(ident.Key{}) {
		return ident.None, nil, k.malformed(errShort)
	}
	key := ident.Key(b)
	at, rest, err := parseAddress(b[len(key):])
	if err != nil {
		return ident.None, nil, k.malformed(err)
	}
	if key == (ident.Key{}) {
		return ident.None, nil, k.malformed(errKey)
	}
	h := k.intern(key)
	k.learn(h, at, r)
	return h, rest, nil
}

// AppendID writes the short reference to h.
func (k *Book) AppendID(b []byte, h ident.Handle) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(k.at(h).id))
}

// ParseID reads a short reference.
func (k *Book) ParseID(b []byte) (ident.Handle, []byte, error) {
	if len(b) < 8 {
		return ident.None, nil, k.malformed(errShort)
	}
	id := ident.ID(binary.BigEndian.Uint64(b))
	if id == 0 {
		return ident.None, nil, k.malformed(errKey)
	}
	return k.internID(id), b[8:], nil
}

func (k *Book) malformed(err error) error {
	k.n.Malformed++
	return err
}
