package wire

import (
	"github.com/ada420b6/overlay/internal/ident"
)

// Get asks a replica for a record.
//
//	id 4 | name 8
type Get struct {
	ID   uint32       // drawn by the asker, echoed by the answer
	Name ident.NameID // whose
}

// Append appends the message to b.
func (m *Get) Append(b []byte, _ Book) []byte {
	b = header(b, KindGet)
	b = u32(b, m.ID)
	b = u64(b, uint64(m.Name))
	return b
}

// Parse reads the message from b.
func (m *Get) Parse(b []byte, _ Book) error {
	r := read(b, KindGet)
	m.ID = r.u32()
	m.Name = ident.NameID(r.u64())
	return r.end()
}
