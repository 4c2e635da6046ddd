package wire

// LoginRequest asks a login server for a certificate. It is sent in a session, so the
// asker's session key is proven; the application names the rest.
//
//	nonce 8 | application
type LoginRequest struct {
	Nonce uint64 // drawn by the asker, echoed by the answer
}

// Append appends the message to b.
func (m *LoginRequest) Append(b []byte, book Book) []byte {
	b = header(b, KindLoginRequest)
	b = u64(b, m.Nonce)
	b = book.AppendApplication(b)
	return b
}

// Parse reads the message from b.
func (m *LoginRequest) Parse(b []byte, book Book) error {
	r := read(b, KindLoginRequest)
	m.Nonce = r.u64()
	r.application(book)
	return r.end()
}
