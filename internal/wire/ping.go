package wire

// Ping asks whether a supernode lives.
//
//	seq 4
type Ping struct {
	Seq uint32 // drawn by the asker, echoed by the answer
}

// Append appends the message to b.
func (m *Ping) Append(b []byte, _ Book) []byte {
	b = header(b, KindPing)
	b = u32(b, m.Seq)
	return b
}

// Parse reads the message from b.
func (m *Ping) Parse(b []byte, _ Book) error {
	r := read(b, KindPing)
	m.Seq = r.u32()
	return r.end()
}
