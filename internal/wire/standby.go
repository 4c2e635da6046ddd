package wire

// Standby tells a node who serves when the sender dies: a node that is reachable and has
// agreed to nothing yet. A node that is told a rank is such a standby itself.
//
//	token 4 | rank 1 | peers (1 + n x peer)
type Standby struct {
	Token uint32 // of the attachment to the sender
	Rank  uint8  // 0: an ordinary node; 1 to MaxStandbys: the receiver is this standby
	Peers Peers  // whom to turn to; nobody when there is no other standby
}

// MaxStandbys is the most standbys of one supernode.
const MaxStandbys = 2

// Append appends the message to b.
func (m *Standby) Append(b []byte, book Book) []byte {
	b = header(b, KindStandby)
	b = u32(b, m.Token)
	b = append(b, m.Rank)
	b = m.Peers.append(b, book)
	return b
}

// Parse reads the message from b.
func (m *Standby) Parse(b []byte, book Book) error {
	r := read(b, KindStandby)
	m.Token = r.u32()
	m.Rank = r.upto(MaxStandbys)
	m.Peers = r.peers(book)
	return r.end()
}
