package cert

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/ada420b6/overlay/internal/invariant"
)

// Errors of Verify, in the order in which they are looked for, and what a certificate is
// refused with that was signed by the network and is over: its reader decides when.
var (
	ErrNetwork   = errors.New("cert: certificate of another network")
	ErrSignature = errors.New("cert: not signed by the network's key")
	ErrExpired   = errors.New("cert: certificate has expired")
)

const domainCertificate = "certificate"

// Sign makes c a certificate of the network whose private key is given: it fills in
// Network and Signature. A name or validity that Parse would refuse is a bug of the
// caller.
func (c *Certificate) Sign(network ed25519.PrivateKey) {
	invariant.Check(c.check() == nil, "cert: signing a certificate that nobody would accept")
	c.Network = PublicOf(network).ID()
	var buf [MaxSize]byte
	c.Signature = SignBlob(network, domainCertificate, c.appendSigned(buf[:0]))
}

// Verify says whether c was issued by the network with the given key: nil, ErrNetwork or
// ErrSignature. Whether it is still in force is not asked here: clocks are wrong.
func (c *Certificate) Verify(network PublicKey) error {
	if id := network.ID(); c.Network != id {
		return fmt.Errorf("%w: %x, not %x", ErrNetwork, c.Network, id)
	}
	var buf [MaxSize]byte
	if !VerifyBlob(network, domainCertificate, c.appendSigned(buf[:0]), c.Signature[:]) {
		return ErrSignature
	}
	return nil
}

// RenewAt returns when to renew a certificate, in unix seconds: at the fraction u,
// drawn from [0, 1), of the stretch between 50 % and 75 % of its lifetime.
// Certificates that expire together are a reboot storm by another name; the last
// quarter is what login servers may be dead for before anyone loses a name.
func RenewAt(notBefore, notAfter int64, u float64) int64 {
	invariant.Check(u >= 0 && u < 1, "cert: RenewAt needs a fraction in [0, 1)")
	return notBefore + int64(float64(notAfter-notBefore)*(0.5+u/4))
}
