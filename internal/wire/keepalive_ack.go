package wire

// KeepaliveAck answers a Keepalive, or tells the same unasked.
//
//	token 4 | unasked 1 | storm 1 | tier 9 | told 4 | peers (1 + n x peer)
type KeepaliveAck struct {
	Token   uint32 // of the attachment
	Unasked bool   // no keepalive was heard: it does not show that the node is
	Storm   uint8  // storm level, 0 to 3
	Tier    Tier   // the tier as this supernode sees it
	Told    uint32 // the serial of the last Presence to the node; what its Subscribe said before the first
	Peers   Peers  // living supernodes, when the node asked
}

// Append appends the message to b.
func (m *KeepaliveAck) Append(b []byte, book Book) []byte {
	b = header(b, KindKeepaliveAck)
	b = u32(b, m.Token)
	b = flag(b, m.Unasked)
	b = append(b, m.Storm)
	b = m.Tier.append(b)
	b = u32(b, m.Told)
	b = m.Peers.append(b, book)
	return b
}

// Parse reads the message from b.
func (m *KeepaliveAck) Parse(b []byte, book Book) error {
	r := read(b, KindKeepaliveAck)
	m.Token = r.u32()
	m.Unasked = r.flag()
	m.Storm = r.upto(MaxStorm)
	m.Tier = r.tier()
	m.Told = r.u32()
	m.Peers = r.peers(book)
	return r.end()
}
