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
	"encoding/binary"
	"errors"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

// Version is the only protocol version that this code speaks.
const Version = 1

// Limits of a message. With a signed member record of at most 340 bytes, a signed
// name record of at most 420 and a peer of at most 51, every message that respects
// them fits into MaxMessage.
const (
	MaxMessage = 1200 // bytes of one control message
	MaxPeers   = 6    // peers in one list: 6 x 39 bytes (IPv4) keep an Offer within 300
	MaxMembers = 3    // signed member records in one message
	MaxNotices = 32   // unsigned notices in one message
	MaxHashes  = 32   // bucket hashes in one digest
	MaxText    = 200  // bytes of a human-readable reason
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

// Kind says which message follows.
type Kind uint8

// The kinds, in the order in which a node's life uses them.
const (
	KindNone Kind = iota
	KindLoginRequest
	KindLoginReply
	KindListRequest
	KindList
	KindProbe
	KindOffer
	KindAttach
	KindAccept
	KindRefuse
	KindKeepalive
	KindKeepaliveAck
	KindNotAttached
	KindGoodbye
	KindPublish
	KindPublishAck
	KindLookup
	KindFound
	KindVerify
	KindDialBackRequest
	KindDialBack
	KindAppoint
	KindPing
	KindPingAck
	KindPingRequest
	KindNews
	KindDigest
	KindSummary
	KindWant
	KindPut
	KindPutAck
	KindGet
	KindGot
	KindRelayOpen
	KindRelayReady
	KindRelayIncoming
	KindRelayAck
	KindRelayClose
	kinds // how many there are
)

var kindNames = [kinds]string{
	"none", "login-request", "login-reply", "list-request", "list", "probe", "offer", "attach", "accept", "refuse",
	"keepalive", "keepalive-ack", "not-attached", "goodbye", "publish", "publish-ack", "lookup", "found", "verify",
	"dial-back-request", "dial-back", "appoint", "ping", "ping-ack", "ping-request", "news", "digest", "summary", "want",
	"put", "put-ack", "get", "got", "relay-open", "relay-ready", "relay-incoming", "relay-ack", "relay-close",
}

// String returns the name of the kind as it stands in traces and counters.
func (k Kind) String() string {
	if k < kinds {
		return kindNames[k]
	}
	return "unknown"
}

// Kinds returns how many kinds there are, KindNone included: the size of a table
// that counts by kind.
func Kinds() int { return int(kinds) }

// KindOf returns the kind of a message, or KindNone when b is not one.
func KindOf(b []byte) Kind {
	if len(b) < 2 || b[0] != Version || Kind(b[1]) >= kinds {
		return KindNone
	}
	return Kind(b[1])
}

// Plain reports whether messages of kind k travel outside of a session: they come
// before one exists and prove nothing about their sender.
func (k Kind) Plain() bool { return k == KindProbe || k == KindOffer || k == KindDialBack }

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

// State is what is believed of a supernode.
type State uint8

// The states, in the order in which a later one overrules an earlier one of the same
// incarnation.
const (
	Alive State = iota
	Suspect
	Dead
	Left
)

// Notice is unsigned news about a supernode: what the sender believes of it. A Member
// of a later incarnation refutes it. Nobody is believed alive on the word of a notice.
type Notice struct {
	Peer  ident.Handle
	Inc   uint32
	State State
}

// Peers is a list of at most MaxPeers peers, without allocation.
type Peers struct {
	n    uint8
	list [MaxPeers]ident.Handle
}

// Add appends h unless it is None, already there, or the list is full.
func (p *Peers) Add(h ident.Handle) {
	if h == ident.None || int(p.n) == MaxPeers || p.Has(h) {
		return
	}
	p.list[p.n] = h
	p.n++
}

// Has reports whether h is in the list.
func (p *Peers) Has(h ident.Handle) bool {
	for _, x := range p.list[:p.n] {
		if x == h {
			return true
		}
	}
	return false
}

// All returns the peers. The slice shares the list's memory.
func (p *Peers) All() []ident.Handle { return p.list[:p.n] }

// Members is a list of at most MaxMembers supernodes. Inc matters when this node
// itself is among them.
type Members struct {
	n    uint8
	list [MaxMembers]Member
}

// Add appends m and reports whether there was room.
func (l *Members) Add(m Member) bool {
	if int(l.n) == MaxMembers {
		return false
	}
	l.list[l.n] = m
	l.n++
	return true
}

// All returns the members. The slice shares the list's memory.
func (l *Members) All() []Member { return l.list[:l.n] }

// Notices is a list of at most MaxNotices notices.
type Notices struct {
	n    uint8
	list [MaxNotices]Notice
}

// Add appends n and reports whether there was room.
func (l *Notices) Add(n Notice) bool {
	if int(l.n) == MaxNotices {
		return false
	}
	l.list[l.n] = n
	l.n++
	return true
}

// All returns the notices. The slice shares the list's memory.
func (l *Notices) All() []Notice { return l.list[:l.n] }

// Tier is what a supernode tells of the whole tier: the input of promotion.
type Tier struct {
	Util     uint8  // mean utilisation in 1/128: 0 to 166 (1.3)
	Alive    uint32 // supernodes believed alive
	Eligible uint32 // nodes known to be able to become one
}

func header(b []byte, k Kind) []byte { return append(b, Version, byte(k)) }

func u16(b []byte, v uint16) []byte { return binary.BigEndian.AppendUint16(b, v) }
func u32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }
func u64(b []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(b, v) }

