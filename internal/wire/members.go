package wire

// Members is a list of at most MaxMembers supernodes. Inc matters when this node
// itself is among them.
type Members struct {
	n    uint8
	list [MaxMembers]Member
}

// Add appends m and reports whether there was room.
func (l *Members) Add(m Member) bool {
	if int(l.n) == MaxMembers {
		return false
	}
	l.list[l.n] = m
	l.n++
	return true
}

// All returns the members. The slice shares the list's memory.
func (l *Members) All() []Member { return l.list[:l.n] }

func (l *Members) append(b []byte, book Book) []byte {
	b = append(b, l.n)
	for _, m := range l.All() {
		b = book.AppendMember(b, m.Peer, m.Inc)
	}
	return b
}

func (r *reader) members(book Book) (l Members) {
	for range r.count(MaxMembers) {
		l.Add(r.member(book))
	}
	return l
}
