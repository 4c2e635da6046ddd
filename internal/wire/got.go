package wire

// Got answers a Get.
//
//	id 4 | status 1 | record, when found
type Got struct {
	ID     uint32       // of the get
	Status LookupStatus // whether the record follows
	Record Record       // when Status is LookupFound
}

// Append appends the message to b.
func (m *Got) Append(b []byte, book Book) []byte {
	b = header(b, KindGot)
	b = u32(b, m.ID)
	b = append(b, byte(m.Status))
	if m.Status == LookupFound {
		b = book.AppendRecord(b, m.Record)
	}
	return b
}

// Parse reads the message from b.
func (m *Got) Parse(b []byte, book Book) error {
	r := read(b, KindGot)
	m.ID = r.u32()
	m.Status = LookupStatus(r.upto(uint8(LookupUnavailable)))
	m.Record = Record{}
	if m.Status == LookupFound {
		m.Record = r.record(book)
	}
	return r.end()
}
