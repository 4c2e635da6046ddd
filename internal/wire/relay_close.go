package wire

// RelayClose says that a channel is no more.
//
//	channel 8
type RelayClose struct {
	Channel uint64 // which
}

// Append appends the message to b.
func (m *RelayClose) Append(b []byte, _ Book) []byte {
	b = header(b, KindRelayClose)
	b = u64(b, m.Channel)
	return b
}

// Parse reads the message from b.
func (m *RelayClose) Parse(b []byte, _ Book) error {
	r := read(b, KindRelayClose)
	m.Channel = r.u64()
	return r.end()
}
