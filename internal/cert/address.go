package cert

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// MaxAddress is the longest address, in bytes: a DNS name of 249 and ":65535". DNS
// allows 253; one length byte is worth the difference.
const MaxAddress = 255

// ErrAddress is the error of CheckAddress; the message names the rule that was broken.
var ErrAddress = errors.New("invalid address")

// CheckAddress says whether s is "host:port" with an IP literal ("192.0.2.1:4040",
// "[2001:db8::1]:4040") or a DNS name ("login.example.org:4040") as host and a port
// from 1 to 65535. Nothing is resolved.
func CheckAddress(s string) error {
	if len(s) > MaxAddress {
		return fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrAddress, len(s), MaxAddress)
	}
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 {
		return fmt.Errorf("%w %q: no port", ErrAddress, s)
	}
	host, port := s[:colon], s[colon+1:]
	if p, err := strconv.ParseUint(port, 10, 16); err != nil || p == 0 || port[0] == '0' {
		return fmt.Errorf("%w %q: port must be 1 to 65535", ErrAddress, s)
	}
	if in, ok := strings.CutPrefix(host, "["); ok {
		in, ok = strings.CutSuffix(in, "]")
		ip, err := netip.ParseAddr(in)
		if !ok || err != nil || !ip.Is6() || ip.Zone() != "" || ip.IsUnspecified() {
			return fmt.Errorf("%w %q: brackets must hold an IPv6 address without a zone", ErrAddress, s)
		}
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is4() {
		if ip.IsUnspecified() {
			return fmt.Errorf("%w %q: nobody can be reached at the unspecified address", ErrAddress, s)
		}
		return nil
	}
	if err := checkHost(host); err != nil {
		return fmt.Errorf("%w %q: %w", ErrAddress, s, err)
	}
	return nil
}

// checkHost holds the rules for a DNS name as a host name (RFC 1123 section 2.1).
func checkHost(host string) error {
	labels := strings.Split(host, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 {
			return fmt.Errorf("a part of a DNS name must be 1 to 63 bytes, %q is not", l)
		}
		if l[0] == '-' || l[len(l)-1] == '-' {
			return fmt.Errorf("a part of a DNS name must not begin or end with '-', %q does", l)
		}
		for i := range len(l) {
			c := l[i]
			if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-') {
				return fmt.Errorf("a DNS name has letters, digits and '-', not %q (an IPv6 address stands in brackets)", c)
			}
		}
	}
	// No top-level domain begins with a digit: this is a mistyped IPv4 address, and a
	// resolver would be asked for it in vain.
	if last := labels[len(labels)-1]; '0' <= last[0] && last[0] <= '9' {
		return fmt.Errorf("%q is neither an IPv4 address nor a DNS name", host)
	}
	return nil
}
