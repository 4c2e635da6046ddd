//go:build unix

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// content returns the file of a size: the same pseudo-random bytes at every call.
func content(size int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{1: 9}), size)
}

func sum(t *testing.T, size int64) string {
	t.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, content(size)); err != nil {
		t.Fatal(err)
	}
	return hex(h)
}

func hex(h hash.Hash) string { return fmt.Sprintf("%x", h.Sum(nil)) }

// fileServer serves files by size, /SIZE. Of /held/SIZE it serves half, tells half, and
// goes on when the test says so.
type fileServer struct {
	*httptest.Server
	half, goOn chan struct{}
}

func serveFiles(t *testing.T) *fileServer {
	f := &fileServer{half: make(chan struct{}), goOn: make(chan struct{})}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ticks" {
			serveTicks(w, r)
			return
		}
		path, held := strings.CutPrefix(r.URL.Path, "/held")
		size, err := strconv.ParseInt(strings.TrimPrefix(path, "/"), 10, 64)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		body := content(size)
		if held {
			_, _ = io.CopyN(w, body, size/2) // who does not get it all sees that himself
			_ = http.NewResponseController(w).Flush()
			f.half <- struct{}{}
			<-f.goOn
		}
		_, _ = io.Copy(w, body)
	}))
	t.Cleanup(f.Close)
	return f
}

// world is a network of processes.
type world struct {
	t            *testing.T
	ctx          context.Context
	file, dir    string
	invite       string
	files        *fileServer
	login        *process
	others       []*process // nodes that may serve
	bob, alice   *process
	curl, aliceA string // the programs' curl, and where alice listens
}

func (w *world) node(name string, args ...string) *process {
	all := append([]string{"-invite", w.invite, "-name", name, "-state", filepath.Join(w.dir, name), "-address", "127.0.0.1:0"}, args...)
	return start(w.t, name, w.file, all...)
}

func (w *world) startBob() {
	w.bob = w.node("bob", "-v", "-role", "node", "-expose", "80="+w.files.Listener.Addr().String())
}

// newWorld starts a login server, five nodes of which some will serve, and bob and alice,
// who will not, and whose conversation goes through the others.
func newWorld(ctx context.Context, t *testing.T) *world {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed: this test shows that a program like it works unchanged")
	}
	w := &world{t: t, ctx: ctx, file: build(t), dir: t.TempDir(), files: serveFiles(t), curl: curl}
	w.login = start(t, "login", w.file, "-login", "127.0.0.1:0", "-state", filepath.Join(w.dir, "login"))
	w.login.expect(ctx, 0, "login server: ")
	w.invite = w.login.expect(ctx, 1, "")
	for i := range 5 {
		w.others = append(w.others, w.node(fmt.Sprintf("n%d", i), "-relay-budget", "1000000000"))
	}
	w.startBob()
	w.alice = w.node("alice", "-v", "-role", "node", "-relayed", "-listen", "127.0.0.1:0=bob:80")
	for _, p := range append([]*process{w.bob, w.alice}, w.others...) {
		p.expect(ctx, 0, "attached as "+p.name)
	}
	w.bob.expect(ctx, 0, "exposing ")
	w.aliceA, _, _ = strings.Cut(w.alice.expect(ctx, 0, "listening on "), " ")
	return w
}

// get downloads through alice with curl. It returns the SHA-256 of what arrived.
func (w *world) get(path string) (string, error) {
	h := sha256.New()
	var said strings.Builder
	cmd := exec.CommandContext(w.ctx, w.curl, "--silent", "--show-error", "--fail", "--noproxy", "*", "http://"+w.aliceA+path)
	cmd.Stdout, cmd.Stderr = h, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("curl: %w: %s", err, said.String())
	}
	return hex(h), nil
}

// mustGet downloads a file of a size and compares it.
func (w *world) mustGet(size int64) {
	w.t.Helper()
	begin := time.Now()
	got, err := w.get(fmt.Sprintf("/%d", size))
	if err != nil {
		w.t.Fatal(err)
	}
	if want := sum(w.t, size); got != want {
		w.t.Fatalf("%d bytes arrived as %s, want %s", size, got, want)
	}
	took := time.Since(begin)
	w.t.Logf("%d MiB in %v: %.0f MB/s", size>>20, took.Round(time.Millisecond), float64(size)/1e6/took.Seconds())
}

// relayed returns how many bytes each node that may serve has carried between others.
func (w *world) relayed() map[*process]uint64 {
	bytes := make(map[*process]uint64)
	for _, p := range w.others {
		bytes[p] = p.status(w.ctx).Service.RelayedBytes
	}
	return bytes
}

// relay returns who has carried most since before, nil when the way is direct.
func (w *world) relay(before map[*process]uint64) (best *process) {
	var most uint64
	for p, n := range w.relayed() {
		if n -= before[p]; n > most {
			best, most = p, n
		}
	}
	return best
}

// busiest returns the supernode that holds most nodes.
func (w *world) busiest() (best *process) {
	most := -1
	for _, p := range w.others {
		if s := p.status(w.ctx); s.Supernode && s.Service.Held > most {
			best, most = p, s.Service.Held
		}
	}
	return best
}

