package wire

// PresenceAck confirms a Presence between supernodes. A node confirms none: it hears of
// what it has missed by its next keepalive.
//
//	serial 4 | held 1
type PresenceAck struct {
	Serial uint32 // of the Presence
	Held   bool   // likewise
}

// Append appends the message to b.
func (m *PresenceAck) Append(b []byte, _ Book) []byte {
	b = header(b, KindPresenceAck)
	b = u32(b, m.Serial)
	return flag(b, m.Held)
}

// Parse reads the message from b.
func (m *PresenceAck) Parse(b []byte, _ Book) error {
	r := read(b, KindPresenceAck)
	m.Serial = r.u32()
	m.Held = r.flag()
	return r.end()
}
