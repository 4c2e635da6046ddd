package wire

// DigestTop is the Bucket of a Digest that covers the whole roster.
const DigestTop = 255

// Digest opens anti-entropy: the hashes of the roster's buckets.
//
//	bucket 1 | hashes 256
type Digest struct {
	Bucket uint8             // the top bucket whose parts follow, or DigestTop
	Hashes [MaxHashes]uint64 // one for each part
}

// Append appends the message to b.
func (m *Digest) Append(b []byte, _ Book) []byte {
	b = header(b, KindDigest)
	b = append(b, m.Bucket)
	for _, h := range m.Hashes {
		b = u64(b, h)
	}
	return b
}

// Parse reads the message from b.
func (m *Digest) Parse(b []byte, _ Book) error {
	r := read(b, KindDigest)
	m.Bucket = r.u8()
	for i := range m.Hashes {
		m.Hashes[i] = r.u64()
	}
	return r.end()
}
