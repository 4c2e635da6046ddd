//go:build unix

package main

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// pair returns the two ends of a TCP connection.
func pair(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{a, b} {
		t.Cleanup(func() { c.Close() })
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	return a.(*net.TCPConn), b.(*net.TCPConn)
}

// bridged returns two programs with a bridge between them, and how it ends.
func bridged(ctx context.Context, t *testing.T) (client, server *net.TCPConn, end <-chan error) {
	client, in := pair(t)
	out, server := pair(t)
	done := make(chan error, 1)
	go func() { // ends with the connections, at the latest by their deadlines
		_, _, err := bridge(ctx, in, out)
		done <- err
	}()
	return client, server, done
}

// Who sends all and then waits for the answer, gets it: in both directions.
func TestHalfClose(t *testing.T) {
	for _, name := range []string{"client first", "server first"} {
		t.Run(name, func(t *testing.T) {
			first, second, end := bridged(t.Context(), t)
			if name == "server first" {
				first, second = second, first
			}
			say(t, first, "question")
			hear(t, second, "question")
			say(t, second, "answer")
			hear(t, first, "answer")
			if err := <-end; err != nil {
				t.Error(err)
			}
		})
	}
}

// say writes and ends the direction.
func say(t *testing.T, c *net.TCPConn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

// hear reads to the end of the direction.
func hear(t *testing.T, c *net.TCPConn, want string) {
	t.Helper()
	got, err := io.ReadAll(c)
	if err != nil || string(got) != want {
		t.Fatalf("heard %q, %v; want %q", got, err, want)
	}
}

// A program that dies in the middle must not look to the other like one that has
// finished, and neither must a forwarder that ends.
func TestCutIsNotAnEnd(t *testing.T) {
	for name, cut := range map[string]func(client *net.TCPConn, leave func()){
		"reset": func(c *net.TCPConn, _ func()) { abort(c) },
		"leave": func(_ *net.TCPConn, leave func()) { leave() },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			client, server, end := bridged(ctx, t)
			if _, err := io.WriteString(client, "ha"); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(server, make([]byte, 2)); err != nil {
				t.Fatal(err)
			}
			cut(client, cancel)
			if _, err := server.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the server reads %v, want a reset", err)
			}
			if err := <-end; err == nil {
				t.Error("the bridge ended as if nothing had happened")
			}
		})
	}
}
