package runtime

import (
	"bytes"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/login"
)

// believe parses a certificate at the front of b and verifies it. known is the encoding
// of one by the same key that was verified before: signatures cost 55 us, and most
// certificates come again and again.
func (k *Book) believe(b []byte, known []byte) (c cert.Certificate, rest []byte, err error) {
	c, rest, err = cert.Parse(b)
	if err != nil {
		return c, nil, k.malformed(err)
	}
	switch {
	case k.trusted:
	case len(known) > 0 && bytes.Equal(known, b[:len(b)-len(rest)]):
		err = k.time.check(&c)
	default:
		err = k.verify(&c)
	}
	if err != nil {
		k.n.BadCertificate++
		return c, nil, err
	}
	return c, rest, nil
}

// verify says whether a certificate may be believed now: signed by the network, and not
// over for longer than the grace.
func (k *Book) verify(c *cert.Certificate) error {
	if err := c.Verify(k.network); err != nil {
		return err
	}
	return k.time.check(c)
}

// sessionOf returns the session key of an encoded certificate without checking it.
func sessionOf(b []byte) (key ident.Key, ok bool) {
	const at = 1 + 8 + 2 + 32
	if len(b) < at+len(key) {
		return key, false
	}
	return ident.Key(b[at:]), true
}

// setOwn takes a certificate as this node's own. It must be for its keys and its name.
// Whether it is in force is for others to say: by a clock that is wrong a node would
// throw away what the whole network believes. Only one that was over when the present one
// was issued is refused: a login server with a slow clock must not take a good one away.
func (k *Book) setOwn(c cert.Certificate) error {
	if c.Session != k.keys.Session() || c.Identity != k.keys.Identity() || c.Name != k.name {
		return errNotOurs
	}
	if err := c.Verify(k.network); err != nil {
		return err
	}
	if k.encoded != nil && endOf(&c) <= k.own.NotBefore {
		return cert.ErrExpired
	}
	k.own, k.encoded = c, c.Append(nil)
	return nil
}

// AppendApplication writes this node's request for a certificate.
func (k *Book) AppendApplication(b []byte) []byte {
	if k.application == nil {
		r, err := login.NewRequest(k.keys, k.id, k.name)
		if err != nil { // the name was checked at the start
			k.n.Unwritable++
			return b
		}
		k.application = r.Append(nil)
	}
	return append(b, k.application...)
}

// ParseApplication keeps the request for whoever sent the message.
func (k *Book) ParseApplication(b []byte) ([]byte, error) {
	e := k.at(k.from)
	r, rest, err := login.ParseRequest(b, e.key)
	if err != nil {
		return nil, k.malformed(err)
	}
	e.request, e.applied = r, true
	return rest, nil
}

// AppendCertificate writes what was issued to h.
func (k *Book) AppendCertificate(b []byte, h ident.Handle) []byte {
	e := k.at(h)
	if e.issued == nil {
		k.n.Unwritable++
	}
	return append(b, e.issued...)
}

// ParseCertificate verifies a certificate for this node and keeps it.
func (k *Book) ParseCertificate(b []byte) ([]byte, error) {
	c, rest, err := cert.Parse(b)
	if err != nil {
		return nil, k.malformed(err)
	}
	if err := k.setOwn(c); err != nil {
		k.n.BadCertificate++
		return nil, err
	}
	return rest, nil
}
