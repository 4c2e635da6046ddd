package wire

import "github.com/ada420b6/overlay/internal/ident"

// Lost tells a node that another supernode which it is attached to is believed dead.
//
//	token 4 | peer
type Lost struct {
	Token uint32 // of the attachment to the sender
	Peer  ident.Handle
}

// Append appends the message to b.
func (m *Lost) Append(b []byte, book Book) []byte {
	b = header(b, KindLost)
	b = u32(b, m.Token)
	return book.AppendPeer(b, m.Peer)
}

// Parse reads the message from b.
func (m *Lost) Parse(b []byte, book Book) error {
	r := read(b, KindLost)
	m.Token = r.u32()
	m.Peer = r.peer(book)
	return r.end()
}