func flag(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// wait writes d in milliseconds, rounded up, saturating at 49 days.
func wait(b []byte, d vtime.Duration) []byte {
	if d < 0 {
		d = 0
	}
	ms := (d + vtime.Millisecond - 1) / vtime.Millisecond
	if ms > 1<<32-1 {
		ms = 1<<32 - 1
	}
	return u32(b, uint32(ms))
}

func (t Tier) append(b []byte) []byte {
	return u32(u32(append(b, t.Util), t.Alive), t.Eligible)
}

func (p *Peers) append(b []byte, book Book) []byte {
	b = append(b, p.n)
	for _, h := range p.All() {
		b = book.AppendPeer(b, h)
	}
	return b
}

// reader takes fields from the front of a message. After the first failure it
// returns zeros, so that a Parse checks once, at its end.
type reader struct {
	b   []byte
	err error
}

func read(b []byte, k Kind) reader {
	switch {
	case len(b) < 2:
		return reader{err: ErrShort}
	case b[0] != Version:
		return reader{err: ErrVersion}
	case Kind(b[1]) != k:
		return reader{err: ErrKind}
	case len(b) > MaxMessage:
		return reader{err: ErrLimit}
	}
	return reader{b: b[2:]}
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err, r.b = err, nil
	}
}

func (r *reader) take(n int) []byte {
	if len(r.b) < n {
		r.fail(ErrShort)
		return nil
	}
	t := r.b[:n]
	r.b = r.b[n:]
	return t
}

