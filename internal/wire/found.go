package wire

// LookupStatus is the outcome of a look-up.
type LookupStatus uint8

// The outcomes.
const (
	LookupFound       LookupStatus = iota // the record follows
	LookupNone                            // nobody holds a record of that name
	LookupUnavailable                     // nobody who should know has answered
)

// Found answers a Lookup.
//
//	query 4 | status 1 | record, when found
type Found struct {
	Query  uint32       // of the look-up
	Status LookupStatus // whether the record follows
	Record Record       // when Status is LookupFound
}

// Append appends the message to b.
func (m *Found) Append(b []byte, book Book) []byte {
	b = header(b, KindFound)
	b = u32(b, m.Query)
	b = append(b, byte(m.Status))
	if m.Status == LookupFound {
		b = book.AppendRecord(b, m.Record)
	}
	return b
}

// Parse reads the message from b.
func (m *Found) Parse(b []byte, book Book) error {
	r := read(b, KindFound)
	m.Query = r.u32()
	m.Status = LookupStatus(r.upto(uint8(LookupUnavailable)))
	m.Record = Record{}
	if m.Status == LookupFound {
		m.Record = r.record(book)
	}
	return r.end()
}
