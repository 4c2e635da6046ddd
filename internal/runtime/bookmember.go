package runtime

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/wire"
)

// A member record is
//
//	certificate 156-219 | inc 4 | edition 2 | slots 4 | address 7 or 19 | signature 64
//
// 312 bytes at most. Of two the one with the later incarnation is right; within one
// incarnation the edition decides, which counts the changes that the core does not
// know of: another address, a renewed certificate.

const domainMember = "member"

// memberBlob is a verified member record.
type memberBlob struct {
	blob    []byte
	cert    int // how much of blob is the certificate
	inc     uint32
	edition uint16
	slots   uint32
	address netip.AddrPort
}

// ownMember is what the newest own member record was made from.
type ownMember struct {
	inc     uint32
	slots   uint32
	address netip.AddrPort
	cert    cert.Signature
	blob    []byte
}

// AppendMember writes the member record of h. Its own is signed when something in it
// has changed.
func (k *Book) AppendMember(b []byte, h ident.Handle, inc uint32) []byte {
	if h != k.self {
		blob := k.at(h).member.blob
		if blob == nil {
			k.n.Unwritable++
		}
		return append(b, blob...)
	}
	if k.encoded == nil {
		k.n.Unwritable++
		return b
	}
	m := &k.announced
	if m.blob == nil || m.inc != inc || m.slots != k.slots || m.address != k.address || m.cert != k.own.Signature {
		*m = ownMember{inc: inc, slots: k.slots, address: k.address, cert: k.own.Signature}
		k.seal++
		m.blob = append([]byte(nil), k.encoded...)
		m.blob = binary.BigEndian.AppendUint32(m.blob, inc)
		m.blob = binary.BigEndian.AppendUint16(m.blob, k.seal)
		m.blob = binary.BigEndian.AppendUint32(m.blob, k.slots)
		m.blob = appendAddress(m.blob, k.address)
		sig := k.keys.Sign(domainMember, m.blob)
		m.blob = append(m.blob, sig[:]...)
	}
	return append(b, m.blob...)
}

// ParseMember reads and verifies a member record, and keeps it if it is the newest of
// its signer.
func (k *Book) ParseMember(b []byte) (wire.Member, []byte, error) {
	var m memberBlob
	var old memberBlob
	if key, ok := sessionOf(b); ok {
		if h := k.find(key); h != ident.None {
			old = k.entries[h].member
			if n := len(old.blob); n > 0 && bytes.HasPrefix(b, old.blob) {
				return k.sameMember(h, b[n:])
			}
		}
	}
	c, rest, err := k.believe(b, old.blob[:old.cert])
	if err != nil {
		return wire.Member{}, nil, err
	}
	m.cert = len(b) - len(rest)
	if len(rest) < 10 {
		return wire.Member{}, nil, k.malformed(errShort)
	}
	m.inc = binary.BigEndian.Uint32(rest)
	m.edition = binary.BigEndian.Uint16(rest[4:])
	m.slots = binary.BigEndian.Uint32(rest[6:])
	m.address, rest, err = parseAddress(rest[10:])
	if err != nil {
		return wire.Member{}, nil, k.malformed(err)
	}
	n := len(b) - len(rest)
	if len(rest) < len(cert.Signature{}) {
		return wire.Member{}, nil, k.malformed(errShort)
	}
	if !k.trusted && !cert.VerifyBlob(c.Identity, domainMember, b[:n], rest[:len(cert.Signature{})]) {
		k.n.BadSignature++
		return wire.Member{}, nil, errSignature
	}
	n += len(cert.Signature{})
	h := k.intern(c.Session)
	if e := k.at(h); h != k.self && m.after(&e.member) {
		moved := m.address.IsValid() && m.address != e.member.address
		if moved && e.rank == proven && !k.inSession(c.Session) {
			e.rank = signed // it says so itself
		}
		m.blob = bytes.Clone(b[:n])
		e.member = m
		k.learn(h, m.address, signed)
	}
	return wire.Member{Peer: h, Inc: m.inc}, b[n:], nil
}

// inSession reports whether a session with key is live. Where its packets come from is
// then known better than anything that was signed.
func (k *Book) inSession(key ident.Key) bool { return k.live != nil && k.live(key) }

// sameMember answers for a record that was verified before; only time can have changed.
func (k *Book) sameMember(h ident.Handle, rest []byte) (wire.Member, []byte, error) {
	m := &k.entries[h].member
	c, _, err := cert.Parse(m.blob)
	if err == nil {
		err = k.time.check(&c)
	}
	if err != nil {
		k.n.BadCertificate++
		return wire.Member{}, nil, err
	}
	return wire.Member{Peer: h, Inc: m.inc}, rest, nil
}

// after reports whether m is newer than o.
func (m *memberBlob) after(o *memberBlob) bool {
	return o.blob == nil || m.inc > o.inc || m.inc == o.inc && m.edition > o.edition
}
