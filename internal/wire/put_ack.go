package wire

// PutStatus is what became of a record.
type PutStatus uint8

// The outcomes.
const (
	PutStored    PutStatus = iota // kept, or the same was there
	PutStale                      // a later one was there
	PutFull                       // no room
	PutNotMember                  // the sender is not in the roster: introduce yourself
)

// PutAck answers a Put.
//
//	id 4 | status 1
type PutAck struct {
	ID     uint32    // of the put
	Status PutStatus // what became of it
}

// Append appends the message to b.
func (m *PutAck) Append(b []byte, _ Book) []byte {
	b = header(b, KindPutAck)
	b = u32(b, m.ID)
	b = append(b, byte(m.Status))
	return b
}

// Parse reads the message from b.
func (m *PutAck) Parse(b []byte, _ Book) error {
	r := read(b, KindPutAck)
	m.ID = r.u32()
	m.Status = PutStatus(r.upto(uint8(PutNotMember)))
	return r.end()
}
