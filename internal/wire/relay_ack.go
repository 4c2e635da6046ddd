package wire

// RelayAck says that a RelayIncoming has been taken.
//
//	channel 8
type RelayAck struct {
	Channel uint64 // of the relay-incoming
}

// Append appends the message to b.
func (m *RelayAck) Append(b []byte, _ Book) []byte {
	b = header(b, KindRelayAck)
	b = u64(b, m.Channel)
	return b
}

// Parse reads the message from b.
func (m *RelayAck) Parse(b []byte, _ Book) error {
	r := read(b, KindRelayAck)
	m.Channel = r.u64()
	return r.end()
}
