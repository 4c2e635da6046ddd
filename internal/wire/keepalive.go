package wire

// Keepalive shows that an attachment lives and asks whether its other end does.
//
//	token 4 | able 1 | thirsty 1 | heirless 1 | limit 1
type Keepalive struct {
	Token   uint32 // of the attachment
	Able    bool   // the node may be appointed supernode
	Thirsty bool   // the node's host cache is short: send peers
	// Heirless: the node does not know who serves when the receiver dies: send a Standby.
	Heirless bool
	// Limit is the lowest byte of the serial up to which the receiver may send a Presence,
	// of a node that has subscribed.
	Limit uint8
}

// Append appends the message to b.
func (m *Keepalive) Append(b []byte, _ Book) []byte {
	b = header(b, KindKeepalive)
	b = u32(b, m.Token)
	b = flag(b, m.Able)
	b = flag(b, m.Thirsty)
	b = flag(b, m.Heirless)
	return append(b, m.Limit)
}

// Parse reads the message from b.
func (m *Keepalive) Parse(b []byte, _ Book) error {
	r := read(b, KindKeepalive)
	m.Token = r.u32()
	m.Able = r.flag()
	m.Thirsty = r.flag()
	m.Heirless = r.flag()
	m.Limit = r.u8()
	return r.end()
}
