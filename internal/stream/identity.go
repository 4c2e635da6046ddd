package stream

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// Identity is who this node is, at this moment: certificates are renewed while an
// endpoint runs. Private never changes within the life of an endpoint.
type Identity struct {
	Private     ed25519.PrivateKey
	Certificate []byte // the encoded overlay certificate, 1 to MaxCertificate bytes
	// Verify decides on an encoded overlay certificate, a peer's or the own: signed by
	// the network's key, valid now. It is called from several goroutines at once.
	Verify func(certificate []byte) (Peer, error)
}

// protocolName is the ALPN name. It is the version of all that QUIC carries here.
const protocolName = "overlay/1"

// extensionID marks the overlay certificate inside the X.509 one. It lies in the arc
// for experiments (1.3.6.1.3): nobody outside of this protocol reads it.
var extensionID = asn1.ObjectIdentifier{1, 3, 6, 1, 3, 2007, 816, 1}

// credentials makes TLS configurations out of the current Identity.
type credentials struct {
	identity func() Identity

	mu   sync.Mutex
	made []byte // the overlay certificate that envelope was made from
	// envelope is kept until the overlay certificate is renewed, because making one
	// costs a signature.
	envelope *tls.Certificate
}

// certificate returns the X.509 envelope of the current overlay certificate.
func (c *credentials) certificate() (*tls.Certificate, error) {
	id := c.identity()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.envelope != nil && bytes.Equal(c.made, id.Certificate) {
		return c.envelope, nil
	}
	envelope, err := newEnvelope(id)
	if err != nil {
		return nil, err
	}
	c.made, c.envelope = bytes.Clone(id.Certificate), envelope
	return envelope, nil
}

// newEnvelope makes the self-signed X.509 certificate. Its validity says nothing,
// because no clock but that of Verify decides.
func newEnvelope(id Identity) (*tls.Certificate, error) {
	if n := len(id.Certificate); n == 0 || n > MaxCertificate {
		return nil, fmt.Errorf("overlay certificate has %d bytes, 1 to %d are allowed", n, MaxCertificate)
	}
	template := &x509.Certificate{
		SerialNumber:    big.NewInt(1),
		NotBefore:       time.Unix(0, 0),
		NotAfter:        time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		ExtraExtensions: []pkix.Extension{{Id: extensionID, Value: id.Certificate}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, id.Private.Public(), id.Private)
	if err != nil {
		return nil, fmt.Errorf("making the TLS certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: id.Private}, nil
}

// self returns this node as its own certificate describes it.
func (c *credentials) self() (Peer, error) {
	id := c.identity()
	if len(id.Private) != ed25519.PrivateKeySize || id.Verify == nil {
		return Peer{}, errors.New("identity needs an Ed25519 private key and a Verify function")
	}
	self, err := id.Verify(id.Certificate)
	if err != nil {
		return Peer{}, fmt.Errorf("own certificate: %w", err)
	}
	if !self.Identity.Equal(id.Private.Public()) {
		return Peer{}, &identityError{errors.New("own certificate was made for another key")}
	}
	return self, nil
}

// resetKey derives the key of stateless resets, so that a process with the same
// identity can end the connections of its predecessor.
func (c *credentials) resetKey() (*quic.StatelessResetKey, error) {
	b, err := hkdf.Key(sha256.New, c.identity().Private.Seed(), nil, "overlay/1 stateless reset", 32)
	if err != nil {
		return nil, fmt.Errorf("deriving the stateless reset key: %w", err)
	}
	key := quic.StatelessResetKey(b)
	return &key, nil
}

// peerOf returns the peer that a TLS handshake has proven. TLS itself has checked that
// the peer holds the private key of the X.509 certificate.
func (c *credentials) peerOf(state tls.ConnectionState) (Peer, error) {
	if len(state.PeerCertificates) != 1 {
		return Peer{}, &identityError{fmt.Errorf("%d certificates", len(state.PeerCertificates))}
	}
	envelope := state.PeerCertificates[0]
	var certificate []byte
	for _, x := range envelope.Extensions {
		if x.Id.Equal(extensionID) {
			certificate = x.Value
		}
	}
	if n := len(certificate); n == 0 || n > MaxCertificate {
		return Peer{}, &identityError{fmt.Errorf("overlay certificate has %d bytes", n)}
	}
	peer, err := c.identity().Verify(certificate)
	if err != nil {
		return Peer{}, &identityError{err}
	}
	if key, ok := envelope.PublicKey.(ed25519.PublicKey); !ok || !key.Equal(peer.Identity) {
		return Peer{}, &identityError{fmt.Errorf("the key of %q is not the key of the handshake", peer.Name)}
	}
	return peer, nil
}

// client returns the configuration for dialling want. *got is set before the handshake
// completes.
func (c *credentials) client(want Peer, got *Peer) *tls.Config {
	config := c.base()
	config.InsecureSkipVerify = true // X.509 is only the envelope; VerifyConnection decides
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return c.certificate()
	}
	config.VerifyConnection = func(state tls.ConnectionState) error {
		peer, err := c.peerOf(state)
		if err != nil {
			return err
		}
		if peer.Name != want.Name || peer.Key != want.Key || want.Identity != nil && !want.Identity.Equal(peer.Identity) {
			return &identityError{fmt.Errorf("dialled %q, reached %q", want.Name, peer.Name)}
		}
		*got = peer
		return nil
	}
	return config
}

// callerKey is where the context of an incoming connection holds its *caller.
type callerKey struct{}

// caller is filled in by the handshake of an incoming connection.
type caller struct{ peer Peer }

// server returns the configuration for incoming connections. rejected is called for
// every caller that proves no identity.
func (c *credentials) server(rejected func()) *tls.Config {
	config := c.base()
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		config := c.base()
		config.ClientAuth = tls.RequireAnyClientCert
		config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.certificate() }
		who := hello.Context().Value(callerKey{}).(*caller)
		config.VerifyConnection = func(state tls.ConnectionState) (err error) {
			if who.peer, err = c.peerOf(state); err != nil {
				rejected()
			}
			return err
		}
		return config, nil
	}
	return config
}

// base holds what both sides share. There is no resumption: it would let a caller in
// on a certificate that has been checked long ago.
func (c *credentials) base() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{protocolName},
		SessionTicketsDisabled: true,
	}
}
