package runtime

import (
	"encoding/binary"

	"github.com/dchest/siphash"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
)

// encodeTickets returns the node's tickets as they are kept: mark 4 | peer, the latest
// first.
func encodeTickets(k *Book, tickets core.Tickets) (b []byte) {
	for _, t := range tickets {
		if t.Peer != ident.None && k.at(t.Peer).addr.IsValid() {
			b = k.AppendPeer(binary.BigEndian.AppendUint32(b, t.Mark), t.Peer)
		}
	}
	return b
}

// decodeTickets reads them back. What does not parse ends it.
func decodeTickets(k *Book, b []byte) (tickets core.Tickets) {
	for i := 0; i < len(tickets) && len(b) > 4; i++ {
		h, rest, err := k.parsePeer(b[4:], kept)
		if err != nil {
			return tickets
		}
		tickets[i] = core.Ticket{Peer: h, Mark: binary.BigEndian.Uint32(b)}
		b = rest
	}
	return tickets
}

// ticketKey keys the tickets that this node gives. It is made from the node's own secret,
// so that it is the same after every start and needs no file.
func ticketKey(keys cert.KeyPair) (k [2]uint64) {
	secret := keys.SessionPrivate()
	k[0], k[1] = siphash.Hash128(0x7469636b65742d6b, 0x65792d76312d2d2d, secret[:])
	return k
}
