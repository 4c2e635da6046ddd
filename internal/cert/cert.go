// Package cert is who may call itself what: keys, certificates, signed blobs, invites.
//
// Everything here is a pure function over bytes. No clock is read and no randomness is
// drawn: the moment and the entropy are parameters. What was signed for one purpose
// never verifies for another (blob.go), and everything that parses is strict: there is
// exactly one encoding of every value, and it is the only one that is accepted.
package cert

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ada420b6/overlay/internal/ident"
)

// NetworkID names a network: the first 8 bytes of the hash of its public key. 64 bits
// tell networks apart; what keeps them apart is the signature.
type NetworkID [8]byte

// Certificate says that a network knows an identity by a name. Two are the same when
// they are ==.
//
// Its encoding, integers big-endian:
//
//	 0       1         9          11         43        75           83          91   92
//	+-------+---------+----------+----------+---------+------------+-----------+----+------+-----------+
//	|version| network |generation| identity | session | not before | not after | n  | name | signature |
//	|   1   |    8    |    2     |    32    |   32    |     8      |     8     | 1  |  n   |    64     |
//	+-------+---------+----------+----------+---------+------------+-----------+----+------+-----------+
//
// The signature is the network's, over everything before it.
type Certificate struct {
	Network    NetworkID
	Name       string    // empty for a contribute-only node
	Generation uint16    // how often Name was bound to another key: of two owners the later one is right
	Identity   PublicKey // signs the node's records and its TLS certificate
	Session    ident.Key // X25519: what the node's sessions are bound to
	NotBefore  int64     // unix seconds, inclusive
	NotAfter   int64     // unix seconds, exclusive
	Signature  Signature
}

const (
	version  = 1
	headSize = 1 + 8 + 2 + 32 + 32 + 8 + 8 + 1 // up to and with the name's length

	// MinSize and MaxSize bound the encoding of a certificate, in bytes: 92 of fixed
	// fields, 0 to 63 of name, 64 of signature.
	MinSize = headSize + 64
	MaxSize = MinSize + ident.MaxName

	// maxUnix is the last second of the year 9999: with it, adding the grace to a moment
	// can't overflow.
	maxUnix = 253402300799
)

// Errors of Parse. Bytes that a peer sent and that are no certificate give one of these.
var (
	ErrShort   = errors.New("cert: certificate is cut short")
	ErrVersion = errors.New("cert: unknown version")
	ErrName    = errors.New("cert: name breaks the rules for names")
	ErrTimes   = errors.New("cert: validity is empty or out of range")
)

// Append appends the encoding of c to b: at most MaxSize bytes.
func (c *Certificate) Append(b []byte) []byte {
	b = c.appendSigned(b)
	return append(b, c.Signature[:]...)
}

// appendSigned appends what the signature is over.
func (c *Certificate) appendSigned(b []byte) []byte {
	b = append(b, version)
	b = append(b, c.Network[:]...)
	b = binary.BigEndian.AppendUint16(b, c.Generation)
	b = append(b, c.Identity[:]...)
	b = append(b, c.Session[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(c.NotBefore))
	b = binary.BigEndian.AppendUint64(b, uint64(c.NotAfter))
	b = append(b, byte(len(c.Name)))
	return append(b, c.Name...)
}

// Parse reads a certificate from the front of b and returns what is behind it. It
// checks the form and no signature: that is Verify. The result shares no memory with b.
func Parse(b []byte) (c Certificate, rest []byte, err error) {
	if len(b) < 1 {
		return Certificate{}, nil, ErrShort
	}
	if b[0] != version {
		return Certificate{}, nil, fmt.Errorf("%w %d", ErrVersion, b[0])
	}
	if len(b) < MinSize {
		return Certificate{}, nil, ErrShort
	}
	n := int(b[headSize-1])
	if n > ident.MaxName {
		return Certificate{}, nil, fmt.Errorf("%w: %d bytes, at most %d", ErrName, n, ident.MaxName)
	}
	if len(b) < MinSize+n {
		return Certificate{}, nil, ErrShort
	}
	copy(c.Network[:], b[1:])
	c.Generation = binary.BigEndian.Uint16(b[9:])
	copy(c.Identity[:], b[11:])
	copy(c.Session[:], b[43:])
	c.NotBefore = int64(binary.BigEndian.Uint64(b[75:]))
	c.NotAfter = int64(binary.BigEndian.Uint64(b[83:]))
	c.Name = string(b[headSize : headSize+n])
	copy(c.Signature[:], b[headSize+n:])
	if err := c.check(); err != nil {
		return Certificate{}, nil, err
	}
	return c, b[MinSize+n:], nil
}

// check holds the rules that no certificate may break, whoever signed it.
func (c *Certificate) check() error {
	if c.NotBefore < 0 || c.NotAfter > maxUnix || c.NotBefore >= c.NotAfter {
		return fmt.Errorf("%w: %d to %d", ErrTimes, c.NotBefore, c.NotAfter)
	}
	if c.Name == "" {
		return nil
	}
	if err := ident.CheckName(c.Name); err != nil {
		return fmt.Errorf("%w: %w", ErrName, err)
	}
	return nil
}
