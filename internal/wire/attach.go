package wire

// Attach asks for an attachment: the request in the first message of a session.
//
//	nonce 8 | class 1 | slot 4 | cookie 8 | able 1 | record
type Attach struct {
	Nonce  uint64 // drawn by the asker, echoed by the answer
	Class  Class  // what the attachment is for
	Slot   uint32 // from the offer
	Cookie uint64 // from the offer
	Able   bool   // the node may be appointed supernode
	Record Record // the node's own, listing this attachment
}

// Append appends the message to b.
func (m *Attach) Append(b []byte, book Book) []byte {
	b = header(b, KindAttach)
	b = u64(b, m.Nonce)
	b = append(b, byte(m.Class))
	b = u32(b, m.Slot)
	b = u64(b, m.Cookie)
	b = flag(b, m.Able)
	b = book.AppendRecord(b, m.Record)
	return b
}

// Parse reads the message from b.
func (m *Attach) Parse(b []byte, book Book) error {
	r := read(b, KindAttach)
	m.Nonce = r.u64()
	m.Class = Class(r.upto(uint8(ClassSecond)))
	m.Slot = r.u32()
	m.Cookie = r.u64()
	m.Able = r.flag()
	m.Record = r.record(book)
	return r.end()
}
