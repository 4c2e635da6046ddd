package wire

import (
	"github.com/ada420b6/overlay/internal/ident"
)

// State is what is believed of a supernode.
type State uint8

// The states, in the order in which a later one overrules an earlier one of the same
// incarnation.
const (
	Alive State = iota
	Suspect
	Dead
	Left
)

// Notice is unsigned news about a supernode: what the sender believes of it. A Member
// of a later incarnation refutes it. Nobody is believed alive on the word of a notice.
type Notice struct {
	Peer  ident.Handle
	Inc   uint32
	State State
}

// Notices is a list of at most MaxNotices notices.
type Notices struct {
	n    uint8
	list [MaxNotices]Notice
}

// Add appends n and reports whether there was room.
func (l *Notices) Add(n Notice) bool {
	if int(l.n) == MaxNotices {
		return false
	}
	l.list[l.n] = n
	l.n++
	return true
}

// All returns the notices. The slice shares the list's memory.
func (l *Notices) All() []Notice { return l.list[:l.n] }

func (l *Notices) append(b []byte, book Book) []byte {
	b = append(b, l.n)
	for _, n := range l.All() {
		b = book.AppendID(b, n.Peer)
		b = append(u32(b, n.Inc), byte(n.State))
	}
	return b
}

func (r *reader) notices(book Book) (l Notices) {
	for range r.count(MaxNotices) {
		l.Add(Notice{Peer: r.id(book), Inc: r.u32(), State: State(r.upto(uint8(Left)))})
	}
	return l
}
