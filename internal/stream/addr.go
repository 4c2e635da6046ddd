package stream

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/ada420b6/overlay/internal/ident"
)

// Peer is a node as its overlay certificate describes it.
type Peer struct {
	Name     string
	Identity ed25519.PublicKey // who it is; nil in a Peer to dial means: any, if name and key are right
	Key      ident.Key         // where packets for it go
}

// Addr is one end of a conversation, or (without Service) a peer on the virtual
// PacketConn. It is comparable.
type Addr struct {
	Key  ident.Key
	Name string
	// Service is the name of a service, or "~" and a number at the end that dialled.
	Service string
}

// Network returns "overlay".
func (a Addr) Network() string { return "overlay" }

// String returns "name:service". A peer whose name is not known is shown by the
// beginning of its key.
func (a Addr) String() string {
	name := a.Name
	if name == "" {
		name = hex.EncodeToString(a.Key[:8])
	}
	if a.Service == "" {
		return name
	}
	return name + ":" + a.Service
}

// addr returns the end of a conversation at p.
func (p Peer) addr(service string) Addr {
	return Addr{Key: p.Key, Name: p.Name, Service: service}
}

// ErrService is the error of CheckService; the message names the rule that was broken.
var ErrService = errors.New("invalid service")

// CheckService says whether service may be dialled and listened on: 1 to 63 bytes out
// of letters, digits, '-', '_' and '.', so that "name:service" splits in one way and
// nothing is confused with a dialler's "~" and number.
func CheckService(service string) error {
	if service == "" {
		return fmt.Errorf("%w: empty", ErrService)
	}
	if len(service) > MaxService {
		return fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrService, len(service), MaxService)
	}
	for i := range len(service) {
		if !serviceByte(service[i]) {
			r, _ := utf8.DecodeRuneInString(service[i:])
			return fmt.Errorf("%w %q: byte %d is %q, allowed are letters, digits, '-', '_' and '.'",
				ErrService, service, i, r)
		}
	}
	return nil
}

func serviceByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '_' || c == '.'
}
