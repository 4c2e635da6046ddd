package stream

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"
)

func TestNettest(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		f := newFabric()
		alice, bob := start(t, f, "alice"), start(t, f, "bob")
		c1, c2 = pair(t, alice, listen(t, bob, "chat"))
		return c1, c2, func() { alice.Close(); bob.Close() }, nil
	})
}

func TestHalfClose(t *testing.T) {
	f := newFabric()
	alice, bob := start(t, f, "alice"), start(t, f, "bob")
	c, s := pair(t, alice, listen(t, bob, "80"))
	if got := c.RemoteAddr().String(); got != "bob:80" {
		t.Errorf("RemoteAddr is %q, want bob:80", got)
	}
	if c.LocalAddr() != s.RemoteAddr() || c.RemoteAddr() != s.LocalAddr() {
		t.Errorf("ends disagree: %v-%v and %v-%v", c.LocalAddr(), c.RemoteAddr(), s.LocalAddr(), s.RemoteAddr())
	}
	if got := s.RemoteAddr().(Addr); got.Name != "alice" || got.Key != peer("alice").Key {
		t.Errorf("the acceptor sees %v", got)
	}
	io.WriteString(c, "question")
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(s); err != nil || string(b) != "question" {
		t.Errorf("read %q, %v", b, err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed) {
		t.Errorf("Write after CloseWrite: %v, want EPIPE", err)
	}
	io.WriteString(s, "answer")
	s.Close()
	if b, err := io.ReadAll(c); err != nil || string(b) != "answer" {
		t.Errorf("read %q, %v", b, err)
	}
}

func TestErrorsAfterOwnClose(t *testing.T) {
	f := newFabric()
	alice, bob := start(t, f, "alice"), start(t, f, "bob")
	c, _ := pair(t, alice, listen(t, bob, "80"))
	c.Close()
	_, readErr := c.Read(make([]byte, 1))
	_, writeErr := c.Write([]byte("x"))
	for what, err := range map[string]error{
		"Read": readErr, "Write": writeErr, "Close": c.Close(), "SetDeadline": c.SetDeadline(time.Time{}),
	} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v, want net.ErrClosed", what, err)
		}
	}
}

// A closed conn must not take back what its Write has accepted, also if the peer reads
// long after, and after the time in which an unused link ends.
func TestCloseLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFabric()
		alice, bob := start(t, f, "alice"), start(t, f, "bob")
		c, s := pair(t, alice, listen(t, bob, "80"))
		want := bytes.Repeat([]byte("0123456789abcdef"), 8<<10) // 128 KiB: fits the window
		if _, err := c.Write(want); err != nil {
			t.Fatal(err)
		}
		c.Close()
		time.Sleep(3 * IdleTimeout) // virtual time: the bubble's clock jumps
		if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, want) {
			t.Errorf("read %d bytes of %d, %v", len(got), len(want), err)
		}
		if _, err := s.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("Write to a peer that closed: %v, want EPIPE", err)
		}
		s.Close()
		alice.Close()
		bob.Close()
	})
}

func TestCloseInterruptsWrite(t *testing.T) {
	f := newFabric()
	alice, bob := start(t, f, "alice"), start(t, f, "bob")
	c, s := pair(t, alice, listen(t, bob, "80"))
	wrote := make(chan int)
	go func() {
		n, err := c.Write(make([]byte, 64<<20)) // more than any window
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write ended with %v, want net.ErrClosed", err)
		}
		wrote <- n
	}()
	if _, err := io.ReadFull(s, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	n := <-wrote
	if rest, err := io.Copy(io.Discard, s); err != nil || int(rest)+1 != n {
		t.Errorf("peer read %d bytes of %d, %v", rest+1, n, err)
	}
}

func TestPeerGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFabric()
		alice, bob := start(t, f, "alice"), start(t, f, "bob")
		c, s := pair(t, alice, listen(t, bob, "80"))
		f.set(func(f *fabric) { f.cut = true })
		began := time.Now()
		_, err := c.Read(make([]byte, 1))
		if !errors.Is(err, syscall.ETIMEDOUT) || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read: %v, want ETIMEDOUT", err)
		}
		if took := time.Since(began); took > IdleTimeout+2*keepalivePeriod {
			t.Errorf("noticed after %v", took)
		}
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, syscall.ETIMEDOUT) {
			t.Errorf("the acceptor's Read: %v, want ETIMEDOUT", err)
		}
		alice.Close()
		bob.Close()
	})
}

// R12: a gap of the path, and errors of the PacketConn in it, are only a gap.
func TestConversationSurvivesGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFabric()
		f.delay = 20 * time.Millisecond
		alice, bob := start(t, f, "alice"), start(t, f, "bob")
		c, s := pair(t, alice, listen(t, bob, "80"))
		f.set(func(f *fabric) { f.fail = true })
		io.WriteString(c, "hello")
		time.Sleep(30 * time.Second)
		f.set(func(f *fabric) { f.fail = false })
		mended := time.Now()
		alice.Nudge(peer("bob").Key)
		b := make([]byte, 5)
		if _, err := io.ReadFull(s, b); err != nil || string(b) != "hello" {
			t.Errorf("read %q, %v", b, err)
		}
		if took := time.Since(mended); took > 100*time.Millisecond {
			t.Errorf("silent for another %v after the gap", took)
		}
		if alice.Stats().UnsentPackets == 0 {
			t.Error("no packet was lost")
		}
		alice.Close()
		bob.Close()
	})
}

func TestIdleLinkEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFabric()
		alice, bob := start(t, f, "alice"), start(t, f, "bob")
		l := listen(t, bob, "80")
		c, s := pair(t, alice, l)
		time.Sleep(5 * IdleTimeout)
		if out, in := alice.Stats().Outbound, bob.Stats().Inbound; out != 1 || in != 1 {
			t.Fatalf("links in use: %d and %d, want 1 and 1", out, in)
		}
		c.Close()
		s.Close()
		time.Sleep(2 * IdleTimeout)
		synctest.Wait()
		if out, in := alice.Stats().Outbound, bob.Stats().Inbound; out != 0 || in != 0 {
			t.Errorf("links out of use: %d and %d, want none", out, in)
		}
		pair(t, alice, l)
		alice.Close()
		bob.Close()
	})
}

func TestManyStreams(t *testing.T) {
	f := newFabric()
	alice, bob := start(t, f, "alice"), start(t, f, "bob")
	l := listen(t, bob, "echo")
	go func() {
		for {
			s, err := l.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(s, s); s.Close() }()
		}
	}()
	const streams = 2 * AcceptQueue
	var wg sync.WaitGroup
	limit := make(chan struct{}, AcceptQueue/2) // below the accept queue
	for i := range streams {
		wg.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			c, err := alice.Dial(t.Context(), peer("bob"), "echo")
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			want := bytes.Repeat([]byte{byte(i)}, 10_000)
			go func() { c.Write(want); c.(*conn).CloseWrite() }()
			if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, want) {
				t.Errorf("stream %d: %d bytes, %v", i, len(got), err)
			}
		})
	}
	wg.Wait()
	if out := alice.Stats().Outbound; out != 1 {
		t.Errorf("%d links for one peer", out)
	}
}
