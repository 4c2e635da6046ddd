package wire

// ListRequest asks a login server who the supernodes are: the last resort of a node that
// finds none by itself.
//
//	nonce 8 | willing 1
type ListRequest struct {
	Nonce   uint64 // drawn by the asker, echoed by the answer
	Willing bool   // the asker may be told to start the tier
}

// Append appends the message to b.
func (m *ListRequest) Append(b []byte, _ Book) []byte {
	b = header(b, KindListRequest)
	b = u64(b, m.Nonce)
	b = flag(b, m.Willing)
	return b
}

// Parse reads the message from b.
func (m *ListRequest) Parse(b []byte, _ Book) error {
	r := read(b, KindListRequest)
	m.Nonce = r.u64()
	m.Willing = r.flag()
	return r.end()
}
