package runtime

import (
	"net/netip"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/path"
	"github.com/ada420b6/overlay/internal/session"
)

// The first byte of a datagram is version and type: 1 to 6 are the session's, 9 is a
// packet on a channel (package path), 8 is a plain message:
//
//	head 1 | network 8 | where it is sent to 7 or 19 | message
//
// The address tells the receiver how it is seen from outside: no other message does,
// and a supernode that listens on every address of its machine has nothing else to
// announce. It is believed only as far as observe.go says.
const (
	headPlain = session.Version<<4 | 8

	typeInit = session.Version<<4 | 1
)

// appendPlain writes a plain message for the address to.
func appendPlain(b []byte, network cert.NetworkID, to netip.AddrPort, message []byte) []byte {
	b = append(b, headPlain)
	b = append(b, network[:]...)
	b = appendAddress(b, to)
	return append(b, message...)
}

// parsePlain reads a plain message of the given network.
func parsePlain(b []byte, network cert.NetworkID) (seen netip.AddrPort, message []byte, ok bool) {
	const fixed = 1 + len(network)
	if len(b) < fixed || b[0] != headPlain || cert.NetworkID(b[1:fixed]) != network {
		return seen, nil, false
	}
	seen, message, err := parseAddress(b[fixed:])
	return seen, message, err == nil && len(message) > 0
}

// lane says which queue a datagram waits in.
type lane uint8

const (
	laneNone     lane = iota // not a datagram of this protocol
	laneLive                 // of a session that exists, or an answer to what we asked for
	laneStranger             // whoever sent it asks to be let in
	laneChannel              // forwarded without the machine
)

// laneOf sorts a datagram by its first byte (rule R6): a flood of strangers must not
// delay a session.
func laneOf(b []byte) lane {
	switch {
	case len(b) == 0:
		return laneNone
	case b[0] == path.Head:
		return laneChannel
	case b[0] == headPlain || b[0] == typeInit:
		return laneStranger
	case b[0]>>4 == session.Version && b[0]&15 <= 6:
		return laneLive
	}
	return laneNone
}
