// Package storetest is what every login.Store must do, as tests: the same suite runs on
// the embedded store and, from a module that has a driver, on a real SQL database.
package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/login"
	"pgregory.net/rapid"
)

// now is when the suite's claims happen.
var now = time.Unix(1_800_000_000, 0)

// Identity returns the n-th of the suite's identities. No store looks into a key, so
// any 32 bytes will do.
func Identity(n int) cert.PublicKey { return sha256.Sum256(fmt.Append(nil, "identity", n)) }

// Session returns the n-th of the suite's session keys.
func Session(n int) ident.Key { return sha256.Sum256(fmt.Append(nil, "session", n)) }

// TestStore runs the suite. open returns an empty store of its own on every call; the
// suite closes it.
func TestStore(t *testing.T, open func(t *testing.T) login.Store) {
	s := open(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, login.Store)
	}{
		{"Network", testNetwork},
		{"LifeOfAName", testLife},
		{"Refusals", testRefusals},
		{"Context", testContext},
		{"Model", testModel},
		{"Race", func(t *testing.T, s login.Store) { testRace(t, "race", s, s) }},
		{"Closed", testClosed}, // last: it closes s
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s) })
	}
	t.Run("OtherStoreOtherNetwork", func(t *testing.T) {
		a, b := open(t), open(t)
		defer a.Close()
		defer b.Close()
		if network(t, a).Identity() == network(t, b).Identity() {
			t.Error("two stores have one network's keys")
		}
	})
}

