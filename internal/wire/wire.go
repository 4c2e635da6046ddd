// Package wire is the layout of every control message, one file per message.
//
// A message is bytes from the moment the core decides to send it: the core appends
// it with Append and reads it with Parse, and whoever carries it in between, a socket
// or the simulator's queue, sees bytes only. A message names peers by handle; what a
// handle looks like on the wire (a key, an address, a signature) is the Book's
// business, so the same code writes 39 bytes for a peer in the runtime and 4 in a
// simulation of ten million.
//
// Every message begins with two bytes:
//
//	 0        1        2
//	+--------+--------+----------------
//	|version |  kind  | fields ...
//	+--------+--------+----------------
//
// Integers are big-endian. Waits are relative, in milliseconds: no wall clock is in
// any message. A list is one length byte and its items; its maximum is named here and
// checked before anything is read. Nothing may follow the last field.
package wire

import (
	"errors"

	"github.com/ada420b6/overlay/internal/ident"
)

// Version is the only protocol version that this code speaks.
const Version = 1

// Largest items that a Book may write, in bytes.
const (
	PeerSize   = 51  // key 32 and an IPv6 address with its port; 39 with IPv4
	MemberSize = 340 // a signed member record
	RecordSize = 420 // a signed name record
)

// Limits of a message. With items of at most the sizes above every message that
// respects them fits into MaxMessage.
const (
	MaxMessage = 1200 // bytes of one control message
	MaxPeers   = 6    // peers in one list: 6 x 39 bytes (IPv4) keep an Offer within 300
	MaxMembers = 3    // signed member records in one message
	MaxNotices = 32   // unsigned notices in one message
	MaxHashes  = 32   // bucket hashes in one digest
	MaxText    = 200  // bytes of a human-readable reason
	MaxStorm   = 3    // the highest storm level
)

// Errors of Parse. A peer's bad message is one of these, counted and dropped.
var (
	ErrShort   = errors.New("wire: message is cut short")
	ErrLong    = errors.New("wire: bytes follow the last field")
	ErrVersion = errors.New("wire: unknown version")
	ErrKind    = errors.New("wire: not the kind that was asked for")
	ErrLimit   = errors.New("wire: a list or field is beyond its limit")
	ErrValue   = errors.New("wire: a field has a value that is not allowed")
)

// Book translates between handles and their form on the wire. Append methods append
// to b; Parse methods return what is left behind the item. A Parse that meets a
// signature which does not verify returns an error.
type Book interface {
	// AppendPeer writes how to reach h: key and address.
	AppendPeer(b []byte, h ident.Handle) []byte
	ParsePeer(b []byte) (h ident.Handle, rest []byte, err error)
	// AppendID writes the short, unsigned reference to h. ParseID enters a peer that
	// is not in the book yet by that reference alone.
	AppendID(b []byte, h ident.Handle) []byte
	ParseID(b []byte) (h ident.Handle, rest []byte, err error)
	// AppendMember writes the newest supernode record of h, signed by h. Its
	// incarnation is inc only when h is this node itself.
	AppendMember(b []byte, h ident.Handle, inc uint32) []byte
	ParseMember(b []byte) (m Member, rest []byte, err error)
	// AppendRecord writes the name record r, signed by its owner. This node's own is
	// signed on the way out.
	AppendRecord(b []byte, r Record) []byte
	ParseRecord(b []byte) (r Record, rest []byte, err error)
	// AppendApplication writes this node's request for a certificate;
	// ParseApplication skips one, which the login server's driver keeps for from.
	AppendApplication(b []byte) []byte
	ParseApplication(b []byte) (rest []byte, err error)
	// AppendCertificate writes the certificate that the login server's driver has
	// issued to h; ParseCertificate verifies and keeps this node's own.
	AppendCertificate(b []byte, h ident.Handle) []byte
	ParseCertificate(b []byte) (rest []byte, err error)
}

// Record says where a name can be reached now.
type Record struct {
	Name  ident.NameID    // 0 for a contribute-only node, which has none
	Owner ident.Handle    // whose name it is, and who signed
	Seq   uint64          // a later one replaces an earlier one
	At    [2]ident.Handle // the supernodes that hold the owner's attachments, None where there is none
}

// Member is a supernode's own announcement, signed by it.
type Member struct {
	Peer ident.Handle
	Inc  uint32 // incarnation: a later one replaces an earlier one
}
