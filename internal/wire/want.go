package wire

// Want asks for the signed records of members that a Summary or a notice named.
//
//	peers (1 + n x id)
type Want struct {
	Peers Peers // whose
}

// Append appends the message to b.
func (m *Want) Append(b []byte, book Book) []byte {
	b = header(b, KindWant)
	b = m.Peers.appendIDs(b, book)
	return b
}

// Parse reads the message from b.
func (m *Want) Parse(b []byte, book Book) error {
	r := read(b, KindWant)
	m.Peers = r.ids(book)
	return r.end()
}
