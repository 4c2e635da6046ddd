package wire

// Appoint tells an eligible node that the tier needs it now.
//
//	tier 9
type Appoint struct {
	Tier Tier // why
}

// Append appends the message to b.
func (m *Appoint) Append(b []byte, _ Book) []byte {
	b = header(b, KindAppoint)
	b = m.Tier.append(b)
	return b
}

// Parse reads the message from b.
func (m *Appoint) Parse(b []byte, _ Book) error {
	r := read(b, KindAppoint)
	m.Tier = r.tier()
	return r.end()
}
