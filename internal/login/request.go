package login

import (
	"errors"
	"fmt"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/ident"
)

// Request asks for a certificate. Two are the same when they are ==.
//
// Its encoding has no session key: that one is known from the session over which the
// request came, so a request can't name another.
//
//	 0          32   33
//	+----------+----+------+---------+
//	| identity | n  | name |  proof  |
//	|    32    | 1  |  n   |   64    |
//	+----------+----+------+---------+
type Request struct {
	Name     string         // empty for a contribute-only node
	Identity cert.PublicKey // whom the certificate is for
	Session  ident.Key      // the key that the session authenticated
	Proof    cert.Signature // by Identity, over network, session key and name
}

// MaxRequest is the largest encoding of a Request, in bytes: 32 + 1 + 63 + 64.
const MaxRequest = 32 + 1 + ident.MaxName + 64

const domainRequest = "login-request"

// Errors of ParseRequest, beside ErrName.
var errShort = errors.New("login: request is cut short")

// NewRequest returns a node's signed request to the network for name. A bad name is
// refused here already, with ErrName.
func NewRequest(keys cert.KeyPair, network cert.NetworkID, name string) (Request, error) {
	if err := checkRequested(name); err != nil {
		return Request{}, err
	}
	r := Request{Name: name, Identity: keys.Identity(), Session: keys.Session()}
	r.Proof = keys.Sign(domainRequest, r.signed(network))
	return r, nil
}

// Append appends the encoding of r to b: at most MaxRequest bytes.
func (r *Request) Append(b []byte) []byte {
	b = append(b, r.Identity[:]...)
	b = append(b, byte(len(r.Name)))
	b = append(b, r.Name...)
	return append(b, r.Proof[:]...)
}

// ParseRequest reads a request from the front of b and returns what is behind it.
// session is the key that the session it came over has authenticated. The proof is not
// checked: that costs 55 us and is Authority.Issue's business.
func ParseRequest(b []byte, session ident.Key) (r Request, rest []byte, err error) {
	if len(b) < 33 {
		return Request{}, nil, errShort
	}
	n := int(b[32])
	if n > ident.MaxName {
		return Request{}, nil, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrName, n, ident.MaxName)
	}
	if len(b) < 33+n+64 {
		return Request{}, nil, errShort
	}
	r = Request{Name: string(b[33 : 33+n]), Identity: cert.PublicKey(b), Session: session, Proof: cert.Signature(b[33+n:])}
	if err := checkRequested(r.Name); err != nil {
		return Request{}, nil, err
	}
	return r, b[33+n+64:], nil
}

// checkRequested allows the empty name: a contribute-only node has none.
func checkRequested(name string) error {
	if name == "" {
		return nil
	}
	return ident.CheckName(name)
}

// proven reports whether the identity has signed for this name, network and session
// key: a request copied from elsewhere is of no use without the session's private key.
func (r *Request) proven(network cert.NetworkID) bool {
	return cert.VerifyBlob(r.Identity, domainRequest, r.signed(network), r.Proof[:])
}

// signed returns what the proof is over. The name is last and all else of fixed size,
// so no two requests have the same bytes.
func (r *Request) signed(network cert.NetworkID) []byte {
	b := make([]byte, 0, len(network)+len(r.Session)+len(r.Name))
	b = append(b, network[:]...)
	b = append(b, r.Session[:]...)
	return append(b, r.Name...)
}
