// Package ident names things: nodes, names, address groups.
package ident

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/dchest/siphash"
)

// Handle is a peer as the core sees it: a small integer. The driver keeps the book
// from handle to key and address; in the simulator the handle is the node's index
// plus one.
type Handle uint32

// None is the handle of nobody.
const None Handle = 0

// transientBit marks a handle that is valid only during the Step it was handed to.
const transientBit Handle = 1 << 31

// Transient returns the n-th transient handle: the sender of a datagram that proved
// nothing yet. Strangers can create any number of them, so the core must not keep one.
func Transient(n uint32) Handle { return transientBit | Handle(n)&^transientBit }

// Transient reports whether h is valid only during the Step it was handed to.
func (h Handle) Transient() bool { return h&transientBit != 0 }

// Key is a node's static X25519 key: what a session is bound to.
type Key [32]byte

// ID is the 64-bit hash of a node's key: the order of the roster and the input of the
// rendezvous hash.
type ID uint64

// ID returns the hash of k.
func (k Key) ID() ID { return ID(siphash.Hash(0x6f7665726c617931, 0x6b65792d69642d31, k[:])) }

// NameID is the 64-bit hash of a name, by which the directory stores it. Two names
// may collide; the certificate inside a record holds the name itself, and a reader
// compares that.
type NameID uint64

// Zones is the number of zones of the directory (PROTOCOL.md section 6).
const Zones = 1 << 16

// Zone is a share of the directory: the top bits of a NameID.
type Zone uint16

// Zone returns the zone that n falls into.
func (n NameID) Zone() Zone { return Zone(n >> 48) }

// HashName returns the NameID of a valid name. The empty name has none: 0.
func HashName(name string) NameID {
	if name == "" {
		return 0
	}
	id := NameID(siphash.Hash(0x6f7665726c617931, 0x6e616d652d69642d, []byte(name)))
	if id == 0 {
		id = 1
	}
	return id
}

// MaxName is the longest name, in bytes: a DNS label, so that a name fits where host
// names fit.
const MaxName = 63

// ErrName is the error of CheckName; the message names the rule that was broken.
var ErrName = errors.New("invalid name")

// CheckName says whether name may be given to a node: 1 to 63 bytes out of a-z, 0-9,
// '-' and '.', beginning and ending with a letter or a digit.
func CheckName(name string) error {
	if name == "" {
		return fmt.Errorf("%w: empty", ErrName)
	}
	if len(name) > MaxName {
		return fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrName, len(name), MaxName)
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		alnum := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
		if !alnum && c != '-' && c != '.' {
			r, _ := utf8.DecodeRuneInString(name[i:])
			return fmt.Errorf("%w %q: byte %d is %q, allowed are a-z, 0-9, '-' and '.'", ErrName, name, i, r)
		}
		if !alnum && (i == 0 || i == len(name)-1) {
			return fmt.Errorf("%w %q: must begin and end with a letter or a digit", ErrName, name)
		}
	}
	return nil
}

// Group is an address group: the /16 of an IPv4 address or the /48 of an IPv6
// address, hashed. Peers in one group are likely to fail, or to lie, together.
type Group uint32
