package main

import (
	"bytes"
	"crypto/sha256"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFileNames(t *testing.T) {
	for name, good := range map[string]bool{
		"photo.jpg": true, "Über uns.pdf": true, "a": true, "tar.gz": true, "a..b": true,
		"": false, ".": false, "..": false, ".profile": false, "../x": false, "a/b": false, "/etc/passwd": false,
		`..\x`: false, "c:x": false, "a\x00b": false, "a\nb": false, "a\x1b[2J": false, "\xff": false,
		"x\u202egpj.exe": false, strings.Repeat("x", 256): false,
	} {
		if err := checkFileName(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestReceive: a file that is cut short or changed leaves nothing behind, and one that is
// whole replaces nothing.
func TestReceive(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 20_000)
	sum := sha256.Sum256(data)
	whole := append(append([]byte(nil), data...), sum[:]...)
	changed := append([]byte(nil), whole...)
	changed[5] ^= 1
	folder := t.TempDir()
	for _, tc := range []struct {
		what string
		sent []byte
		as   string
	}{
		{"whole", whole, "a.txt"},
		{"whole again", whole, "a-2.txt"},
		{"changed", changed, ""},
		{"cut short", whole[:len(whole)/2], ""},
		{"without its hash", data, ""},
		{"whole once more", whole, "a-3.txt"},
	} {
		here, there := net.Pipe()
		go func() {
			_, _ = there.Write(tc.sent)
			there.Close()
		}()
		kept, err := receive(here, folder, "a.txt", int64(len(data)))
		if (err == nil) != (tc.as != "") || err == nil && kept != filepath.Join(folder, tc.as) {
			t.Errorf("%s: %q, %v", tc.what, kept, err)
		}
		here.Close()
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 3 {
		t.Errorf("%d files are there: %v, %v", len(entries), entries, err)
	}
	for _, e := range entries {
		if b, err := os.ReadFile(filepath.Join(folder, e.Name())); err != nil || !bytes.Equal(b, data) {
			t.Errorf("%s: %d bytes, %v", e.Name(), len(b), err)
		}
	}
}
