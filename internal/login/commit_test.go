package login

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/ident"
)

var someTime = time.Unix(1_800_000_000, 0)

// Generations never begin again: the oldest owner's records would be the newest.
func TestGenerationsEnd(t *testing.T) {
	old := Account{Name: "bob", Identity: cert.PublicKey{1}, Generation: math.MaxUint16, Released: true}
	if a, err := claim("bob", cert.PublicKey{2}, ident.Key{2}, someTime)(old, true); !errors.Is(err, ErrGenerations) || a != old {
		t.Errorf("identity 65536: %+v, %v", a, err)
	}
	if a, err := claim("bob", cert.PublicKey{1}, ident.Key{2}, someTime)(old, true); err != nil || a.Generation != math.MaxUint16 {
		t.Errorf("the last identity again: %+v, %v", a, err)
	}
	old.Generation--
	if a, err := claim("bob", cert.PublicKey{2}, ident.Key{2}, someTime)(old, true); err != nil || a.Generation != math.MaxUint16 {
		t.Errorf("identity 65535: %+v, %v", a, err)
	}
}

// While the disk hangs, claims wait up to their bound, are refused beyond it, and are
// not carried out once nobody waits for them.
func TestDiskHangs(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := OpenEmbedded(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		s.writer <- struct{}{} // a commit that does not end
		asked := func(ctx context.Context, name string) error {
			_, err := s.Claim(ctx, name, cert.PublicKey{1}, ident.Key{1}, someTime)
			return err
		}
		impatient, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		left, stayed := make(chan error, maxPending), make(chan error, 1)
		for i := range maxPending - 1 {
			go func() { left <- asked(impatient, fmt.Sprintf("left-%d", i)) }()
		}
		go func() { stayed <- asked(t.Context(), "stayed") }()
		synctest.Wait()
		if err := asked(t.Context(), "beyond"); !errors.Is(err, ErrBusy) {
			t.Errorf("claim %d while the disk hangs: %v", maxPending+1, err)
		}
		for range maxPending - 1 {
			if err := <-left; !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("claim that has lost its patience: %v", err)
			}
		}
		<-s.writer
		if err := <-stayed; err != nil {
			t.Errorf("claim that waited until the disk worked: %v", err)
		}
		if _, err := s.Lookup(t.Context(), "left-0"); !errors.Is(err, ErrNotFound) {
			t.Errorf("a claim that nobody waits for was carried out: %v", err)
		}
	})
}

// A file that loses its content under a running server is reported, and from then on
// everything is.
func TestFileVanishesUnderneath(t *testing.T) {
	s, err := OpenEmbedded(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(t.Context(), "bob", cert.PublicKey{1}, ident.Key{1}, someTime); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(s.path, 0); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.Lookup(t.Context(), "bob"); !errors.Is(err, ErrCorrupt) {
			t.Errorf("looking up: %v", err)
		}
		if _, err := s.Claim(t.Context(), "eve", cert.PublicKey{1}, ident.Key{1}, someTime); !errors.Is(err, ErrCorrupt) {
			t.Errorf("claiming: %v", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestGuardLetsBugsThrough(t *testing.T) {
	defer func() {
		if r := recover(); r != "BUG: ours" {
			t.Errorf("a failed check of this program became %v", r)
		}
	}()
	_ = new(Embedded).guard(func() error { panic("BUG: ours") })
}

func TestNewSQLKnowsItsDialect(t *testing.T) {
	if _, err := NewSQL(nil, 0); err == nil {
		t.Error("a dialect of no name is accepted")
	}
}
