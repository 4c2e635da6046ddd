//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// tick is the time between two lines of /ticks: what a conversation says in a second fifty
// times.
const tick = 20 * time.Millisecond

// serveTicks writes a numbered line every tick for as long as somebody reads.
func serveTicks(w http.ResponseWriter, r *http.Request) {
	again := time.NewTicker(tick)
	defer again.Stop()
	for n := 0; ; n++ {
		if _, err := fmt.Fprintf(w, "%d\n", n); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-again.C:
		case <-r.Context().Done():
			return
		}
	}
}

// listener reads /ticks and notes the longest silence.
type listener struct {
	mu    sync.Mutex
	lines int
	last  time.Time
	gap   time.Duration
	err   error
}

// listen reads until ctx ends; done is closed then.
func (l *listener) listen(ctx context.Context, address string) (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		err := l.read(ctx, address)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.err = err
	}()
	return done
}

func (l *listener) read(ctx context.Context, address string) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/ticks", nil)
	if err != nil {
		return err
	}
	// The machine may be told to use a proxy, which does not know alice.
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	answer, err := client.Do(q)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	s := bufio.NewScanner(answer.Body)
	for s.Scan() {
		l.mu.Lock()
		now := time.Now()
		if l.lines > 0 {
			l.gap = max(l.gap, now.Sub(l.last))
		}
		want := fmt.Sprint(l.lines)
		l.last, l.lines = now, l.lines+1
		l.mu.Unlock()
		if s.Text() != want {
			return fmt.Errorf("line %q in place of %s", s.Text(), want)
		}
	}
	if s.Err() != nil {
		return s.Err()
	}
	return errors.New("the stream has ended")
}

// since returns how many lines have come, and the longest silence since it was last called.
func (l *listener) since() (lines int, gap time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines, gap = l.lines, l.gap
	l.gap = 0
	return lines, gap
}

// supers starts a world whose supernodes are there from the start.
func supers(ctx context.Context, t *testing.T, n int) *world {
	w := &world{t: t, ctx: ctx, file: build(t), dir: t.TempDir(), files: serveFiles(t)}
	w.login = start(t, "login", w.file, "-login", "127.0.0.1:0", "-state", filepath.Join(w.dir, "login"))
	w.login.expect(ctx, 0, "login server: ")
	w.invite = w.login.expect(ctx, 1, "")
	for i := range n {
		p := w.node(fmt.Sprintf("s%d", i), "-role", "supernode")
		p.expect(ctx, 0, "attached as "+p.name)
		w.others = append(w.others, p)
	}
	w.startBob()
	w.alice = w.node("alice", "-role", "node", "-relayed", "-listen", "127.0.0.1:0=bob:80")
	w.bob.expect(ctx, 0, "exposing ")
	w.aliceA, _, _ = strings.Cut(w.alice.expect(ctx, 0, "listening on "), " ")
	return w
}

// relays counts the processes through which there is a channel.
func (w *world) relays() (n int) {
	for _, p := range w.others {
		if p.status(w.ctx).Service.Channels > 0 {
			n++
		}
	}
	return n
}

// warm waits until there is a second relay, or says that there is none: that makes a long gap,
// not a broken stream.
func (w *world) warm() {
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for begun := time.Now(); w.relays() < 2; <-again.C {
		if time.Since(begun) > time.Minute {
			w.t.Log("one relay only after a minute")
			return
		}
	}
}

// TestRelayKilled: a stream that says something fifty times a second goes on, whole, while
// its relay is killed with SIGKILL; with OVERLAY_LONG twenty times, another taking the place
// of each. The gap is told, not checked: the machine may be busy.
func TestRelayKilled(t *testing.T) {
	kills := 1
	if os.Getenv("OVERLAY_LONG") != "" {
		kills = 20
	}
	patience := 5*time.Minute + time.Duration(kills)*time.Minute
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, errors.New("the test's time is over"))
	defer cancel()
	w := supers(ctx, t, 4)
	until(ctx, t, "bob is attached twice", func() bool { return w.bob.status(ctx).Supernodes == 2 })
	var l listener
	reading, stop := context.WithCancel(ctx)
	done := l.listen(reading, w.aliceA)
	for k := range kills {
		w.warm()
		before := w.relayed()
		lines, _ := l.since()
		until(ctx, t, "a second of lines", func() bool { n, _ := l.since(); return n > lines+50 })
		victim := w.relay(before)
		if victim == nil {
			t.Fatal("nobody relays")
		}
		lines, _ = l.since()
		victim.kill()
		w.others = without(w.others, victim)
		longest := time.Duration(0)
		until(ctx, t, "two seconds of lines after the kill", func() bool {
			n, gap := l.since()
			longest = max(longest, gap)
			return n > lines+100
		})
		t.Logf("%s is killed: gap of %v", victim.name, longest.Round(time.Millisecond))
		next := w.node(fmt.Sprintf("r%d", k), "-role", "supernode")
		next.expect(ctx, 0, "attached as "+next.name)
		w.others = append(w.others, next)
	}
	stop()
	<-done
	if !errors.Is(l.err, context.Canceled) {
		t.Error(l.err)
	}
}
