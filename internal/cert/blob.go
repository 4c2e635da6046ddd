package cert

import (
	"crypto/ed25519"
	"crypto/sha256"
	"strings"

	"github.com/ada420b6/overlay/internal/invariant"
)

// PublicKey is an Ed25519 public key: a network's, or a node's identity.
type PublicKey [ed25519.PublicKeySize]byte

// Signature is an Ed25519 signature.
type Signature [ed25519.SignatureSize]byte

// PublicOf returns the public half of priv.
func PublicOf(priv ed25519.PrivateKey) PublicKey {
	return PublicKey(priv.Public().(ed25519.PublicKey))
}

// ID returns the name of the network whose key k is.
func (k PublicKey) ID() NetworkID {
	h := sha256.Sum256(domainPrefix("network-id", k[:]))
	return NetworkID(h[:8])
}

// SignBlob signs b for one purpose. domain names the purpose ("certificate",
// "name-record"): a signature made for one domain verifies for no other, so a record
// can't be passed off as another kind of record with the same bytes. domain must be a
// constant of the program, not empty and without a zero byte.
func SignBlob(priv ed25519.PrivateKey, domain string, b []byte) Signature {
	return Signature(ed25519.Sign(priv, domainPrefix(domain, b)))
}

// VerifyBlob reports whether sig is pub's signature over b for domain. A sig that is
// not 64 bytes long, or a pub that is no point of the curve, is a false.
func VerifyBlob(pub PublicKey, domain string, b, sig []byte) bool {
	return ed25519.Verify(pub[:], domainPrefix(domain, b), sig)
}

// domainPrefix returns "overlay1:" domain 0 b. The zero byte ends the domain, so no
// domain is the beginning of another. The text at the front can't begin what the same
// key signs under TLS 1.3 (64 spaces) or X.509 (a DER sequence, 0x30).
func domainPrefix(domain string, b []byte) []byte {
	invariant.Check(domain != "" && strings.IndexByte(domain, 0) < 0, "cert: a signing domain is empty or has a zero byte")
	m := make([]byte, 0, len("overlay1:")+len(domain)+1+len(b))
	m = append(m, "overlay1:"...)
	m = append(m, domain...)
	m = append(m, 0)
	return append(m, b...)
}
