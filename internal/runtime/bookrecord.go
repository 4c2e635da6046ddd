package runtime

import (
	"bytes"
	"encoding/binary"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/wire"
)

// A name record is
//
//	certificate 156-219 | seq 8 | count 1 | peers 39 or 51 each | signature 64
//
// 394 bytes at most. A sequence number is
//
//	generation 16 bits | boot 24 bits | counter 24 bits
//
// so that it grows with every change, every start of the node, and every owner that a
// name passes to; the generation must be the certificate's.

const domainRecord = "name-record"

const (
	generationShift = 48
	bootShift       = 24
	seqMask         = 1<<generationShift - 1
)

// recordBlob is a verified name record.
type recordBlob struct {
	blob  []byte
	cert  cert.Certificate
	size  int         // how much of blob is the certificate
	value wire.Record // without At: handles are looked up anew, so that none is kept here
}

// ownRecord is the newest own record.
type ownRecord struct {
	value wire.Record
	cert  cert.Signature
	peers []byte // as they were written: an attachment may have moved
	blob  []byte
}

// AppendRecord writes r. Its own is signed when something in it has changed; of others
// the newest one that they signed is written.
func (k *Book) AppendRecord(b []byte, r wire.Record) []byte {
	if r.Owner != k.self {
		blob := k.at(r.Owner).record.blob
		if blob == nil {
			k.n.Unwritable++
		}
		return append(b, blob...)
	}
	if k.encoded == nil {
		k.n.Unwritable++
		return b
	}
	peers := k.appendAttachments(nil, r.At)
	o := &k.signed
	if o.blob == nil || o.value != r || o.cert != k.own.Signature || !bytes.Equal(o.peers, peers) {
		*o = ownRecord{value: r, cert: k.own.Signature, peers: peers}
		// A node that has just been certified counts from before it knew its generation.
		seq := r.Seq&seqMask | uint64(k.own.Generation)<<generationShift
		o.blob = append([]byte(nil), k.encoded...)
		o.blob = binary.BigEndian.AppendUint64(o.blob, seq)
		o.blob = append(o.blob, peers...)
		sig := k.keys.Sign(domainRecord, o.blob)
		o.blob = append(o.blob, sig[:]...)
	}
	return append(b, o.blob...)
}

// appendAttachments writes count and peers.
func (k *Book) appendAttachments(b []byte, at [2]ident.Handle) []byte {
	b = append(b, 0)
	start := len(b) - 1
	for _, h := range at {
		if h != ident.None {
			b[start]++
			b = k.AppendPeer(b, h)
		}
	}
	return b
}

// ParseRecord reads and verifies a name record, and keeps it if it is the newest of its
// owner.
func (k *Book) ParseRecord(b []byte) (wire.Record, []byte, error) {
	var known []byte
	if key, ok := sessionOf(b); ok {
		if h := k.find(key); h != ident.None && k.entries[h].record.blob != nil {
			old := k.entries[h].record
			if bytes.HasPrefix(b, old.blob) {
				return k.sameRecord(&old, b[len(old.blob):])
			}
			known = old.blob[:old.size]
		}
	}
	c, rest, err := k.believe(b, known)
	if err != nil {
		return wire.Record{}, nil, err
	}
	n := recordBlob{cert: c, size: len(b) - len(rest)}
	signedSize, err := k.checkRecord(&c, b, rest)
	if err != nil {
		return wire.Record{}, nil, err
	}
	n.value = wire.Record{Name: ident.HashName(c.Name), Seq: binary.BigEndian.Uint64(rest)}
	n.value.Owner = k.intern(c.Session)
	r := n.value
	if err := k.parseAttachments(&r.At, rest[8:]); err != nil {
		return wire.Record{}, nil, err
	}
	end := signedSize + len(cert.Signature{})
	if e := k.at(r.Owner); r.Owner != k.self && n.after(&e.record) {
		n.blob = bytes.Clone(b[:end])
		e.record = n
	}
	return r, b[end:], nil
}

// sameRecord answers for a record that was verified before; only time can have changed.
func (k *Book) sameRecord(old *recordBlob, rest []byte) (wire.Record, []byte, error) {
	if err := k.time.check(&old.cert); err != nil {
		k.n.BadCertificate++
		return wire.Record{}, nil, err
	}
	r := old.value
	err := k.parseAttachments(&r.At, old.blob[old.size+8:])
	return r, rest, err
}

// checkRecord verifies all that is behind the certificate, before anything of it is
// entered into the book. It returns how much of b is signed.
func (k *Book) checkRecord(c *cert.Certificate, b, rest []byte) (signedSize int, err error) {
	if len(rest) < 9 {
		return 0, k.malformed(errShort)
	}
	if binary.BigEndian.Uint64(rest)>>generationShift != uint64(c.Generation) {
		return 0, k.malformed(errSeq)
	}
	count := int(rest[8])
	if count > 2 {
		return 0, k.malformed(errCount)
	}
	rest = rest[9:]
	for range count {
		if len(rest) < len(ident.Key{}) {
			return 0, k.malformed(errShort)
		}
		if _, rest, err = parseAddress(rest[len(ident.Key{}):]); err != nil {
			return 0, k.malformed(err)
		}
	}
	signedSize = len(b) - len(rest)
	if len(rest) < len(cert.Signature{}) {
		return 0, k.malformed(errShort)
	}
	if !cert.VerifyBlob(c.Identity, domainRecord, b[:signedSize], rest[:len(cert.Signature{})]) {
		k.n.BadSignature++
		return 0, errSignature
	}
	return signedSize, nil
}

// parseAttachments enters the peers that a verified record lists.
func (k *Book) parseAttachments(at *[2]ident.Handle, b []byte) (err error) {
	rest := b[1:]
	for i := range int(b[0]) {
		if at[i], rest, err = k.ParsePeer(rest); err != nil {
			return err
		}
	}
	if at[0] != ident.None && at[0] == at[1] {
		return k.malformed(errCount)
	}
	return nil
}

// after reports whether n replaces o. A node that changed its name begins another
// sequence; then the later certificate is right.
func (n *recordBlob) after(o *recordBlob) bool {
	switch {
	case o.blob == nil:
		return true
	case n.cert.Name != o.cert.Name:
		return n.cert.NotBefore > o.cert.NotBefore
	}
	return n.value.Seq > o.value.Seq
}
