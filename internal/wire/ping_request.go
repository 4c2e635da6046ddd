package wire

import (
	"github.com/ada420b6/overlay/internal/ident"
)

// PingRequest asks a supernode to ping another one on the sender's behalf.
//
//	seq 4 | target (id)
type PingRequest struct {
	Seq    uint32       // drawn by the asker, echoed by the answer
	Target ident.Handle // whom to ping
}

// Append appends the message to b.
func (m *PingRequest) Append(b []byte, book Book) []byte {
	b = header(b, KindPingRequest)
	b = u32(b, m.Seq)
	b = book.AppendID(b, m.Target)
	return b
}

// Parse reads the message from b.
func (m *PingRequest) Parse(b []byte, book Book) error {
	r := read(b, KindPingRequest)
	m.Seq = r.u32()
	m.Target = r.id(book)
	return r.end()
}
