package wire

import (
	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

// source is where the fields of a message come from. The table of messages is written
// once; what a source answers makes random, largest or fixed messages of it.
type source interface {
	num(most uint64) uint64 // a number of 0 to most
	code(most uint8) uint8  // an enumerated value; 0 is the one with the most behind it
	count(most int) int     // the length of a list
}

// drawn makes valid messages of every kind by chance.
type drawn struct{ t *rapid.T }

func (d drawn) num(most uint64) uint64 { return rapid.Uint64Max(most).Draw(d.t, "num") }
func (d drawn) code(most uint8) uint8  { return rapid.Uint8Max(most).Draw(d.t, "code") }
func (d drawn) count(most int) int     { return rapid.IntRange(0, most).Draw(d.t, "count") }

// largest fills every field and every list.
type largest struct{ n uint64 }

func (l *largest) num(most uint64) uint64 {
	l.n++ // no two handles are equal
	return most - min(l.n%64, most)
}
func (l *largest) code(uint8) uint8   { return 0 }
func (l *largest) count(most int) int { return most }

// fixed makes the message of the layout file: numbers that can be told apart.
type fixed struct{ n uint64 }

func (f *fixed) num(most uint64) uint64 {
	f.n++
	v := f.n & 255
	for range 7 { // the same in every byte, so that a field can be recognised by its width
		v = v<<8 | v&255
	}
	return min(v&most, most)
}
func (f *fixed) code(uint8) uint8   { return 0 }
func (f *fixed) count(most int) int { return min(most, 2) }

func nonce(s source) uint64 { return s.num(1<<64 - 1) }
func short(s source) uint32 { return uint32(s.num(1<<32 - 1)) }
func octet(s source) uint8  { return uint8(s.num(255)) }
func yes(s source) bool     { return s.code(1) == 0 }

func pause(s source) vtime.Duration { return vtime.Duration(short(s)) * vtime.Millisecond }

// handle is somebody: 1 and above.
func handle(s source) ident.Handle { return ident.Handle(1 + s.num(1<<32-2)) }

func peers(s source) (p Peers) {
	for range s.count(MaxPeers) {
		p.Add(handle(s))
	}
	return p
}

func member(s source) Member { return Member{Peer: handle(s), Inc: short(s)} }

func notices(s source, most int) (l Notices) {
	for range s.count(most) {
		l.Add(Notice{Peer: handle(s), Inc: short(s), State: State(s.code(uint8(Left)))})
	}
	return l
}

func members(s source, most int) (l Members) {
	for range s.count(most) {
		l.Add(member(s))
	}
	return l
}

func record(s source) Record {
	return Record{
		Name:  ident.NameID(nonce(s)),
		Owner: handle(s),
		Seq:   nonce(s),
		At:    [2]ident.Handle{ident.Handle(short(s)), ident.Handle(short(s))},
	}
}

// answer is the record behind a status, which is there only when it was found.
func answer(s source, status LookupStatus) Record {
	if status != LookupFound {
		return Record{}
	}
	return record(s)
}

func tierView(s source) Tier {
	return Tier{Util: uint8(s.num(MaxUtil)), Alive: short(s), Eligible: short(s)}
}

func text(s source) []byte {
	b := make([]byte, s.count(MaxText))
	for i := range b {
		b[i] = octet(s)
	}
	return b
}
