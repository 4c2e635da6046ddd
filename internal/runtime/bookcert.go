package runtime

import (
	"bytes"
	"errors"
	"time"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/login"
)

// verify says whether a certificate may be believed now: signed by the network, and not
// over for longer than the grace.
func verify(c *cert.Certificate, network cert.PublicKey, now time.Time) error {
	err := c.Verify(network, now, skew)
	if errors.Is(err, cert.ErrExpired) && now.Before(time.Unix(c.NotAfter, 0).Add(Grace)) {
		return nil
	}
	return err
}

// inForce is verify for a certificate whose signature was verified before.
func inForce(c *cert.Certificate, now time.Time) error {
	switch {
	case !now.Before(time.Unix(c.NotAfter, 0).Add(Grace)):
		return cert.ErrExpired
	case now.Add(skew).Before(time.Unix(c.NotBefore, 0)):
		return cert.ErrNotYetValid
	}
	return nil
}

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
		err = inForce(&c, k.clock())
	default:
		err = verify(&c, k.network, k.clock())
	}
	if err != nil {
		k.n.BadCertificate++
		return c, nil, err
	}
	return c, rest, nil
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
func (k *Book) setOwn(c cert.Certificate) error {
	if c.Session != k.keys.Session() || c.Identity != k.keys.Identity() || c.Name != k.name {
		return errNotOurs
	}
	if err := verify(&c, k.network, k.clock()); err != nil {
		return err
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
