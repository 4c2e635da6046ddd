package cert_test

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ada420b6/overlay/internal/cert"
	"pgregory.net/rapid"
)

func invite(t testing.TB, addresses ...string) cert.Invite {
	t.Helper()
	k := keys(t, 4)
	return cert.Invite{Network: k.Identity(), Login: k.Session(), Addresses: addresses}
}

func equal(a, b cert.Invite) bool {
	return a.Network == b.Network && a.Login == b.Login && slices.Equal(a.Addresses, b.Addresses)
}

func drawAddress(t *rapid.T) string {
	return rapid.OneOf(
		rapid.StringMatching(`[a-z]([a-z0-9-]{0,20}[a-z0-9])?\.example\.org:[1-9][0-9]{0,3}`),
		rapid.StringMatching(`198\.51\.100\.[1-9]:[1-5][0-9]{4}`),
		rapid.StringMatching(`\[2001:db8::[1-9a-f]{1,4}\]:443`),
	).Draw(t, "address")
}

func TestInviteRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.SliceOfN(rapid.ByteMin(1), 64, 64).Draw(t, "keys")
		want := cert.Invite{Network: cert.PublicKey(k[:32]), Login: [32]byte(k[32:])}
		for range rapid.IntRange(1, cert.MaxLoginAddresses).Draw(t, "addresses") {
			want.Addresses = append(want.Addresses, drawAddress(t))
		}
		s := want.String()
		got, err := cert.ParseInvite(" " + s + "\r\n")
		if err != nil || !equal(got, want) {
			t.Fatalf("ParseInvite(%s) = %+v, %v; want %+v", s, got, err, want)
		}
	})
}

func TestInviteLimits(t *testing.T) {
	long := strings.Repeat(strings.Repeat("x", 62)+".", 3) + strings.Repeat("x", 60) + ":4040" // 254 bytes
	fill := strings.Repeat("y", 62) + ":1"                                                     // 64 bytes
	most := invite(t, slices.Repeat([]string{fill}, cert.MaxLoginAddresses)...)
	if s := most.String(); len(s) != cert.MaxInvite {
		t.Errorf("the longest invite has %d characters, MaxInvite is %d", len(s), cert.MaxInvite)
	}
	for _, test := range []struct {
		i    cert.Invite
		want string // in the error, empty for none
	}{
		{invite(t, long, long), ""},
		{invite(t, long, long, "a:1234"), "514 bytes together"},
		{invite(t), "0 login addresses"},
		{invite(t, slices.Repeat([]string{"a:1"}, 9)...), "9 login addresses"},
		{invite(t, "a:1", "b"), `login address 2: invalid address "b": no port`},
		{cert.Invite{Login: keys(t, 1).Session(), Addresses: []string{"a:1"}}, "network key"},
		{cert.Invite{Network: keys(t, 1).Identity(), Addresses: []string{"a:1"}}, "login session key"},
	} {
		err := test.i.Check()
		if test.want == "" && err != nil || test.want != "" && (!errors.Is(err, cert.ErrInvite) || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%v: %v, want %q", test.i.Addresses, err, test.want)
		}
	}
}

// Every character that is replaced, dropped, doubled or swapped with its neighbour is
// detected: people type invites from paper.
func TestInviteTypos(t *testing.T) {
	for _, i := range []cert.Invite{invite(t, "192.0.2.1:4040"), invite(t, "login.example.org:4040", "[2001:db8::1]:4040")} {
		s := i.String()
		wrong := func(what, typo string) {
			if typo == s {
				return
			}
			if got, err := cert.ParseInvite(typo); !errors.Is(err, cert.ErrInvite) {
				t.Fatalf("%s in %s: %+v, %v", what, typo, got, err)
			}
		}
		for n := range len(s) {
			for c := range 256 {
				wrong("replaced", s[:n]+string([]byte{byte(c)})+s[n+1:])
			}
			wrong("dropped", s[:n]+s[n+1:])
			wrong("doubled", s[:n+1]+s[n:])
			wrong("cut", s[:n])
			if n > 0 {
				wrong("swapped", s[:n-1]+s[n:n+1]+s[n-1:n]+s[n+1:])
			}
		}
	}
}