// TestShared checks what two login servers on one store may expect. a and b are two
// handles on one empty store; the caller closes them.
func TestShared(t *testing.T, a, b login.Store) {
	t.Run("OneNetwork", func(t *testing.T) {
		var got [2]cert.PublicKey
		together(2, func(i int) {
			keys, err := []login.Store{a, b}[i].Network(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			got[i] = keys.Identity()
		})
		if got[0] != got[1] {
			t.Errorf("two servers that started together have the networks %x and %x", got[0], got[1])
		}
	})
	t.Run("Race", func(t *testing.T) { testRace(t, "shared", a, b) })
	t.Run("Visible", func(t *testing.T) {
		mustClaim(t, a, "seen", 1, 1, 1)
		if _, err := b.Claim(t.Context(), "seen", Identity(2), Session(2), now); !errors.Is(err, login.ErrTaken) {
			t.Errorf("claimed at one server, claimed again at the other: %v", err)
		}
		if err := b.Release(t.Context(), "seen"); err != nil {
			t.Fatal(err)
		}
		mustClaim(t, a, "seen", 2, 2, 2)
	})
}

func network(t *testing.T, s login.Store) cert.KeyPair {
	t.Helper()
	keys, err := s.Network(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func mustClaim(t *testing.T, s login.Store, name string, identity, session int, want uint16) {
	t.Helper()
	got, err := s.Claim(t.Context(), name, Identity(identity), Session(session), now)
	if err != nil || got != want {
		t.Fatalf("claim of %q by identity %d: generation %d, %v; want %d", name, identity, got, err, want)
	}
}

func testNetwork(t *testing.T, s login.Store) {
	one, two := network(t, s), network(t, s)
	if string(one.Append(nil)) != string(two.Append(nil)) {
		t.Error("the network's keys changed between two calls")
	}
}

func testLife(t *testing.T, s login.Store) {
	mustClaim(t, s, "bob", 1, 1, 1)
	mustClaim(t, s, "bob", 1, 1, 1) // again: nothing happens
	mustClaim(t, s, "bob", 1, 2, 1) // a new session key
	later := now.Add(time.Hour)
	if _, err := s.Claim(t.Context(), "bob", Identity(1), Session(3), later); err != nil {
		t.Fatal(err)
	}
	want := login.Account{Name: "bob", Identity: Identity(1), Session: Session(3), Generation: 1, Since: now.Unix()}
	mustLookup(t, s, want)

	_, err := s.Claim(t.Context(), "bob", Identity(2), Session(9), later)
	if taken := new(login.TakenError); !errors.Is(err, login.ErrTaken) || !errors.As(err, &taken) || taken.Name != "bob" {
		t.Fatalf("claim of another's name: %v", err)
	}
	mustLookup(t, s, want)

	for range 2 {
		if err := s.Release(t.Context(), "bob"); err != nil {
			t.Fatal(err)
		}
		want.Released = true
		mustLookup(t, s, want)
	}
	mustClaim(t, s, "bob", 1, 3, 1) // the old owner comes back: the same generation
	want.Released = false
	mustLookup(t, s, want)

	if err := s.Release(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	mustClaim(t, s, "bob", 2, 4, 2) // another one: the next
	mustLookup(t, s, login.Account{Name: "bob", Identity: Identity(2), Session: Session(4), Generation: 2, Since: now.Unix()})
}

func mustLookup(t *testing.T, s login.Store, want login.Account) {
	t.Helper()
	if got, err := s.Lookup(t.Context(), want.Name); err != nil || got != want {
		t.Fatalf("Lookup(%q) = %+v, %v; want %+v", want.Name, got, err, want)
	}
}

func testRefusals(t *testing.T, s login.Store) {
	ctx := t.Context()
	if _, err := s.Lookup(ctx, "nobody"); !errors.Is(err, login.ErrNotFound) {
		t.Errorf("looking up a name that nobody claimed: %v", err)
	}
	if err := s.Release(ctx, "nobody"); !errors.Is(err, login.ErrNotFound) {
		t.Errorf("releasing a name that nobody claimed: %v", err)
	}
	for _, name := range []string{"", "Bob", "bob ", strings.Repeat("x", ident.MaxName+1), "a\x00b", "'; DROP TABLE overlay_account; --"} {
		if _, err := s.Claim(ctx, name, Identity(1), Session(1), now); !errors.Is(err, login.ErrName) {
			t.Errorf("Claim(%q): %v, want ErrName", name, err)
		}
		if _, err := s.Lookup(ctx, name); !errors.Is(err, login.ErrName) {
			t.Errorf("Lookup(%q): %v, want ErrName", name, err)
		}
		if err := s.Release(ctx, name); !errors.Is(err, login.ErrName) {
			t.Errorf("Release(%q): %v, want ErrName", name, err)
		}
	}
	mustClaim(t, s, strings.Repeat("x", ident.MaxName), 1, 1, 1)
}

func testContext(t *testing.T, s login.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, claim := s.Claim(ctx, "late", Identity(1), Session(1), now)
	_, lookup := s.Lookup(ctx, "late")
	_, keys := s.Network(ctx)
	for what, err := range map[string]error{"Claim": claim, "Lookup": lookup, "Network": keys, "Release": s.Release(ctx, "late")} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s after the asker has left: %v", what, err)
		}
	}
	mustClaim(t, s, "late", 2, 1, 1)
}

func testClosed(t *testing.T, s login.Store) {
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	_, claim := s.Claim(ctx, "bob", Identity(1), Session(1), now)
	_, lookup := s.Lookup(ctx, "bob")
	_, keys := s.Network(ctx)
	for what, err := range map[string]error{"Claim": claim, "Lookup": lookup, "Network": keys, "Release": s.Release(ctx, "bob")} {
		if !errors.Is(err, login.ErrClosed) || !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s on a closed store: %v", what, err)
		}
	}
}

// testModel compares any sequence of actions on three names with a model that says the
// rules in its own words: who owns a name, and how many owners it has had in a row.
func testModel(t *testing.T, s login.Store) {
	type owner struct{ identity, owners int }
	var run atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		prefix := fmt.Sprintf("model-%d-", run.Add(1)) // names of its own for every sequence
		last, owned := map[string]owner{}, map[string]bool{}
		for range rapid.IntRange(1, 12).Draw(rt, "actions") {
			name := prefix + rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "name")
			who := rapid.IntRange(1, 3).Draw(rt, "identity")
			if rapid.IntRange(0, 2).Draw(rt, "release") == 0 {
				if err := s.Release(t.Context(), name); (err == nil) != (last[name].owners > 0) {
					rt.Fatalf("release of %s: %v", name, err)
				}
				owned[name] = false
				continue
			}
			generation, err := s.Claim(t.Context(), name, Identity(who), Session(who), now)
			if owned[name] && last[name].identity != who {
				if !errors.Is(err, login.ErrTaken) {
					rt.Fatalf("%s belongs to %d, claimed by %d: %v", name, last[name].identity, who, err)
				}
				continue
			}
			if last[name].identity != who {
				last[name] = owner{identity: who, owners: last[name].owners + 1}
			}
			owned[name] = true
			if err != nil || int(generation) != last[name].owners {
				rt.Fatalf("claim of %s by %d: generation %d, %v; want %d", name, who, generation, err, last[name].owners)
			}
		}
	})
}
