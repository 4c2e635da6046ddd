package wire

import (
	"encoding/binary"
	"errors"

	"github.com/ada420b6/overlay/internal/ident"
)

// testBook writes handles as they are and fills every item up to a given size, so that
// messages get the sizes that they have between real nodes. It allocates nothing.
type testBook struct {
	peer, id, member, record, other int // sizes in bytes
}

var (
	fullBook    = &testBook{peer: PeerSize, id: 8, member: MemberSize, record: RecordSize, other: 300}
	ipv4Book    = &testBook{peer: 39, id: 8, member: MemberSize, record: RecordSize, other: 300}
	compactBook = &testBook{peer: 4, id: 4, member: 8, record: 28, other: 4}
)

var errItem = errors.New("test book: bad item")

// fill appends zeros until the item that began at start has its size.
func fill(b []byte, start, size int) []byte {
	for len(b) < start+size {
		b = append(b, 0)
	}
	return b
}

// item cuts an item off the front of b. Its filling must be what fill wrote.
func item(b []byte, head, size int) (it, rest []byte, err error) {
	if len(b) < size {
		return nil, nil, errItem
	}
	for _, c := range b[head:size] {
		if c != 0 {
			return nil, nil, errItem
		}
	}
	return b[:size], b[size:], nil
}

func (k *testBook) handle(b []byte, h ident.Handle, size int) []byte {
	return fill(u32(b, uint32(h)), len(b), size)
}

func (k *testBook) parseHandle(b []byte, size int) (ident.Handle, []byte, error) {
	it, rest, err := item(b, 4, size)
	if err != nil {
		return ident.None, nil, err
	}
	h := ident.Handle(binary.BigEndian.Uint32(it))
	if h == ident.None {
		return ident.None, nil, errItem
	}
	return h, rest, nil
}

func (k *testBook) AppendPeer(b []byte, h ident.Handle) []byte { return k.handle(b, h, k.peer) }

func (k *testBook) ParsePeer(b []byte) (ident.Handle, []byte, error) {
	return k.parseHandle(b, k.peer)
}

func (k *testBook) AppendID(b []byte, h ident.Handle) []byte { return k.handle(b, h, k.id) }

func (k *testBook) ParseID(b []byte) (ident.Handle, []byte, error) { return k.parseHandle(b, k.id) }

func (k *testBook) AppendMember(b []byte, h ident.Handle, inc uint32) []byte {
	return fill(u32(u32(b, uint32(h)), inc), len(b), k.member)
}

func (k *testBook) ParseMember(b []byte) (m Member, rest []byte, err error) {
	it, rest, err := item(b, 8, k.member)
	if err != nil {
		return m, nil, err
	}
	return Member{
		Peer: ident.Handle(binary.BigEndian.Uint32(it)),
		Inc:  binary.BigEndian.Uint32(it[4:]),
	}, rest, nil
}

func (k *testBook) AppendRecord(b []byte, r Record) []byte {
	start := len(b)
	b = u64(u64(u32(b, uint32(r.Owner)), uint64(r.Name)), r.Seq)
	return fill(u32(u32(b, uint32(r.At[0])), uint32(r.At[1])), start, k.record)
}

func (k *testBook) ParseRecord(b []byte) (r Record, rest []byte, err error) {
	it, rest, err := item(b, 28, k.record)
	if err != nil {
		return r, nil, err
	}
	return Record{
		Owner: ident.Handle(binary.BigEndian.Uint32(it)),
		Name:  ident.NameID(binary.BigEndian.Uint64(it[4:])),
		Seq:   binary.BigEndian.Uint64(it[12:]),
		At: [2]ident.Handle{
			ident.Handle(binary.BigEndian.Uint32(it[20:])),
			ident.Handle(binary.BigEndian.Uint32(it[24:])),
		},
	}, rest, nil
}

func (k *testBook) AppendApplication(b []byte) []byte { return k.handle(b, 1, k.other) }

func (k *testBook) ParseApplication(b []byte) ([]byte, error) {
	_, rest, err := k.parseHandle(b, k.other)
	return rest, err
}

func (k *testBook) AppendCertificate(b []byte, h ident.Handle) []byte {
	return k.handle(b, h, k.other)
}

func (k *testBook) ParseCertificate(b []byte) ([]byte, error) {
	_, rest, err := k.parseHandle(b, k.other)
	return rest, err
}
