package login_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/ada420b6/overlay/internal/login"
	"github.com/ada420b6/overlay/internal/login/storetest"
)

// asNobody runs do as a user who owns nothing: permissions don't bind root, as whom
// tests often run in a container.
func asNobody(t *testing.T, do func()) {
	t.Helper()
	done := make(chan error)
	go func() { // ends with do; its thread, which has lost its rights, ends with it
		runtime.LockOSThread()
		var err error
		if os.Getuid() == 0 {
			err = syscall.Setfsuid(65534)
		}
		if err == nil {
			do()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// openToAll lets every user reach dir.
func openToAll(t *testing.T, dir string, mode fs.FileMode) {
	t.Helper()
	for d, m := range map[string]fs.FileMode{filepath.Dir(dir): 0o755, dir: mode} {
		if err := os.Chmod(d, m); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReadOnlyDirectory(t *testing.T) {
	t.Parallel()
	empty, used := t.TempDir(), t.TempDir()
	if err := open(t, used).Close(); err != nil {
		t.Fatal(err)
	}
	openToAll(t, empty, 0o555)
	openToAll(t, used, 0o555)
	if err := os.Chmod(filepath.Join(used, "accounts.db"), 0o400); err != nil {
		t.Fatal(err)
	}
	for what, dir := range map[string]string{
		"a directory that can't be written": empty,
		"one that can't be made":            filepath.Join(empty, "new"),
		"a file that can't be written":      used,
	} {
		asNobody(t, func() {
			s, err := login.OpenEmbedded(dir)
			if err == nil {
				s.Close()
			}
			if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "account store") {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
	file := filepath.Join(used, "accounts.db")
	if _, err := login.OpenEmbedded(file); !errors.Is(err, syscall.ENOTDIR) || !strings.Contains(err.Error(), file) {
		t.Errorf("a file as directory: %v", err)
	}
}

// A disk that is full for real: a file system of 512 KiB in memory, where the test may
// mount one.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
		t.Skipf("no right to mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	s := open(t, dir)
	kept := claimUntilError(t, s, func(err error) {
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), dir) {
			t.Errorf("the disk is full: %v", err)
		}
	})
	// The server goes on: what it knows it still serves, also after a restart.
	for range 2 {
		for i := range kept {
			if _, err := s.Claim(t.Context(), fmt.Sprintf("name-%d", i), storetest.Identity(i), storetest.Session(i), epoch); err != nil {
				t.Fatalf("claim %d of %d again: %v", i, kept, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, dir)
	}
}
