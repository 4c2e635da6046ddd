package wire

import (
	"github.com/ada420b6/overlay/internal/ident"
)

// DialBackRequest asks another supernode to dial a node back.
//
//	nonce 8 | target (peer)
type DialBackRequest struct {
	Nonce  uint64       // of the Verify
	Target ident.Handle // the node, at the address it was seen from
}

// Append appends the message to b.
func (m *DialBackRequest) Append(b []byte, book Book) []byte {
	b = header(b, KindDialBackRequest)
	b = u64(b, m.Nonce)
	b = book.AppendPeer(b, m.Target)
	return b
}

// Parse reads the message from b.
func (m *DialBackRequest) Parse(b []byte, book Book) error {
	r := read(b, KindDialBackRequest)
	m.Nonce = r.u64()
	m.Target = r.peer(book)
	return r.end()
}
