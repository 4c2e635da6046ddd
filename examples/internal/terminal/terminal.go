//go:build unix

// Package terminal runs a program in a terminal of its own, for tests that use the examples as
// a person does: type, and wait for what is shown.
package terminal

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
)

// Build returns the program of a folder, as a user has it.
func Build(t *testing.T, folder string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), filepath.Base(folder)+".bin")
	out, err := exec.Command("go", "build", "-o", file, folder).CombinedOutput()
	if err != nil {
		t.Fatalf("go build %s: %v\n%s", folder, err, out)
	}
	return file
}

// Terminal is a program that runs in one, and what has been shown there.
type Terminal struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	tty  *os.File
	done chan struct{} // closed when the program has ended and all it said is shown

	mu    sync.Mutex
	shown string
	more  chan struct{} // closed when shown grows
	seen  int           // up to where Expect has looked
}

// Open starts a program in a terminal of its own; it is killed when the test ends before it.
func Open(t *testing.T, name, file string, args ...string) *Terminal {
	t.Helper()
	m := &Terminal{t: t, name: name, cmd: exec.Command(file, args...), done: make(chan struct{}), more: make(chan struct{})}
	tty, err := pty.StartWithSize(m.cmd, &pty.Winsize{Rows: 40, Cols: 200})
	if err != nil {
		t.Fatal(err)
	}
	m.tty = tty
	go m.read() // ends with the program, which Cleanup waits for
	t.Cleanup(func() {
		m.Kill()
		tty.Close()
		if t.Failed() {
			t.Logf("%s showed:\n%s", name, m.shown)
		}
	})
	return m
}

func (m *Terminal) read() {
	b := make([]byte, 4096)
	for {
		n, err := m.tty.Read(b)
		m.mu.Lock()
		m.shown += strings.ReplaceAll(string(b[:n]), "\r", "")
		close(m.more)
		m.more = make(chan struct{})
		m.mu.Unlock()
		if err != nil { // the program has closed its end
			_ = m.cmd.Wait()
			close(m.done)
			return
		}
	}
}

// Type types a line, with a return.
func (m *Terminal) Type(line string) {
	m.t.Helper()
	if _, err := io.WriteString(m.tty, line+"\n"); err != nil {
		m.t.Fatalf("%s: %v", m.name, err)
	}
}

// Expect waits until text is shown behind what was expected before, and returns what is
// between.
func (m *Terminal) Expect(ctx context.Context, text string) string {
	m.t.Helper()
	for {
		m.mu.Lock()
		shown, more := m.shown, m.more
		m.mu.Unlock()
		if before, _, ok := strings.Cut(shown[m.seen:], text); ok {
			m.seen += len(before) + len(text)
			return before
		}
		select {
		case <-more:
		case <-m.done:
			m.t.Fatalf("%s ended before it showed %q", m.name, text)
		case <-ctx.Done():
			m.t.Fatalf("%s has not shown %q: %v", m.name, text, context.Cause(ctx))
		}
	}
}

// Line waits for a whole line and returns it.
func (m *Terminal) Line(ctx context.Context) string {
	m.t.Helper()
	return m.Expect(ctx, "\n")
}

// Ended waits for the end of the program.
func (m *Terminal) Ended(ctx context.Context) {
	m.t.Helper()
	select {
	case <-m.done:
	case <-ctx.Done():
		m.t.Fatalf("%s has not ended: %v", m.name, context.Cause(ctx))
	}
}

// Kill ends the program as a power cut does, and returns when it has ended.
func (m *Terminal) Kill() {
	_ = m.cmd.Process.Kill() // fails only when it has ended already
	<-m.done
}

// Patient is a context for a person who waits for a machine that is busy with other tests.
func Patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	return ctx
}
