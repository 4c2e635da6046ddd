package wire

// Accept grants an Attach: the answer in the second message of a session.
//
//	nonce 8 | token 4 | thin 1 | storm 1 | tier 9 | ticket 4 | member | peers (1 + n x peer)
type Accept struct {
	Nonce  uint64 // of the attach
	Token  uint32 // names the attachment
	Thin   bool   // a thin slot: keepalives at a third of the rate
	Storm  uint8  // storm level, 0 to 3
	Tier   Tier   // the tier as this supernode sees it
	Ticket uint32 // lets the node go before strangers when it comes back; never 0
	Member Member // the supernode's own record: its right to serve
	Peers  Peers  // living supernodes, for the host cache
}

// Append appends the message to b.
func (m *Accept) Append(b []byte, book Book) []byte {
	b = header(b, KindAccept)
	b = u64(b, m.Nonce)
	b = u32(b, m.Token)
	b = flag(b, m.Thin)
	b = append(b, m.Storm)
	b = m.Tier.append(b)
	b = u32(b, m.Ticket)
	b = book.AppendMember(b, m.Member.Peer, m.Member.Inc)
	b = m.Peers.append(b, book)
	return b
}

// Parse reads the message from b.
func (m *Accept) Parse(b []byte, book Book) error {
	r := read(b, KindAccept)
	m.Nonce = r.u64()
	m.Token = r.u32()
	m.Thin = r.flag()
	m.Storm = r.upto(MaxStorm)
	m.Tier = r.tier()
	m.Ticket = r.u32()
	m.Member = r.member(book)
	m.Peers = r.peers(book)
	return r.end()
}
