//go:build unix

package main

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestUnreachable: a user whose connections come to nothing is told why, once.
func TestUnreachable(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("the test's time is over"))
	defer cancel()
	file := build(t)
	login := start(t, "login", file, "-login", "127.0.0.1:0")
	login.expect(ctx, 0, "login server: ")
	join := []string{"-invite", login.expect(ctx, 1, ""), "-address", "127.0.0.1:0"}
	super := start(t, "super", file, append(join, "-name", "super", "-role", "supernode", "-listen", "127.0.0.1:0=super:99")...)
	address := strings.TrimSuffix(super.expect(ctx, 0, "listening on "), " for super:99")
	for range 2 {
		c, err := net.Dial("tcp", address) // the reset may come before it returns
		if err == nil {
			_, err = io.ReadAll(c)
			c.Close()
		}
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a service that nobody takes: %v, want a reset", err)
		}
	}
	super.tells(ctx, "nobody is reached", "target=super:99", "connection refused")
	if said := strings.Join(super.said(), "\n"); strings.Count(said, "nobody is reached") != 1 {
		t.Errorf("it is said more than once:\n%s", said)
	}

	login.kill()
	start(t, "late", file, append(join, "-name", "late")...).tells(ctx, "not attached yet", "login server")
}

// tells waits for a line that has all words in it.
func (p *process) tells(ctx context.Context, words ...string) {
	p.t.Helper()
	for at := 0; ; at++ {
		line, missing := p.expect(ctx, at, ""), false
		for _, w := range words {
			missing = missing || !strings.Contains(line, w)
		}
		if !missing {
			return
		}
	}
}
