package wire

// PublishAck says that a Publish has been taken.
//
//	seq 8
type PublishAck struct {
	Seq uint64 // of the record
}

// Append appends the message to b.
func (m *PublishAck) Append(b []byte, _ Book) []byte {
	b = header(b, KindPublishAck)
	b = u64(b, m.Seq)
	return b
}

// Parse reads the message from b.
func (m *PublishAck) Parse(b []byte, _ Book) error {
	r := read(b, KindPublishAck)
	m.Seq = r.u64()
	return r.end()
}
