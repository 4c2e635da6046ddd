package wire

import (
	"github.com/ada420b6/overlay/internal/ident"
)

// RelayIncoming tells a node that a channel to it has been opened.
//
//	channel 8 | caller (peer)
type RelayIncoming struct {
	Channel uint64       // names the channel on every datagram
	Caller  ident.Handle // who is at the other end
}

// Append appends the message to b.
func (m *RelayIncoming) Append(b []byte, book Book) []byte {
	b = header(b, KindRelayIncoming)
	b = u64(b, m.Channel)
	b = book.AppendPeer(b, m.Caller)
	return b
}

// Parse reads the message from b.
func (m *RelayIncoming) Parse(b []byte, book Book) error {
	r := read(b, KindRelayIncoming)
	m.Channel = r.u64()
	m.Caller = r.peer(book)
	return r.end()
}