// supernodes counts those who serve.
func (w *world) supernodes() (n int) {
	for _, p := range w.others {
		if p.status(w.ctx).Supernode {
			n++
		}
	}
	return n
}

// small is a file that fits into no buffer on the way when it is held at its half.
const small = 16 << 20

// TestDownload: an unmodified program gets a file through the network of processes,
// whoever of the network is killed.
func TestDownload(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Minute, errors.New("the test's time is over"))
	defer cancel()
	size := int64(64 << 20)
	if os.Getenv("OVERLAY_LONG") != "" {
		size = 1 << 30
	}
	begin := time.Now()
	w := newWorld(ctx, t)
	t.Logf("everybody attached %v after the start of the build", time.Since(begin).Round(time.Millisecond))
	w.mustGet(size)
	until(ctx, t, "a tier of two", func() bool { return w.supernodes() >= 2 })

	// What bob remembers is written within 5 s of a change; without it and without a login
	// server he would know nobody.
	until(ctx, t, "bob's host cache on disk", func() bool {
		_, err := os.Stat(filepath.Join(w.dir, "bob", "bob", "hostcache"))
		return err == nil
	})
	w.login.kill()
	w.bob.kill()
	killed := time.Now()
	w.startBob()
	minute, end := context.WithTimeoutCause(ctx, time.Minute, errors.New("a minute is allowed"))
	defer end()
	until(minute, t, "bob is reached again", func() bool {
		_, err := w.get("/1")
		if err != nil {
			t.Logf("%v after the kill: %v", time.Since(killed).Round(time.Millisecond), err)
		}
		return err == nil
	})
	t.Logf("bob is reached again %v after he was killed, the login server dead", time.Since(killed).Round(time.Millisecond))

	w.killRelay()
	w.mustGet(size)
	w.leave()
}

// killRelay kills who relays in the middle of a download, which ends well all the same.
func (w *world) killRelay() {
	w.t.Helper()
	before := w.relayed()
	got, done := "", make(chan error, 1)
	go func() { // ends with curl, at the latest with the test's context
		var err error
		got, err = w.get(fmt.Sprintf("/held/%d", small))
		done <- err
	}()
	select {
	case <-w.files.half:
	case err := <-done:
		w.t.Fatal(err)
	}
	victim := w.relay(before)
	if victim == nil {
		victim = w.busiest() // the way is direct: whom alice and bob are found by dies
	}
	victim.kill()
	killed := time.Now()
	w.others = without(w.others, victim)
	w.files.goOn <- struct{}{}
	if err := <-done; err != nil {
		w.t.Fatal(err)
	}
	if got != sum(w.t, small) {
		w.t.Fatal("the download that the relay's death met is damaged")
	}
	w.t.Logf("the download went on, and ended %v after %s was killed", time.Since(killed).Round(time.Millisecond), victim.name)
}

func without(all []*process, one *process) (rest []*process) {
	for _, p := range all {
		if p != one {
			rest = append(rest, p)
		}
	}
	return rest
}

// leave asks everybody to go, one after the other, and expects a clean exit.
func (w *world) leave() {
	w.t.Helper()
	if s := w.alice.status(w.ctx); s.Connections.Open != 0 || s.Connections.Accepted == 0 {
		w.t.Errorf("alice counts %+v after all downloads", s.Connections)
	}
	for _, p := range []*process{w.alice, w.bob} {
		p.signal(syscall.SIGTERM)
		if err := p.wait(w.ctx); err != nil {
			w.t.Errorf("%s was asked to leave: %v", p.name, err)
		}
	}
}

// TestSignals: the first signal lets a supernode that can't place its nodes wait for
// them, the second ends it.
func TestSignals(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("the test's time is over"))
	defer cancel()
	file := build(t)
	login := start(t, "login", file, "-login", "127.0.0.1:0")
	login.expect(ctx, 0, "login server: ")
	join := []string{"-invite", login.expect(ctx, 1, ""), "-address", "127.0.0.1:0"}
	super := start(t, "super", file, append(join, "-name", "super", "-role", "supernode")...)
	super.expect(ctx, 0, "attached as super")
	held := start(t, "held", file, append(join, "-name", "held", "-role", "node")...)
	held.expect(ctx, 0, "attached as held")

	super.signal(os.Interrupt)
	super.expect(ctx, 0, "leaving")
	super.signal(os.Interrupt)
	var exit *exec.ExitError
	if err := super.wait(ctx); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGINT {
		t.Errorf("after the second signal: %v, want death by it", err)
	}
	login.signal(syscall.SIGTERM)
	if err := login.wait(ctx); err != nil {
		t.Errorf("the login server was asked to end: %v", err)
	}
	again := start(t, "usage", file, "-login", "7000")
	if err := again.wait(ctx); !errors.As(err, &exit) || exit.ExitCode() != exitUsage || len(again.said()) != 1 {
		t.Errorf("bad flag: %v, said %q", err, again.said())
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := start(t, "port", file, append(join, "-name", "late", "-listen", taken.Addr().String()+"=bob:80")...)
	if err := port.wait(ctx); !errors.As(err, &exit) || exit.ExitCode() != exitFailed || !strings.Contains(port.said()[0], "in use") {
		t.Errorf("port in use: %v, said %q", err, port.said())
	}
}
