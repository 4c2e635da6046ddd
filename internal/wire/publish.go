package wire

// Publish gives a supernode the newer record of a node attached to it.
//
//	record
type Publish struct {
	Record Record // the node's own
}

// Append appends the message to b.
func (m *Publish) Append(b []byte, book Book) []byte {
	b = header(b, KindPublish)
	b = book.AppendRecord(b, m.Record)
	return b
}

// Parse reads the message from b.
func (m *Publish) Parse(b []byte, book Book) error {
	r := read(b, KindPublish)
	m.Record = r.record(book)
	return r.end()
}
