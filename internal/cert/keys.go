package cert

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
)

// KeyPair is what a node keeps secret: an identity (Ed25519) that signs and a session
// key (X25519) that sessions are bound to. A network has the same two: the key that
// signs certificates and the session key that its login servers share.
type KeyPair struct {
	identity ed25519.PrivateKey
	session  [32]byte
	public   ident.Key
}

// KeyPairSize is the size of an encoded KeyPair, in bytes: two seeds of 32.
const KeyPairSize = ed25519.SeedSize + 32

// ErrKeys is the error of DecodeKeyPair: what was read from disk is no pair of keys.
var ErrKeys = errors.New("cert: not a pair of keys")

// GenerateKeyPair draws a pair of keys from r, which must be unpredictable:
// crypto/rand.Reader in a program. The error is r's.
func GenerateKeyPair(r io.Reader) (KeyPair, error) {
	var b [KeyPairSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return KeyPair{}, fmt.Errorf("cert: drawing keys: %w", err)
	}
	return DecodeKeyPair(b[:])
}

// DecodeKeyPair is the inverse of Append. b must be KeyPairSize bytes and no half of
// it zero: a file that lost its content in a power cut is often all zeros, and keys
// that everyone can guess are worse than none.
func DecodeKeyPair(b []byte) (KeyPair, error) {
	if len(b) != KeyPairSize {
		return KeyPair{}, fmt.Errorf("%w: %d bytes, not %d", ErrKeys, len(b), KeyPairSize)
	}
	var zero [32]byte
	if [32]byte(b[:32]) == zero || [32]byte(b[32:]) == zero {
		return KeyPair{}, fmt.Errorf("%w: a key is all zeros", ErrKeys)
	}
	k := KeyPair{identity: ed25519.NewKeyFromSeed(b[:32]), session: [32]byte(b[32:])}
	priv, err := ecdh.X25519().NewPrivateKey(k.session[:])
	if err != nil {
		return KeyPair{}, fmt.Errorf("%w: session key: %w", ErrKeys, err)
	}
	k.public = ident.Key(priv.PublicKey().Bytes())
	return k, nil
}

// Append appends the KeyPairSize bytes that DecodeKeyPair reads: both private seeds.
// They belong in a file that only its owner can read.
func (k KeyPair) Append(b []byte) []byte {
	k.mustHold()
	return append(append(b, k.identity.Seed()...), k.session[:]...)
}

// Identity returns the public half of the identity.
func (k KeyPair) Identity() PublicKey {
	k.mustHold()
	return PublicOf(k.identity)
}

// IdentityPrivate returns the private half of the identity.
func (k KeyPair) IdentityPrivate() ed25519.PrivateKey {
	k.mustHold()
	return k.identity
}

// Session returns the public half of the session key.
func (k KeyPair) Session() ident.Key { return k.public }

// SessionPrivate returns the private half of the session key.
func (k KeyPair) SessionPrivate() [32]byte {
	k.mustHold()
	return k.session
}

// Sign signs b with the identity for one purpose: see SignBlob.
func (k KeyPair) Sign(domain string, b []byte) Signature {
	k.mustHold()
	return SignBlob(k.identity, domain, b)
}

// Format prints the public half only, whatever the verb: a secret must not reach a log
// by way of %+v.
func (k KeyPair) Format(f fmt.State, _ rune) {
	if k.identity == nil {
		fmt.Fprint(f, "KeyPair(none)")
		return
	}
	fmt.Fprintf(f, "KeyPair(%x)", PublicOf(k.identity))
}

func (k KeyPair) mustHold() {
	invariant.Check(k.identity != nil, "cert: a KeyPair without keys is used")
}
