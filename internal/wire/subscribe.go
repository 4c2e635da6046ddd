package wire

import "github.com/ada420b6/overlay/internal/ident"

// MaxNames is how many names are in one message at most: 128 x 8 bytes.
const MaxNames = 128

// SubscribeMode says what is asked for.
type SubscribeMode uint8

// The modes.
const (
	SubscribeAnew    SubscribeMode = iota // of a node: these names, and those of before no more
	SubscribeAlso                         // of a node: these names as well
	SubscribeReplica                      // of a supernode: what the receiver knows as a replica
	SubscribeHeld                         // of a supernode: whether the receiver holds the owners
)

// Subscribe asks to be told whether the owners of names are there, now and when it
// changes: a node its supernode, a supernode the replicas and those who hold an owner.
//
//	mode 1 | serial 4 | limit 4 | names (1 + n x 8)
type Subscribe struct {
	Mode SubscribeMode
	// Serial and Limit are a node's: the first Presence has the serial after Serial, and
	// none may have one after Limit, until a Keepalive raises it.
	Serial, Limit uint32
	Names         Names
}

// Names is a list of at most MaxNames names.
type Names struct {
	n    uint8
	list [MaxNames]ident.NameID
}

// Add appends name and reports whether there was room.
func (l *Names) Add(name ident.NameID) bool {
	if int(l.n) == MaxNames {
		return false
	}
	l.list[l.n] = name
	l.n++
	return true
}

// All returns the names. The slice shares the list's memory.
func (l *Names) All() []ident.NameID { return l.list[:l.n] }

// Append appends the message to b.
func (m *Subscribe) Append(b []byte, _ Book) []byte {
	b = header(b, KindSubscribe)
	b = append(b, byte(m.Mode))
	b = u32(b, m.Serial)
	b = u32(b, m.Limit)
	b = append(b, m.Names.n)
	for _, name := range m.Names.All() {
		b = u64(b, uint64(name))
	}
	return b
}

// Parse reads the message from b.
func (m *Subscribe) Parse(b []byte, _ Book) error {
	r := read(b, KindSubscribe)
	m.Mode = SubscribeMode(r.upto(uint8(SubscribeHeld)))
	m.Serial = r.u32()
	m.Limit = r.u32()
	m.Names = Names{}
	for range r.count(MaxNames) {
		m.Names.Add(ident.NameID(r.u64()))
	}
	return r.end()
}
