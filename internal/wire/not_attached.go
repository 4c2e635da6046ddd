package wire

// NotAttached tells a peer that nothing is known of the attachment it spoke of: this side has
// rebooted or given it up.
//
//	token 4
type NotAttached struct {
	Token uint32 // of the attachment; 0 when the session itself was unknown
}

// Append appends the message to b.
func (m *NotAttached) Append(b []byte, _ Book) []byte {
	b = header(b, KindNotAttached)
	b = u32(b, m.Token)
	return b
}

// Parse reads the message from b.
func (m *NotAttached) Parse(b []byte, _ Book) error {
	r := read(b, KindNotAttached)
	m.Token = r.u32()
	return r.end()
}
