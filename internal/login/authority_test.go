package login_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/login"
	"github.com/ada420b6/overlay/internal/login/storetest"
)

func authority(t testing.TB, s login.Store, p login.Policy) *login.Authority {
	t.Helper()
	a, err := login.NewAuthority(t.Context(), s, p)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func request(t testing.TB, keys cert.KeyPair, a *login.Authority, name string) login.Request {
	t.Helper()
	r, err := login.NewRequest(keys, a.Network().ID(), name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestIssue(t *testing.T) {
	t.Parallel()
	a := authority(t, open(t, t.TempDir()), login.Policy{Lifetime: 48 * time.Hour})
	keys := newKeys(t, 1)
	for _, test := range []struct {
		name       string
		generation uint16
	}{{"bob", 1}, {"", 0}} {
		c, err := a.Issue(t.Context(), request(t, keys, a, test.name), epoch)
		if err != nil {
			t.Fatal(err)
		}
		want := cert.Certificate{
			Name: test.name, Generation: test.generation, Identity: keys.Identity(), Session: keys.Session(),
			NotBefore: epoch.Add(-time.Hour).Unix(), NotAfter: epoch.Add(48 * time.Hour).Unix(),
			Network: a.Network().ID(), Signature: c.Signature,
		}
		if c != want {
			t.Errorf("issued %+v, want %+v", c, want)
		}
		if err := c.Verify(a.Network()); err != nil {
			t.Error(err)
		}
	}
}

func TestIssueRefuses(t *testing.T) {
	t.Parallel()
	store := open(t, t.TempDir())
	a := authority(t, store, login.Policy{})
	bob, eve := newKeys(t, 1), newKeys(t, 2)
	if _, err := a.Issue(t.Context(), request(t, bob, a, "bob"), epoch); err != nil {
		t.Fatal(err)
	}
	otherName, otherSession, otherIdentity, badName := request(t, eve, a, "eve"), request(t, eve, a, "eve"), request(t, eve, a, "eve"), request(t, eve, a, "eve")
	otherName.Name = "evil"
	otherSession.Session = bob.Session()
	otherIdentity.Identity = bob.Identity()
	badName.Name = "Eve"
	otherNetwork, err := login.NewRequest(eve, eve.Identity().ID(), "eve")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		what string
		r    login.Request
		want error
	}{
		{"taken", request(t, eve, a, "bob"), login.ErrTaken},
		{"proof for another name", otherName, login.ErrBadProof},
		{"proof for another session", otherSession, login.ErrBadProof},
		{"proof by another identity", otherIdentity, login.ErrBadProof},
		{"proof for another network", otherNetwork, login.ErrBadProof},
		{"no proof", login.Request{Name: "eve", Identity: eve.Identity()}, login.ErrBadProof},
		{"bad name", badName, login.ErrName},
	} {
		if c, err := a.Issue(t.Context(), test.r, epoch); !errors.Is(err, test.want) || c != (cert.Certificate{}) {
			t.Errorf("%s: %+v, %v, want %v", test.what, c, err, test.want)
		}
	}
	if _, err := store.Lookup(t.Context(), "eve"); !errors.Is(err, login.ErrNotFound) {
		t.Errorf("a refused request has left an account: %v", err)
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	var answer error
	store := open(t, t.TempDir())
	a := authority(t, store, login.Policy{Decide: func(context.Context, login.Request) error { return answer }})
	r := request(t, newKeys(t, 1), a, "bob")

	answer = errors.New("pay first\n\x1b[31m" + strings.Repeat("ü", 300))
	_, err := a.Issue(t.Context(), r, epoch)
	refused := new(login.RefusedError)
	if !errors.Is(err, login.ErrRefused) || !errors.As(err, &refused) || !strings.HasPrefix(refused.Text, "pay first  [31mü") ||
		len(refused.Text) > login.MaxText || !utf8.ValidString(refused.Text) {
		t.Errorf("refused: %v", err)
	}
	answer = login.ErrUnavailable
	if _, err := a.Issue(t.Context(), r, epoch); !errors.Is(err, login.ErrUnavailable) {
		t.Errorf("the operator's own database is down: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	answer = ctx.Err()
	if _, err := a.Issue(ctx, r, epoch); !errors.Is(err, login.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("the asker has left: %v", err)
	}
	if _, err := store.Lookup(t.Context(), "bob"); !errors.Is(err, login.ErrNotFound) {
		t.Errorf("a refused request has left an account: %v", err)
	}
	answer = nil
	if _, err := a.Issue(t.Context(), r, epoch); err != nil {
		t.Errorf("allowed: %v", err)
	}
}

func TestIssueUnavailable(t *testing.T) {
	t.Parallel()
	store := open(t, t.TempDir())
	a := authority(t, store, login.Policy{})
	r := request(t, newKeys(t, 1), a, "bob")
	if _, err := a.Issue(t.Context(), r, time.Unix(0, 0)); !errors.Is(err, login.ErrUnavailable) {
		t.Errorf("a clock in 1970: %v", err)
	}
	store.Close()
	if _, err := a.Issue(t.Context(), r, epoch); !errors.Is(err, login.ErrUnavailable) || !errors.Is(err, login.ErrClosed) {
		t.Errorf("a store that is gone: %v", err)
	}
	if _, err := login.NewAuthority(t.Context(), store, login.Policy{}); !errors.Is(err, login.ErrClosed) {
		t.Errorf("an authority on a store that is gone: %v", err)
	}
	for _, wrong := range []time.Duration{-1, time.Minute, 20 * 366 * 24 * time.Hour} {
		if _, err := login.NewAuthority(t.Context(), store, login.Policy{Lifetime: wrong}); err == nil || !strings.Contains(err.Error(), "lifetime") {
			t.Errorf("a lifetime of %v: %v", wrong, err)
		}
	}
}

func TestAuthorityInvite(t *testing.T) {
	t.Parallel()
	a := authority(t, open(t, t.TempDir()), login.Policy{})
	i, err := a.Invite("login.example.org:4040")
	if err != nil {
		t.Fatal(err)
	}
	got, err := cert.ParseInvite(i.String())
	if err != nil || got.Network != a.Network() || got.Login != a.Keys().Session() {
		t.Errorf("the invite leads to %+v, %v", got, err)
	}
	if _, err := a.Invite("login.example.org"); !errors.Is(err, cert.ErrInvite) {
		t.Errorf("an address without a port: %v", err)
	}
}

func BenchmarkIssueAgain(b *testing.B) {
	a := authority(b, open(b, b.TempDir()), login.Policy{})
	r := request(b, newKeys(b, 1), a, "bob")
	for b.Loop() {
		if _, err := a.Issue(b.Context(), r, epoch); err != nil {
			b.Fatal(err)
		}
	}
}

// newKeys returns keys that differ for every n.
func newKeys(t testing.TB, n int) cert.KeyPair {
	t.Helper()
	identity, session := storetest.Identity(n), storetest.Session(n)
	k, err := cert.DecodeKeyPair(append(identity[:], session[:]...))
	if err != nil {
		t.Fatal(err)
	}
	return k
}
