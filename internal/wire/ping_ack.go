package wire

// PingAck answers a Ping, or passes on the answer to a PingRequest.
//
//	seq 4 | load 1 | silent 1 | eligible 2 | inc 4
type PingAck struct {
	Seq      uint32 // of the ping or the request
	Load     uint8  // own utilisation in 1/128
	Silent   bool   // of a PingRequest: the target has not answered
	Eligible uint16 // nodes attached here that could become supernodes
	Inc      uint32 // own incarnation
}

// Append appends the message to b.
func (m *PingAck) Append(b []byte, _ Book) []byte {
	b = header(b, KindPingAck)
	b = u32(b, m.Seq)
	b = append(b, m.Load)
	b = flag(b, m.Silent)
	b = u16(b, m.Eligible)
	b = u32(b, m.Inc)
	return b
}

// Parse reads the message from b.
func (m *PingAck) Parse(b []byte, _ Book) error {
	r := read(b, KindPingAck)
	m.Seq = r.u32()
	m.Load = r.u8()
	m.Silent = r.flag()
	m.Eligible = r.u16()
	m.Inc = r.u32()
	return r.end()
}
