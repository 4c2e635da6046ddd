package wire

import (
	"github.com/ada420b6/overlay/internal/ident"
)

// Lookup asks a supernode where a name can be reached.
//
//	query 4 | name 8 | floor 8
type Lookup struct {
	Query uint32       // drawn by the asker
	Name  ident.NameID // the name
	Floor uint64       // sequence number below which an answer is stale
}

// Append appends the message to b.
func (m *Lookup) Append(b []byte, _ Book) []byte {
	b = header(b, KindLookup)
	b = u32(b, m.Query)
	b = u64(b, uint64(m.Name))
	b = u64(b, m.Floor)
	return b
}

// Parse reads the message from b.
func (m *Lookup) Parse(b []byte, _ Book) error {
	r := read(b, KindLookup)
	m.Query = r.u32()
	m.Name = ident.NameID(r.u64())
	m.Floor = r.u64()
	return r.end()
}
