//go:build unix

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// build returns the program, as a user has it.
func build(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "forward")
	out, err := exec.Command("go", "build", "-o", file, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return file
}

// process is one running program and what it has said so far.
type process struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended and all it said is in lines
	err  error         // how it ended, set before done is closed

	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed when lines grows
}

// start runs the program; it is killed when the test ends before it.
func start(t *testing.T, name, file string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: exec.Command(file, args...), done: make(chan struct{}), more: make(chan struct{})}
	r, w := io.Pipe() // one pipe: Cmd.Wait returns when both outputs are read
	p.cmd.Stdout, p.cmd.Stderr = w, w
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { p.read(r) }) // ends when w is closed
	go func() {                      // ends with the process, which Cleanup waits for
		p.err = p.cmd.Wait()
		w.Close()
		reading.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, strings.Join(p.said(), "\n"))
		}
	})
	return p
}

func (p *process) read(r io.Reader) {
	for s := bufio.NewScanner(r); s.Scan(); {
		p.mu.Lock()
		p.lines = append(p.lines, s.Text())
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
}

func (p *process) said() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.lines...)
}

// expect returns the first line from number from on that begins with prefix, without it.
func (p *process) expect(ctx context.Context, from int, prefix string) string {
	p.t.Helper()
	for {
		p.mu.Lock()
		lines, more := p.lines, p.more
		p.mu.Unlock()
		for ; from < len(lines); from++ {
			if rest, ok := strings.CutPrefix(lines[from], prefix); ok {
				return rest
			}
		}
		select {
		case <-more:
		case <-p.done:
			if len(p.said()) == len(lines) {
				p.t.Fatalf("%s ended (%v) before it said %q", p.name, p.err, prefix)
			}
		case <-ctx.Done():
			p.t.Fatalf("%s has not said %q: %v", p.name, prefix, context.Cause(ctx))
		}
	}
}

// kill ends the process as a power cut does, and returns when it has ended.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails only when it has ended already
	<-p.done
}

// signal sends a signal to a process that runs.
func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%s: %v: %v", p.name, s, err)
	}
}

// wait returns how the process ended.
func (p *process) wait(ctx context.Context) error {
	p.t.Helper()
	select {
	case <-p.done:
	case <-ctx.Done():
		p.t.Fatalf("%s has not ended: %v", p.name, context.Cause(ctx))
	}
	return p.err
}

// status asks the process how it stands.
func (p *process) status(ctx context.Context) (s status) {
	p.t.Helper()
	from := len(p.said())
	p.signal(syscall.SIGUSR1)
	line := p.expect(ctx, from, `{"Name":`)
	if err := json.Unmarshal([]byte(`{"Name":`+line), &s); err != nil {
		p.t.Fatalf("%s: status: %v", p.name, err)
	}
	return s
}

// until asks again and again until ok, or fails the test with what was waited for.
func until(ctx context.Context, t *testing.T, what string, ok func() bool) {
	t.Helper()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for !ok() {
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, context.Cause(ctx))
		}
	}
}
