package cert

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
)

// Invite is what a node needs to know of a network before it has ever met it. It holds
// no secret: who has it can ask for a certificate and may be refused.
//
// Its form is one printable string: the prefix "overlay1" and, in lower-case base32
// (RFC 4648) without padding,
//
//	 0       1             33            65   66
//	+-------+-------------+-------------+----+-----------------------+----------+
//	|version| network key | session key | n  | n addresses           | checksum |
//	|   1   |     32      |     32      | 1  | length 1, host:port   |    4     |
//	+-------+-------------+-------------+----+-----------------------+----------+
//
// The checksum is the first 4 bytes of SHA-256 over everything before it: a typo is
// missed once in 4 billion times, and never accepted as another network by chance.
type Invite struct {
	Network   PublicKey // verifies certificates
	Login     ident.Key // the session key that all login servers share
	Addresses []string  // 1 to MaxLoginAddresses login servers as host:port: see CheckAddress
}

// Limits of an invite.
const (
	MaxLoginAddresses = 8
	// MaxAddressBytes bounds the addresses together: 8 of 64 bytes, or two of the
	// longest, so that an invite fits into a line of mail (998) and a QR code (version 22).
	MaxAddressBytes = 512
	// MaxInvite is the longest invite in characters: 8 of prefix and 1+32+32+1 + 8+512 +
	// 4 = 590 bytes in base32.
	MaxInvite = len(invitePrefix) + (590*8+4)/5

	invitePrefix   = "overlay1"
	inviteVersion  = 1
	inviteHead     = 1 + 32 + 32 + 1
	inviteChecksum = 4
)

// ErrInvite is the error of ParseInvite and Check; the message names the field and the
// rule that was broken.
var ErrInvite = errors.New("invalid invite")

var inviteEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Check says whether i can be written: keys that are not zero, 1 to MaxLoginAddresses
// valid addresses of at most MaxAddressBytes together.
func (i Invite) Check() error {
	switch {
	case i.Network == PublicKey{}:
		return fmt.Errorf("%w: network key is zero", ErrInvite)
	case i.Login == ident.Key{}:
		return fmt.Errorf("%w: login session key is zero", ErrInvite)
	case len(i.Addresses) == 0 || len(i.Addresses) > MaxLoginAddresses:
		return fmt.Errorf("%w: %d login addresses, allowed are 1 to %d", ErrInvite, len(i.Addresses), MaxLoginAddresses)
	}
	total := 0
	for n, a := range i.Addresses {
		if err := CheckAddress(a); err != nil {
			return fmt.Errorf("%w: login address %d: %w", ErrInvite, n+1, err)
		}
		total += len(a)
	}
	if total > MaxAddressBytes {
		return fmt.Errorf("%w: login addresses have %d bytes together, at most %d are allowed", ErrInvite, total, MaxAddressBytes)
	}
	return nil
}

// String returns the invite as it is handed to people. An invite that Check refuses is
// a bug of the caller.
func (i Invite) String() string {
	invariant.Check(i.Check() == nil, "cert: an invalid invite is printed")
	b := append([]byte{inviteVersion}, i.Network[:]...)
	b = append(b, i.Login[:]...)
	b = append(b, byte(len(i.Addresses)))
	for _, a := range i.Addresses {
		b = append(b, byte(len(a)))
		b = append(b, a...)
	}
	sum := sha256.Sum256(b)
	return invitePrefix + inviteEncoding.EncodeToString(append(b, sum[:inviteChecksum]...))
}

// ParseInvite reads what String wrote. Blanks around it are ignored, since it comes
// from a clipboard; inside of it every character counts.
func ParseInvite(s string) (Invite, error) {
	s = strings.TrimSpace(s)
	if len(s) > MaxInvite {
		return Invite{}, fmt.Errorf("%w: %d characters, at most %d are allowed", ErrInvite, len(s), MaxInvite)
	}
	body, ok := strings.CutPrefix(s, invitePrefix)
	if !ok {
		return Invite{}, fmt.Errorf("%w: prefix: must begin with %q", ErrInvite, invitePrefix)
	}
	b, err := decodeInvite(body)
	if err != nil {
		return Invite{}, err
	}
	if b[0] != inviteVersion {
		return Invite{}, fmt.Errorf("%w: version is %d, this program knows %d", ErrInvite, b[0], inviteVersion)
	}
	i := Invite{Network: PublicKey(b[1:33]), Login: ident.Key(b[33:65])}
	if i.Addresses, err = parseAddresses(int(b[65]), b[inviteHead:]); err != nil {
		return Invite{}, err
	}
	return i, i.Check()
}

// decodeInvite undoes base32 and checksum. It returns at least inviteHead bytes.
func decodeInvite(body string) ([]byte, error) {
	for n := range len(body) {
		if c := body[n]; !('a' <= c && c <= 'z' || '2' <= c && c <= '7') {
			return nil, fmt.Errorf("%w: character %d is %q, allowed are a-z and 2-7", ErrInvite, len(invitePrefix)+n+1, c)
		}
	}
	b, err := inviteEncoding.DecodeString(body)
	if err != nil {
		return nil, fmt.Errorf("%w: length: %d characters are not whole bytes; is the end missing?", ErrInvite, len(body))
	}
	if len(b) < inviteHead+inviteChecksum {
		return nil, fmt.Errorf("%w: length: %d bytes, at least %d are needed; is the end missing?", ErrInvite, len(b), inviteHead+inviteChecksum)
	}
	head, tail := b[:len(b)-inviteChecksum], b[len(b)-inviteChecksum:]
	sum := sha256.Sum256(head)
	// The last character carries up to 4 bits that decoding drops: only the encoding
	// itself shows whether they were touched.
	if [inviteChecksum]byte(tail) != [inviteChecksum]byte(sum[:]) || inviteEncoding.EncodeToString(b) != body {
		return nil, fmt.Errorf("%w: checksum does not match; a character is wrong or missing", ErrInvite)
	}
	return head, nil
}

func parseAddresses(n int, b []byte) ([]string, error) {
	if n > MaxLoginAddresses {
		return nil, fmt.Errorf("%w: %d login addresses, allowed are 1 to %d", ErrInvite, n, MaxLoginAddresses)
	}
	list := make([]string, 0, n)
	for k := range n {
		if len(b) == 0 || len(b)-1 < int(b[0]) {
			return nil, fmt.Errorf("%w: login address %d is cut short", ErrInvite, k+1)
		}
		end := 1 + int(b[0])
		list = append(list, string(b[1:end]))
		b = b[end:]
	}
	if len(b) > 0 {
		return nil, fmt.Errorf("%w: %d bytes follow the last login address", ErrInvite, len(b))
	}
	return list, nil
}
