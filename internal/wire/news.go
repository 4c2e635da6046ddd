package wire

// News spreads what is new in the roster.
//
//	notices (1 + n x (id, incarnation 4, state 1)) | members (1 + n x member)
type News struct {
	Notices Notices // who is suspected, dead or gone
	Members Members // who is alive, in their own words
}

// Append appends the message to b.
func (m *News) Append(b []byte, book Book) []byte {
	b = header(b, KindNews)
	b = m.Notices.append(b, book)
	b = m.Members.append(b, book)
	return b
}

// Parse reads the message from b.
func (m *News) Parse(b []byte, book Book) error {
	r := read(b, KindNews)
	m.Notices = r.notices(book)
	m.Members = r.members(book)
	return r.end()
}
