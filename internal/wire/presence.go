package wire

import "github.com/ada420b6/overlay/internal/ident"

// MaxWords is how many words are in one message at most: 64 x 17 bytes.
const MaxWords = 64

// Word is what the sender knows of the owner of a name.
type Word struct {
	Name ident.NameID
	Seq  uint64 // of the newest record of the name that it has seen; 0 when it has seen none
	Here bool   // the owner is attached somewhere
}

// Presence answers a Subscribe, and tells what has changed since.
//
//	serial 4 | held 1 | words (1 + n x (name 8 | seq 8 | here 1))
type Presence struct {
	Serial uint32 // counts such messages, to a node from what its Subscribe says
	Held   bool   // whether the owners are attached to the sender: it was asked by SubscribeHeld
	Words  Words
}

// Words is a list of at most MaxWords words.
type Words struct {
	n    uint8
	list [MaxWords]Word
}

// Add appends w and reports whether there was room.
func (l *Words) Add(w Word) bool {
	if int(l.n) == MaxWords {
		return false
	}
	l.list[l.n] = w
	l.n++
	return true
}

// All returns the words. The slice shares the list's memory.
func (l *Words) All() []Word { return l.list[:l.n] }

// Append appends the message to b.
func (m *Presence) Append(b []byte, _ Book) []byte {
	b = header(b, KindPresence)
	b = u32(b, m.Serial)
	b = flag(b, m.Held)
	b = append(b, m.Words.n)
	for _, w := range m.Words.All() {
		b = u64(b, uint64(w.Name))
		b = u64(b, w.Seq)
		b = flag(b, w.Here)
	}
	return b
}

// Parse reads the message from b.
func (m *Presence) Parse(b []byte, _ Book) error {
	r := read(b, KindPresence)
	m.Serial = r.u32()
	m.Held = r.flag()
	m.Words = Words{}
	for range r.count(MaxWords) {
		m.Words.Add(Word{Name: ident.NameID(r.u64()), Seq: r.u64(), Here: r.flag()})
	}
	return r.end()
}
