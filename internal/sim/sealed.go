package sim

import (
	"encoding/binary"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/wire"
)

// What is signed by its owner: members, records, certificates. The layouts:
//
//	member  peer 4 | inc 4 | filling | seal 4
//	record  owner 4 | name 8 | seq 8 | at 4 + 4 | filling | seal 4
//
// The filling brings the full form to its real size and is empty in the compact one.
const (
	memberHead = 8
	recordHead = 28
)

// AppendMember writes the newest member record of h that this host holds.
func (k *book) AppendMember(b []byte, h ident.Handle, inc uint32) []byte {
	k.claim(h)
	newest := &k.newest[index(h)]
	switch {
	case h == k.self:
		*newest = max(*newest, inc)
	case k.full:
		held, ok := k.held[[2]ident.Handle{k.self, h}]
		if !ok {
			k.fault = "passed on a member record that it never got"
		}
		inc = held
	default:
		// Not what this host holds but at most what it has heard of, which no
		// decision depends on; a table of every pair would be the memory of the run.
		inc = min(inc, *newest)
	}
	start := len(b)
	b = binary.BigEndian.AppendUint32(b, uint32(h))
	b = binary.BigEndian.AppendUint32(b, inc)
	return k.seal(b, start, k.sizeMember(h), labelMember)
}

// ParseMember reads and verifies a member record.
func (k *book) ParseMember(b []byte) (m wire.Member, rest []byte, err error) {
	h, _, err := k.parseHandle(b)
	if err != nil {
		return m, nil, err
	}
	if b, rest, err = k.unseal(b, k.sizeMember(h), labelMember); err != nil {
		return m, nil, err
	}
	m = wire.Member{Peer: h, Inc: binary.BigEndian.Uint32(b[4:])}
	if k.full {
		pair := [2]ident.Handle{k.self, h}
		k.held[pair] = max(k.held[pair], m.Inc)
	}
	return m, rest, nil
}

// AppendRecord writes r; signing it when it is this host's own.
func (k *book) AppendRecord(b []byte, r wire.Record) []byte {
	k.claim(r.Owner)
	start := len(b)
	b = binary.BigEndian.AppendUint32(b, uint32(r.Owner))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Name))
	b = binary.BigEndian.AppendUint64(b, r.Seq)
	b = binary.BigEndian.AppendUint32(b, uint32(r.At[0]))
	b = binary.BigEndian.AppendUint32(b, uint32(r.At[1]))
	if k.full {
		id := foldBytes(k.key, b[start:])
		if r.Owner == k.self {
			k.signed[id] = struct{}{}
		} else if _, ok := k.signed[id]; !ok {
			k.fault = "passed on a name record that its owner never signed"
		}
	}
	return k.seal(b, start, k.sizeRecord(r.Owner), labelRecord)
}

// ParseRecord reads and verifies a name record.
func (k *book) ParseRecord(b []byte) (r wire.Record, rest []byte, err error) {
	h, _, err := k.parseHandle(b)
	if err != nil {
		return r, nil, err
	}
	if b, rest, err = k.unseal(b, k.sizeRecord(h), labelRecord); err != nil {
		return r, nil, err
	}
	r = wire.Record{
		Owner: h,
		Name:  ident.NameID(binary.BigEndian.Uint64(b[4:])),
		Seq:   binary.BigEndian.Uint64(b[12:]),
	}
	for i := range r.At {
		r.At[i] = ident.Handle(binary.BigEndian.Uint32(b[20+4*i:]))
		if r.At[i] != ident.None && !k.known(r.At[i]) {
			return wire.Record{}, nil, errUnknown
		}
	}
	return r, rest, nil
}

// AppendApplication writes this host's application.
func (k *book) AppendApplication(b []byte) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint32(b, uint32(k.self))
	return k.seal(b, start, k.sizeOr(sizeApplication, 4), labelApply)
}

// ParseApplication skips an application; who applied is known from the session.
func (k *book) ParseApplication(b []byte) ([]byte, error) {
	if _, _, err := k.parseHandle(b); err != nil {
		return nil, err
	}
	_, rest, err := k.unseal(b, k.sizeOr(sizeApplication, 4), labelApply)
	return rest, err
}

// AppendCertificate writes h's certificate.
func (k *book) AppendCertificate(b []byte, h ident.Handle) []byte {
	k.claim(h)
	start := len(b)
	b = binary.BigEndian.AppendUint32(b, uint32(h))
	return k.seal(b, start, k.sizeOr(sizeCert, 4), labelCert)
}

// ParseCertificate reads a certificate and keeps this host's own.
func (k *book) ParseCertificate(b []byte) ([]byte, error) {
	h, _, err := k.parseHandle(b)
	if err != nil {
		return nil, err
	}
	_, rest, err := k.unseal(b, k.sizeOr(sizeCert, 4), labelCert)
	if err != nil {
		return nil, err
	}
	if h != k.self {
		return nil, errForged
	}
	k.certified = h
	return rest, nil
}

func (k *book) sizeMember(h ident.Handle) int {
	return k.sizeOr(memberMin+int(scale(k.hash(h, labelSize), memberMax-memberMin+1)), memberHead)
}

func (k *book) sizeRecord(h ident.Handle) int {
	return k.sizeOr(recordMin+int(scale(k.hash(h, labelSize), recordMax-recordMin+1)), recordHead)
}

// sizeOr returns an item's size with its seal: full, or the bare head in compact form.
func (k *book) sizeOr(full, head int) int {
	if k.full {
		return full
	}
	return head + sealSize
}

// seal completes an item that began at start to size bytes.
func (k *book) seal(b []byte, start, size int, label uint64) []byte {
	hash := foldBytes(k.key^label, b[start:])
	b = k.fill(b, size-sealSize-(len(b)-start), hash)
	return binary.BigEndian.AppendUint32(b, uint32(hash>>16))
}

// unseal cuts an item of size bytes off b. Its filling and its seal repeat the hash of
// its head, which is whatever comes before the filling.
func (k *book) unseal(b []byte, size int, label uint64) (item, rest []byte, err error) {
	if len(b) < size {
		return nil, nil, errCut
	}
	item, rest = b[:size], b[size:]
	head := memberHead
	switch label {
	case labelRecord:
		head = recordHead
	case labelApply, labelCert:
		head = 4
	}
	hash := foldBytes(k.key^label, item[:head])
	filling, err := k.skip(item[head:], size-head-sealSize, hash)
	if err != nil {
		return nil, nil, err
	}
	if binary.BigEndian.Uint32(filling) != uint32(hash>>16) {
		return nil, nil, errForged
	}
	return item, rest, nil
}
