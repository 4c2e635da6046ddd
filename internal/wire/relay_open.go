package wire

import (
	"github.com/ada420b6/overlay/internal/ident"
)

// RelayOpen asks a supernode to forward datagrams between the sender and a node that is
// attached to it. Sent again, it keeps the channel open.
//
//	call 4 | target (peer)
type RelayOpen struct {
	Call   uint32       // drawn by the asker, echoed by the answer
	Target ident.Handle // whom to reach
}

// Append appends the message to b.
func (m *RelayOpen) Append(b []byte, book Book) []byte {
	b = header(b, KindRelayOpen)
	b = u32(b, m.Call)
	b = book.AppendPeer(b, m.Target)
	return b
}

// Parse reads the message from b.
func (m *RelayOpen) Parse(b []byte, book Book) error {
	r := read(b, KindRelayOpen)
	m.Call = r.u32()
	m.Target = r.peer(book)
	return r.end()
}
