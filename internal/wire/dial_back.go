package wire

// DialBack reaches a node from an address it never wrote to: the proof that it can be
// reached from outside.
//
//	nonce 8
type DialBack struct {
	Nonce uint64 // of the Verify
}

// Append appends the message to b.
func (m *DialBack) Append(b []byte, _ Book) []byte {
	b = header(b, KindDialBack)
	b = u64(b, m.Nonce)
	return b
}

// Parse reads the message from b.
func (m *DialBack) Parse(b []byte, _ Book) error {
	r := read(b, KindDialBack)
	m.Nonce = r.u64()
	return r.end()
}
