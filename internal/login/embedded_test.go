package login_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ada420b6/overlay/internal/login"
	"github.com/ada420b6/overlay/internal/login/storetest"
)

var epoch = time.Unix(1_800_000_000, 0)

func open(t testing.TB, dir string) *login.Embedded {
	t.Helper()
	s, err := login.OpenEmbedded(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// fill claims n names, as many at once as make a fast test.
func fill(t testing.TB, s login.Store, n int) {
	t.Helper()
	var done sync.WaitGroup
	for i := range n {
		done.Go(func() {
			if _, err := s.Claim(t.Context(), fmt.Sprintf("name-%d", i), storetest.Identity(i), storetest.Session(i), epoch); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	storetest.TestStore(t, func(t *testing.T) login.Store { return open(t, filepath.Join(t.TempDir(), "new", "state")) })
}

func TestEmbeddedIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	keys, err := s.Network(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fill(t, s, 100)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if again, err := s.Network(t.Context()); err != nil || again.Identity() != keys.Identity() {
		t.Fatalf("the network's keys after a restart: %v, %v; want %v", again, err, keys)
	}
	for i := range 100 {
		a, err := s.Lookup(t.Context(), fmt.Sprintf("name-%d", i))
		if err != nil || a.Identity != storetest.Identity(i) {
			t.Fatalf("name-%d after a restart: %+v, %v", i, a, err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "accounts.db"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the file with the network's keys has mode %v, %v", info.Mode(), err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("the directory holds %v, want accounts.db only", left)
	}
}

func TestEmbeddedIsLocked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir)
	_, err := login.OpenEmbedded(dir)
	if !errors.Is(err, login.ErrLocked) || !strings.Contains(err.Error(), filepath.Join(dir, "accounts.db")) {
		t.Fatalf("opened twice: %v", err)
	}
}

// Servers that start at the same moment in an empty directory: one gets the store, the
// others an error, and nobody's file replaces another's.
func TestEmbeddedCreatedOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stores := make([]*login.Embedded, 8)
	var done sync.WaitGroup
	for i := range stores {
		done.Go(func() {
			s, err := login.OpenEmbedded(dir)
			if err != nil && !errors.Is(err, login.ErrLocked) {
				t.Error(err)
			}
			stores[i] = s
		})
	}
	done.Wait()
	opened := 0
	for _, s := range stores {
		if s != nil {
			opened++
			fill(t, s, 1)
			s.Close()
		}
	}
	if opened != 1 {
		t.Fatalf("%d servers have opened the store at once", opened)
	}
	if _, err := open(t, dir).Lookup(t.Context(), "name-0"); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("the directory holds %v, want accounts.db only", left)
	}
}

// A file at its maximum refuses what is new, keeps what it has, and goes on renewing.
func TestEmbeddedFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := login.OpenEmbeddedWithin(dir, 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	kept := claimUntilError(t, s, func(err error) {
		if !errors.Is(err, login.ErrFull) || !strings.Contains(err.Error(), dir) {
			t.Errorf("a file of 64 KiB is full: %v", err)
		}
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	for i := range kept {
		if _, err := s.Claim(t.Context(), fmt.Sprintf("name-%d", i), storetest.Identity(i), storetest.Session(i), epoch); err != nil {
			t.Fatalf("claim %d of %d again: %v", i, kept, err)
		}
	}
}

// claimUntilError claims name-0, name-1 ... one by one, hands the first error to check
// and returns how many were claimed before it.
func claimUntilError(t *testing.T, s login.Store, check func(error)) int {
	t.Helper()
	const most = 20000 // several times what the tests' files hold
	for n := range most {
		if _, err := s.Claim(t.Context(), fmt.Sprintf("name-%d", n), storetest.Identity(n), storetest.Session(n), epoch); err != nil {
			check(err)
			return n
		}
	}
	t.Fatalf("%d claims, and no error", most)
	return 0
}

func BenchmarkClaimTogether(b *testing.B) {
	s := open(b, b.TempDir())
	b.ResetTimer()
	sem := make(chan struct{}, 500)
	var done sync.WaitGroup
	for i := range b.N {
		sem <- struct{}{}
		done.Go(func() {
			if _, err := s.Claim(b.Context(), fmt.Sprintf("name-%d", i), storetest.Identity(i), storetest.Session(i), epoch); err != nil {
				b.Error(err)
			}
			<-sem
		})
	}
	done.Wait()
}

func BenchmarkClaimAgain(b *testing.B) {
	s := open(b, b.TempDir())
	fill(b, s, 1)
	for b.Loop() {
		if _, err := s.Claim(b.Context(), "name-0", storetest.Identity(0), storetest.Session(0), epoch); err != nil {
			b.Fatal(err)
		}
	}
}
