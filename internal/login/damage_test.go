package login_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ada420b6/overlay/internal/login"
	"github.com/ada420b6/overlay/internal/login/storetest"
)

const damageNames = 300

// whole returns the bytes of a store with damageNames accounts.
func whole(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir)
	fill(t, s, damageNames)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "accounts.db"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// openDamaged opens a store whose file has content b. It wants either a refusal that
// names the file and leaves it as it is, or a store that knows every account.
func openDamaged(t *testing.T, what string, b []byte) (refused bool) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "accounts.db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := login.OpenEmbedded(filepath.Dir(path))
	if err != nil {
		if !errors.Is(err, login.ErrCorrupt) || !strings.Contains(err.Error(), path) {
			t.Fatalf("%s: %v, want ErrCorrupt and the name of the file", what, err)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, b) {
			t.Fatalf("%s: the refused file was changed, %v", what, err)
		}
		return true
	}
	defer s.Close()
	for i := range damageNames {
		if a, err := s.Lookup(t.Context(), fmt.Sprintf("name-%d", i)); err != nil || a.Identity != storetest.Identity(i) {
			t.Fatalf("%s: opened, but name-%d is %+v, %v", what, i, a, err)
		}
	}
	return false
}

func TestDamagedFileIsRefused(t *testing.T) {
	t.Parallel()
	good := whole(t)
	if openDamaged(t, "nothing", good) {
		t.Fatal("a file without damage is refused")
	}
	half := len(good) / 2
	for what, b := range map[string][]byte{
		"empty":              nil,
		"one byte":           {1},
		"a text":             []byte(strings.Repeat("this is no database\n", 1000)),
		"zeros":              make([]byte, len(good)),
		"cut after metadata": good[:8192],
		"zeros after it":     append(bytes.Clone(good[:8192]), make([]byte, len(good)-8192)...),
	} {
		if !openDamaged(t, what, b) {
			t.Errorf("%s: opened", what)
		}
	}
	// What is lost here may be free pages only: then nothing is.
	openDamaged(t, "cut in the middle", good[:half])
	openDamaged(t, "second half zeroed", append(bytes.Clone(good[:half]), make([]byte, len(good)-half)...))
}

// One flipped bit anywhere: it is found, or it changes nothing that matters (an unused
// byte, or the older of the two metadata pages).
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	good := whole(t)
	r := rand.New(rand.NewPCG(1, uint64(len(good))))
	refused := 0
	for range flips {
		at := r.IntN(len(good) * 8)
		b := bytes.Clone(good)
		b[at/8] ^= 1 << (at % 8)
		if openDamaged(t, fmt.Sprintf("bit %d of byte %d flipped", at%8, at/8), b) {
			refused++
		}
	}
	// A quarter of a file of 128 KiB is in use; now and then it has twice the size, and the
	// rest are free pages.
	if refused < flips/40 {
		t.Errorf("%d of %d flipped bits were found: the check sees next to nothing", refused, flips)
	}
}

const flips = 200
