package wire

import (
	"github.com/ada420b6/overlay/internal/ident"
)

// Summary lists what is held in one stretch of the roster. It is complete within that
// stretch, so that the reader knows what the sender lacks.
//
//	first 8 | last 8 | notices (1 + n x (id, incarnation 4, state 1))
type Summary struct {
	First   ident.ID // IDs from here
	Last    ident.ID // to here, both included, are all listed
	Notices Notices  // who, which incarnation, what state
}

// Append appends the message to b.
func (m *Summary) Append(b []byte, book Book) []byte {
	b = header(b, KindSummary)
	b = u64(b, uint64(m.First))
	b = u64(b, uint64(m.Last))
	b = m.Notices.append(b, book)
	return b
}

// Parse reads the message from b.
func (m *Summary) Parse(b []byte, book Book) error {
	r := read(b, KindSummary)
	m.First = ident.ID(r.u64())
	m.Last = ident.ID(r.u64())
	m.Notices = r.notices(book)
	return r.end()
}
