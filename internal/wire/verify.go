package wire

// Verify asks a supernode to have this node dialled back from elsewhere.
//
//	nonce 8
type Verify struct {
	Nonce uint64 // to be found in the DialBack
}

// Append appends the message to b.
func (m *Verify) Append(b []byte, _ Book) []byte {
	b = header(b, KindVerify)
	b = u64(b, m.Nonce)
	return b
}

// Parse reads the message from b.
func (m *Verify) Parse(b []byte, _ Book) error {
	r := read(b, KindVerify)
	m.Nonce = r.u64()
	return r.end()
}