func (r *reader) u8() uint8 {
	if t := r.take(1); t != nil {
		return t[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if t := r.take(2); t != nil {
		return binary.BigEndian.Uint16(t)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if t := r.take(4); t != nil {
		return binary.BigEndian.Uint32(t)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if t := r.take(8); t != nil {
		return binary.BigEndian.Uint64(t)
	}
	return 0
}

// upto reads a byte that may be at most max.
func (r *reader) upto(max uint8) uint8 {
	v := r.u8()
	if v > max {
		r.fail(ErrValue)
		return 0
	}
	return v
}

func (r *reader) flag() bool { return r.upto(1) == 1 }

func (r *reader) wait() vtime.Duration { return vtime.Duration(r.u32()) * vtime.Millisecond }

// count reads the length byte of a list.
func (r *reader) count(max int) int {
	n := int(r.u8())
	if n > max {
		r.fail(ErrLimit)
		return 0
	}
	return n
}

func (r *reader) tier() Tier {
	return Tier{Util: r.upto(MaxUtil), Alive: r.u32(), Eligible: r.u32()}
}

// MaxUtil is the largest utilisation that is believed: 1.3 in 1/128.
const MaxUtil = 166

func (r *reader) peer(book Book) (h ident.Handle) {
	if r.err != nil {
		return ident.None
	}
	h, rest, err := book.ParsePeer(r.b)
	if err != nil {
		r.fail(err)
		return ident.None
	}
	r.b = rest
	return h
}

func (r *reader) id(book Book) (h ident.Handle) {
	if r.err != nil {
		return ident.None
	}
	h, rest, err := book.ParseID(r.b)
	if err != nil {
		r.fail(err)
		return ident.None
	}
	r.b = rest
	return h
}

func (r *reader) peers(book Book) (p Peers) {
	for range r.count(MaxPeers) {
		p.Add(r.peer(book))
	}
	return p
}

func (r *reader) member(book Book) (m Member) {
	if r.err != nil {
		return m
	}
	m, rest, err := book.ParseMember(r.b)
	if err != nil {
		r.fail(err)
		return Member{}
	}
	r.b = rest
	return m
}

func (r *reader) record(book Book) (rec Record) {
	if r.err != nil {
		return rec
	}
	rec, rest, err := book.ParseRecord(r.b)
	if err != nil {
		r.fail(err)
		return Record{}
	}
	r.b = rest
	return rec
}

func (l *Members) append(b []byte, book Book) []byte {
	b = append(b, l.n)
	for _, m := range l.All() {
		b = book.AppendMember(b, m.Peer, m.Inc)
	}
	return b
}

func (r *reader) members(book Book) (l Members) {
	for range r.count(MaxMembers) {
		l.Add(r.member(book))
	}
	return l
}

func (l *Notices) append(b []byte, book Book) []byte {
	b = append(b, l.n)
	for _, n := range l.All() {
		b = book.AppendID(b, n.Peer)
		b = append(u32(b, n.Inc), byte(n.State))
	}
	return b
}

func (r *reader) notices(book Book) (l Notices) {
	for range r.count(MaxNotices) {
		l.Add(Notice{Peer: r.id(book), Inc: r.u32(), State: State(r.upto(uint8(Left)))})
	}
	return l
}

func (r *reader) bytes(max int) []byte {
	n := int(r.u8())
	if n > max {
		r.fail(ErrLimit)
		return nil
	}
	return r.take(n)
}

// end returns the first failure, or ErrLong when bytes are left.
func (r *reader) end() error {
	if r.err == nil && len(r.b) != 0 {
		return ErrLong
	}
	return r.err
}

func (r *reader) application(book Book) {
	if r.err != nil {
		return
	}
	rest, err := book.ParseApplication(r.b)
	if err != nil {
		r.fail(err)
		return
	}
	r.b = rest
}

func (r *reader) certificate(book Book) {
	if r.err != nil {
		return
	}
	rest, err := book.ParseCertificate(r.b)
	if err != nil {
		r.fail(err)
		return
	}
	r.b = rest
}

// padding reads zeros up to the end of a message of n bytes, which must be size long.
func (r *reader) padding(n, size int) {
	if n != size {
		r.fail(ErrShort)
		return
	}
	for _, c := range r.take(len(r.b)) {
		if c != 0 {
			r.fail(ErrValue)
			return
		}
	}
}

func appendText(b, text []byte) []byte {
	if len(text) > MaxText {
		text = text[:MaxText]
	}
	return append(append(b, byte(len(text))), text...)
}

func (p *Peers) appendIDs(b []byte, book Book) []byte {
	b = append(b, p.n)
	for _, h := range p.All() {
		b = book.AppendID(b, h)
	}
	return b
}

func (r *reader) ids(book Book) (p Peers) {
	for range r.count(MaxPeers) {
		p.Add(r.id(book))
	}
	return p
}
