package cert_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/ident"
	"pgregory.net/rapid"
)

// keys returns a pair of keys made of one repeated byte.
func keys(t testing.TB, fill byte) cert.KeyPair {
	t.Helper()
	k, err := cert.DecodeKeyPair(bytes.Repeat([]byte{fill}, cert.KeyPairSize))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// sample returns a signed certificate for name, valid from 1000 to 2000.
func sample(t testing.TB, network cert.KeyPair, name string) cert.Certificate {
	t.Helper()
	k := keys(t, 2)
	c := cert.Certificate{
		Name: name, Generation: 7, Identity: k.Identity(), Session: k.Session(), NotBefore: 1000, NotAfter: 2000,
	}
	c.Sign(network.IdentityPrivate())
	return c
}

func drawName(t *rapid.T) string {
	return rapid.OneOf(rapid.Just(""), rapid.StringMatching(`[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?`)).Draw(t, "name")
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := cert.Certificate{
			Name:       drawName(t),
			Generation: rapid.Uint16().Draw(t, "generation"),
			NotBefore:  rapid.Int64Range(0, 1<<33).Draw(t, "not before"),
		}
		c.NotAfter = c.NotBefore + rapid.Int64Range(1, 1<<33).Draw(t, "lifetime")
		fill := rapid.SliceOfN(rapid.Byte(), 8+32+32+64, 8+32+32+64).Draw(t, "keys")
		copy(c.Network[:], fill)
		copy(c.Identity[:], fill[8:])
		copy(c.Session[:], fill[40:])
		copy(c.Signature[:], fill[72:])
		b := c.Append([]byte("before"))[6:]
		if len(b) < cert.MinSize || len(b) > cert.MaxSize {
			t.Fatalf("%d bytes, want %d to %d", len(b), cert.MinSize, cert.MaxSize)
		}
		got, rest, err := cert.Parse(append(b, "after"...))
		if err != nil || got != c || string(rest) != "after" {
			t.Fatalf("Parse = %+v, %q, %v; want %+v", got, rest, err, c)
		}
	})
}

func TestMaxSizeIsReached(t *testing.T) {
	c := sample(t, keys(t, 1), strings.Repeat("x", ident.MaxName))
	if n := len(c.Append(nil)); n != cert.MaxSize {
		t.Fatalf("the longest certificate has %d bytes, MaxSize is %d", n, cert.MaxSize)
	}
}

func TestParseCutAtEveryByte(t *testing.T) {
	c := sample(t, keys(t, 1), "bob")
	b := c.Append(nil)
	for n := range len(b) {
		if _, _, err := cert.Parse(b[:n]); !errors.Is(err, cert.ErrShort) {
			t.Fatalf("%d of %d bytes: %v, want ErrShort", n, len(b), err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	c := sample(t, keys(t, 1), "bob")
	good := c.Append(nil)
	for _, test := range []struct {
		what string
		at   int
		with []byte
		want error
	}{
		{"version", 0, []byte{9}, cert.ErrVersion},
		{"name longer than allowed", 91, []byte{64}, cert.ErrName},
		{"name with a forbidden byte", 92, []byte("B"), cert.ErrName},
		{"negative not before", 75, []byte{0xff}, cert.ErrTimes},
		{"not after beyond year 9999", 83, []byte{1}, cert.ErrTimes},
		{"not after at not before", 83, []byte{0, 0, 0, 0, 0, 0, 3, 232}, cert.ErrTimes},
	} {
		b := bytes.Clone(good)
		copy(b[test.at:], test.with)
		if _, _, err := cert.Parse(b); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.what, err, test.want)
		}
	}
}

func TestVerify(t *testing.T) {
	network, other := keys(t, 1), keys(t, 3)
	c := sample(t, network, "bob")
	forged := sample(t, other, "bob")
	forged.Network = c.Network
	for _, test := range []struct {
		what string
		c    cert.Certificate
		want error
	}{
		{"issued", c, nil},
		{"another network", sample(t, other, "bob"), cert.ErrNetwork},
		{"forged", forged, cert.ErrSignature},
	} {
		if err := test.c.Verify(network.Identity()); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.what, err, test.want)
		}
	}
}