func TestInviteErrorsNameTheField(t *testing.T) {
	s := invite(t, "login.example.org:4040").String()
	for typo, want := range map[string]string{
		"":                              "prefix",
		"http://example.org":            "prefix",
		"overlay1":                      "length",
		s[:40]:                          "length",
		s[:20] + "0" + s[21:]:           "character 21 is '0'",
		s[:20] + " " + s[20:]:           "character 21 is ' '",
		strings.ToUpper(s):              "prefix",
		s[:len(s)-8]:                    "checksum",
		strings.Repeat("overlay1", 200): "characters, at most",
	} {
		if _, err := cert.ParseInvite(typo); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q in it", typo, err, want)
		}
	}
}

func TestCheckAddress(t *testing.T) {
	for _, ok := range []string{"192.0.2.1:1", "[2001:db8::1]:65535", "localhost:80", "a.b-c.example:4040", "3com.example:9", "127.0.0.1:9"} {
		if err := cert.CheckAddress(ok); err != nil {
			t.Errorf("CheckAddress(%q) = %v", ok, err)
		}
	}
	for _, bad := range []string{
		"", "host", ":80", "host:", "host:0", "host:080", "host:65536", "host:-1", "host:http", "2001:db8::1:80", "[2001:db8::1%eth0]:80",
		"[192.0.2.1]:80", "[2001:db8::1:80", "2001:db8::1]:80", "[::]:80", "0.0.0.0:80", "192.0.2.300:80", "192.0.2:80", "-a.example:80",
		"a-.example:80", "a..example:80", "a.example.:80", "a_b.example:80", "ü.example:80", "a b:80", strings.Repeat("x", 64) + ":80",
		strings.Repeat("x.", 130) + "x:80",
	} {
		if err := cert.CheckAddress(bad); !errors.Is(err, cert.ErrAddress) {
			t.Errorf("CheckAddress(%q) = %v, want ErrAddress", bad, err)
		}
	}
}

// seal writes an invite whose checksum is right, whatever its head is.
func seal(head []byte) string {
	sum := sha256.Sum256(head)
	enc := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(append(head, sum[:4]...))
	return "overlay1" + strings.ToLower(enc)
}

// head returns what seal needs to write i.
func head(i cert.Invite) []byte {
	b := append([]byte{1}, i.Network[:]...)
	b = append(append(b, i.Login[:]...), byte(len(i.Addresses)))
	for _, a := range i.Addresses {
		b = append(append(b, byte(len(a))), a...)
	}
	return b
}

// A checksum keeps typos out, not people: what is behind it is checked as well.
func TestInviteWithRightChecksum(t *testing.T) {
	good := head(invite(t, "a:1", "b:2"))
	if _, err := cert.ParseInvite(seal(slices.Clone(good))); err != nil {
		t.Fatal(err)
	}
	edit := func(at int, with string) []byte {
		return append(append(slices.Clone(good[:at]), with...), good[at+len(with):]...)
	}
	for want, h := range map[string][]byte{
		"version is 2":                   edit(0, "\x02"),
		"network key is zero":            edit(1, strings.Repeat("\x00", 32)),
		"login session key is zero":      edit(33, strings.Repeat("\x00", 32)),
		"9 login addresses":              edit(65, "\x09"),
		"0 login addresses":              edit(65, "\x00")[:66],
		"login address 3 is cut short":   edit(65, "\x03"),
		"4 bytes follow the last":        edit(65, "\x01"),
		"login address 2 is cut short":   good[:len(good)-1],
		"login address 1: invalid":       edit(68, "-"),
		"login address 2: invalid":       edit(73, "0"),
		"at least 70 are needed; is the": good[:65],
	} {
		if _, err := cert.ParseInvite(seal(slices.Clone(h))); !errors.Is(err, cert.ErrInvite) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// FuzzParseInvite tries s as it is, and as what stands before a right checksum: no
// fuzzer finds SHA-256 by itself.
func FuzzParseInvite(f *testing.F) {
	for _, i := range []cert.Invite{invite(f, "192.0.2.1:4040"), invite(f, "login.example.org:4040", "[2001:db8::1]:4040")} {
		f.Add(i.String())
		f.Add(string(head(i)))
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, s := range []string{s, seal([]byte(s))} {
			i, err := cert.ParseInvite(s)
			if err != nil && !errors.Is(err, cert.ErrInvite) {
				t.Fatalf("an error of another kind: %v", err)
			}
			if err == nil && i.String() != strings.TrimSpace(s) {
				t.Fatalf("%s was accepted but is written as %s", s, i)
			}
		}
	})
}
