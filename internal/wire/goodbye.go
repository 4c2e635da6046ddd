package wire

// Farewell is why an attachment ended.
type Farewell uint8

// The reasons.
const (
	FarewellLeaving  Farewell = iota // the sender is going down
	FarewellRole                     // the sender changed its role
	FarewellReplaced                 // the node holds enough other attachments
)

// Goodbye ends an attachment on purpose, from either side.
//
//	token 4 | reason 1 | peers (1 + n x peer)
type Goodbye struct {
	Token  uint32   // of the attachment
	Reason Farewell // why
	Peers  Peers    // supernodes to go to
}

// Append appends the message to b.
func (m *Goodbye) Append(b []byte, book Book) []byte {
	b = header(b, KindGoodbye)
	b = u32(b, m.Token)
	b = append(b, byte(m.Reason))
	b = m.Peers.append(b, book)
	return b
}

// Parse reads the message from b.
func (m *Goodbye) Parse(b []byte, book Book) error {
	r := read(b, KindGoodbye)
	m.Token = r.u32()
	m.Reason = Farewell(r.upto(uint8(FarewellReplaced)))
	m.Peers = r.peers(book)
	return r.end()
}