// Every bit is signed: none can change without Parse or Verify seeing it.
func TestEveryBitCounts(t *testing.T) {
	network := keys(t, 1)
	c := sample(t, network, "bob")
	good := c.Append(nil)
	for bit := range len(good) * 8 {
		b := bytes.Clone(good)
		b[bit/8] ^= 1 << (bit % 8)
		d, rest, err := cert.Parse(b)
		if err != nil || len(rest) > 0 {
			continue
		}
		if d.Verify(network.Identity()) == nil {
			t.Fatalf("bit %d of byte %d may change", bit%8, bit/8)
		}
	}
}

func TestSignRefusesWhatParseRefuses(t *testing.T) {
	network := keys(t, 1)
	for _, c := range []cert.Certificate{
		{Name: "Bob", NotBefore: 1, NotAfter: 2},
		{Name: "bob", NotBefore: 2, NotAfter: 2},
	} {
		func() {
			defer func() {
				if r, _ := recover().(string); !strings.HasPrefix(r, "BUG: ") {
					t.Errorf("signing %+v: panic %q, want a BUG", c, r)
				}
			}()
			c.Sign(network.IdentityPrivate())
		}()
	}
}

func TestRenewAt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.Int64Range(0, 1<<33).Draw(t, "not before")
		life := rapid.Int64Range(1, 1<<32).Draw(t, "lifetime")
		u := rapid.Float64Range(0, 0.999999).Draw(t, "u")
		at := cert.RenewAt(from, from+life, u) - from
		if at < life/2 || at > (3*life+3)/4 {
			t.Fatalf("renewal %d s into a lifetime of %d s", at, life)
		}
	})
	if lo, hi := cert.RenewAt(0, 1000, 0), cert.RenewAt(0, 1000, 0.999999); lo != 500 || hi != 749 {
		t.Fatalf("renewal between %d and %d, want 500 to 749", lo, hi)
	}
}

func FuzzParse(f *testing.F) {
	network := keys(f, 1)
	for _, name := range []string{"", "bob", strings.Repeat("x", ident.MaxName)} {
		c := sample(f, network, name)
		f.Add(c.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, rest, err := cert.Parse(b)
		if err != nil {
			return
		}
		if again := c.Append(nil); !bytes.Equal(append(again, rest...), b) {
			t.Fatalf("%x was accepted but is written as %x", b, again)
		}
	})
}

func TestDomainsAreApart(t *testing.T) {
	k := keys(t, 1)
	sig := k.Sign("a", []byte("bc"))
	for _, test := range []struct {
		what, domain, b string
		pub             cert.PublicKey
		want            bool
	}{
		{"as signed", "a", "bc", k.Identity(), true},
		{"another domain", "b", "bc", k.Identity(), false},
		{"a byte moved from blob to domain", "ab", "c", k.Identity(), false},
		{"another blob", "a", "bd", k.Identity(), false},
		{"another key", "a", "bc", keys(t, 2).Identity(), false},
	} {
		if got := cert.VerifyBlob(test.pub, test.domain, []byte(test.b), sig[:]); got != test.want {
			t.Errorf("%s: %v, want %v", test.what, got, test.want)
		}
	}
	if cert.VerifyBlob(k.Identity(), "a", []byte("bc"), sig[:63]) {
		t.Error("a signature of 63 bytes verifies")
	}
	if pub := k.Identity(); ed25519.Verify(pub[:], []byte("bc"), sig[:]) {
		t.Error("the signature verifies without its domain")
	}
}

func BenchmarkVerify(b *testing.B) {
	network := keys(b, 1)
	c := sample(b, network, "bob")
	pub := network.Identity()
	for b.Loop() {
		if err := c.Verify(pub); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	c := sample(b, keys(b, 1), "bob")
	enc := c.Append(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := cert.Parse(enc); err != nil {
			b.Fatal(err)
		}
	}
}
