package cert_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/ada420b6/overlay/internal/cert"
	"golang.org/x/crypto/curve25519"
)

func TestKeyPairRoundTrip(t *testing.T) {
	seeds := make([]byte, cert.KeyPairSize)
	for i := range seeds {
		seeds[i] = byte(i + 1)
	}
	k, err := cert.GenerateKeyPair(bytes.NewReader(seeds))
	if err != nil {
		t.Fatal(err)
	}
	enc := k.Append(nil)
	if !bytes.Equal(enc, seeds) {
		t.Fatalf("drawn from %x, written as %x", seeds, enc)
	}
	again, err := cert.DecodeKeyPair(enc)
	if err != nil || again.Identity() != k.Identity() || again.Session() != k.Session() {
		t.Fatalf("read back as %v, %v", again, err)
	}
	// An implementation that shares no code with crypto/ecdh must find the same key.
	priv := k.SessionPrivate()
	want, err := curve25519.X25519(priv[:], curve25519.Basepoint)
	if pub := k.Session(); err != nil || !bytes.Equal(pub[:], want) {
		t.Fatalf("session key %x, want %x, %v", pub, want, err)
	}
}

func TestDecodeKeyPairRefuses(t *testing.T) {
	full := bytes.Repeat([]byte{1}, cert.KeyPairSize)
	zeroTail := append(bytes.Repeat([]byte{1}, 32), make([]byte, 32)...)
	for what, b := range map[string][]byte{
		"nothing": nil, "short": full[1:], "long": append(full, 1), "zeros": make([]byte, cert.KeyPairSize), "zero tail": zeroTail,
	} {
		if _, err := cert.DecodeKeyPair(b); !errors.Is(err, cert.ErrKeys) {
			t.Errorf("%s: %v, want ErrKeys", what, err)
		}
	}
	if _, err := cert.GenerateKeyPair(strings.NewReader("too little")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("entropy ran out: %v", err)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	k := keys(t, 0x5a)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		for _, v := range []any{k, &k, struct{ K cert.KeyPair }{k}} {
			s := fmt.Sprintf(verb, v)
			for _, secret := range []string{"5a5a", "5A5A", "90 90", "ZZ", "0x5a, 0x5a"} {
				if strings.Contains(s, secret) {
					t.Errorf("%s of %T prints a secret: %s", verb, v, s)
				}
			}
		}
	}
}
