package login_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/login"
	"pgregory.net/rapid"
)

func TestRequestRoundTrip(t *testing.T) {
	t.Parallel()
	keys := newKeys(t, 1)
	for _, name := range []string{"", "b", "bob", strings.Repeat("x", ident.MaxName)} {
		r, err := login.NewRequest(keys, cert.NetworkID{1}, name)
		if err != nil {
			t.Fatal(err)
		}
		b := r.Append(nil)
		if len(b) > login.MaxRequest {
			t.Errorf("%d bytes, MaxRequest is %d", len(b), login.MaxRequest)
		}
		got, rest, err := login.ParseRequest(append(b, "after"...), keys.Session())
		if err != nil || got != r || string(rest) != "after" {
			t.Errorf("read back as %+v, %q, %v", got, rest, err)
		}
		for n := range b {
			if _, _, err := login.ParseRequest(b[:n], keys.Session()); err == nil {
				t.Errorf("%d of %d bytes are accepted", n, len(b))
			}
		}
	}
	if _, err := login.NewRequest(keys, cert.NetworkID{1}, "Bob"); !errors.Is(err, login.ErrName) {
		t.Errorf("a request for a bad name: %v", err)
	}
}

func FuzzParseRequest(f *testing.F) {
	for _, name := range []string{"", "bob", strings.Repeat("x", ident.MaxName)} {
		r, err := login.NewRequest(newKeys(f, 1), cert.NetworkID{1}, name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(r.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, rest, err := login.ParseRequest(b, ident.Key{1})
		if err != nil {
			return
		}
		if again := append(r.Append(nil), rest...); !bytes.Equal(again, b) {
			t.Fatalf("%x was accepted but is written as %x", b, again)
		}
	})
}

// What Issue returned at the server is what the client gets, as far as it may know.
func TestStatus(t *testing.T) {
	t.Parallel()
	secret := errors.New("dial tcp 10.0.0.7: password wrong")
	for _, test := range []struct {
		err    error
		status login.Status
		text   string
		want   error
	}{
		{nil, login.StatusOK, "", nil},
		{&login.TakenError{Name: "bob"}, login.StatusTaken, "bob", login.ErrTaken},
		{fmt.Errorf("wrapped: %w", &login.TakenError{Name: "bob"}), login.StatusTaken, "bob", login.ErrTaken},
		{&login.RefusedError{Text: "no"}, login.StatusRefused, "no", login.ErrRefused},
		{login.ErrBadProof, login.StatusBadProof, "", login.ErrBadProof},
		{ident.CheckName("a/b"), login.StatusName, `invalid name "a/b": byte 1 is '/', allowed are a-z, 0-9, '-' and '.'`, login.ErrName},
		{fmt.Errorf("%w: %w", login.ErrUnavailable, secret), login.StatusUnavailable, "", login.ErrUnavailable},
		{fmt.Errorf("%w: %w", login.ErrUnavailable, login.ErrTaken), login.StatusUnavailable, "", login.ErrUnavailable},
		{secret, login.StatusUnavailable, "", login.ErrUnavailable},
	} {
		status, text := login.StatusOf(test.err)
		if status != test.status || text != test.text {
			t.Errorf("StatusOf(%v) = %d, %q; want %d, %q", test.err, status, text, test.status, test.text)
		}
		if got := status.Err(text); !errors.Is(got, test.want) {
			t.Errorf("%v arrives as %v", test.err, got)
		}
	}
	if err := login.Status(200).Err(""); !errors.Is(err, login.ErrUnavailable) {
		t.Errorf("a status of a later version: %v", err)
	}
}

func TestStatusTextIsHarmless(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) + rapid.String().Draw(t, "text")
		raw = strings.Repeat(raw, rapid.IntRange(1, 50).Draw(t, "times"))
		refused := new(login.RefusedError)
		if !errors.As(login.StatusRefused.Err(raw), &refused) {
			t.Fatal("not a refusal")
		}
		if s := refused.Text; len(s) > login.MaxText || !utf8.ValidString(s) || strings.ContainsAny(s, "\r\n\x1b\u2028\u202e") {
			t.Fatalf("%d bytes: %q", len(s), s)
		}
	})
}
