package core

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/wire"
)

// EffectKind says what the driver shall do. The set is closed.
type EffectKind uint8

// The effects.
const (
	EffectSend        EffectKind = iota // send Bytes to Peer
	EffectAttached                      // an attachment to Peer stands; Count says how many do now
	EffectDetached                      // the attachment to Peer is gone; Count says how many are left
	EffectPromoted                      // the node is a supernode now
	EffectDemoted                       // the node is an ordinary node again
	EffectFound                         // look-up Query is over: Status, and Record when found
	EffectCertified                     // a certificate came (ParseCertificate kept it): persist it and say when to renew
	EffectDenied                        // the login server said no: Status and Text
	EffectApplication                   // login server: decide the application of Peer, then InputIssued with Query
	EffectChannel                       // channel Query64 with Peer by way of Relay is open
	EffectChannelOver                   // channel Channel by way of Relay ends, or works no more: use another
	EffectNoChannel                     // no channel to Peer can be had: Status
	EffectForward                       // relay: forward channel Channel between Peer and Relay
	EffectUnforward                     // relay: forget channel Channel
	EffectForget                        // the session with Peer is no longer needed
	EffectSave                          // the host cache or the roster has changed enough to be kept
	EffectLeft                          // InputLeave is done: nothing is held any more
	EffectPresence                      // what is known of the owner of Record.Name is now Status, a Presence
	EffectStorm                         // the storm level that the node sees is now Count
)

// Effect is one thing that the driver shall do.
type Effect struct {
	Kind  EffectKind
	Plain bool // send outside of any session
	Fresh bool // begin a new session with this message
	// Elsewhere asks to send from an address that the peer has never written to, if
	// the driver has one: the point of a DialBack.
	Elsewhere bool
	Count     uint8
	Status    uint8

	Peer    ident.Handle
	Relay   ident.Handle
	Query   uint32
	Channel uint64
	off, n  uint32 // where Effects holds the bytes
	Record  wire.Record
}

// Effects is a buffer that Step appends to. The driver owns it, empties it with Reset
// and hands it in again, so that steady state allocates nothing.
type Effects struct {
	List []Effect
	buf  []byte
}

// Reset empties the buffer and keeps its memory.
func (e *Effects) Reset() { e.List, e.buf = e.List[:0], e.buf[:0] }

// Bytes returns what belongs to f: the message of EffectSend, the text of
// EffectDenied. It is valid until Reset.
func (e *Effects) Bytes(f *Effect) []byte { return e.buf[f.off : f.off+f.n] }

func (e *Effects) add(f Effect) { e.List = append(e.List, f) }

// begin returns the buffer to append a message to; send or sendPlain ends it.
func (e *Effects) begin() []byte { return e.buf }

func (e *Effects) send(to ident.Handle, b []byte, fresh bool) {
	e.push(Effect{Kind: EffectSend, Peer: to, Fresh: fresh}, b)
}

func (e *Effects) sendPlain(to ident.Handle, b []byte) {
	e.push(Effect{Kind: EffectSend, Peer: to, Plain: true}, b)
}

// push adds f with the bytes that b holds beyond the buffer.
func (e *Effects) push(f Effect, b []byte) {
	f.off, f.n = uint32(len(e.buf)), uint32(len(b)-len(e.buf))
	e.buf = b
	e.List = append(e.List, f)
}
