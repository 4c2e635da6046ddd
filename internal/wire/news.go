package wire

import (
	"github.com/ada420b6/overlay/internal/invariant"
)

// MixedNotices is how many notices fit beside MaxMembers records: 4 bytes of header and
// counts, 3 x 340 for the records and 8 x 13 are 1 128, which leaves a session and its
// driver 72 of MaxMessage. Beside two records MaxNotices fit: 1 100.
const MixedNotices = 8

// News spreads what is new in the roster. One that carries MaxMembers records carries at
// most MixedNotices notices.
//
//	notices (1 + n x (id, incarnation 4, state 1)) | members (1 + n x member)
type News struct {
	Notices Notices // who is suspected, dead or gone
	Members Members // who is alive, in their own words
}

func (m *News) mixed() bool { return m.Members.n < MaxMembers || m.Notices.n <= MixedNotices }

// Append appends the message to b.
func (m *News) Append(b []byte, book Book) []byte {
	invariant.Check(m.mixed(), "wire: news of more notices than fit beside its records")
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
	if !m.mixed() {
		r.fail(ErrLimit)
	}
	return r.end()
}
