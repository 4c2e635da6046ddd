package wire

// Put stores a record at a replica of its zone.
//
//	id 4 | record
type Put struct {
	ID     uint32 // drawn by the sender, echoed by the answer
	Record Record // signed by its owner
}

// Append appends the message to b.
func (m *Put) Append(b []byte, book Book) []byte {
	b = header(b, KindPut)
	b = u32(b, m.ID)
	b = book.AppendRecord(b, m.Record)
	return b
}

// Parse reads the message from b.
func (m *Put) Parse(b []byte, book Book) error {
	r := read(b, KindPut)
	m.ID = r.u32()
	m.Record = r.record(book)
	return r.end()
}
