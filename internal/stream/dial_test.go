package stream

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ada420b6/overlay/internal/seed"
)

func TestRefusal(t *testing.T) {
	f := newFabric()
	alice, bob := start(t, f, "alice"), start(t, f, "bob")
	_, err := alice.Dial(t.Context(), peer("bob"), "80")
	var opError *net.OpError
	if !errors.Is(err, syscall.ECONNREFUSED) || !errors.As(err, &opError) || opError.Addr.String() != "bob:80" {
		t.Errorf("Dial: %v, want ECONNREFUSED by bob:80", err)
	}
	if _, err := alice.Dial(t.Context(), peer("bob"), "no:service"); !errors.Is(err, ErrService) {
		t.Errorf("Dial: %v, want ErrService", err)
	}
	l := listen(t, bob, "80")
	if _, err := bob.Listen("80"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second Listen: %v, want EADDRINUSE", err)
	}
	pair(t, alice, l)
	unblocked := make(chan error)
	go func() { _, err := l.Accept(); unblocked <- err }()
	l.Close()
	if err := <-unblocked; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v, want net.ErrClosed", err)
	}
	if _, err := alice.Dial(t.Context(), peer("bob"), "80"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("Dial to a closed listener: %v, want ECONNREFUSED", err)
	}
	if got := bob.Stats().StreamsRefused; got != 2 {
		t.Errorf("%d streams counted as refused, want 2", got)
	}
}

func TestAcceptQueueIsBounded(t *testing.T) {
	f := newFabric()
	alice, bob := start(t, f, "alice"), start(t, f, "bob")
	l := listen(t, bob, "80")
	var first net.Conn
	for i := range AcceptQueue {
		c, err := alice.Dial(t.Context(), peer("bob"), "80")
		if err != nil {
			t.Fatalf("dial %d: %v", i, err)
		}
		if i == 0 {
			first = c
		}
	}
	if _, err := alice.Dial(t.Context(), peer("bob"), "80"); !errors.Is(err, ErrBusy) {
		t.Errorf("Dial beyond the queue: %v, want ErrBusy", err)
	}
	l.Close()
	if _, err := first.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Read of a stream never accepted: %v, want ECONNRESET", err)
	}
}

func TestDialEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFabric()
		alice := start(t, f, "alice") // and no bob
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := alice.Dial(ctx, peer("bob"), "80")
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("Dial: %v after %v", err, time.Since(began))
		}
		began = time.Now()
		_, err = alice.Dial(t.Context(), peer("bob"), "80")
		if !errors.Is(err, syscall.ETIMEDOUT) || time.Since(began) > 2*handshakeTimeout {
			t.Errorf("Dial without deadline: %v after %v, want ETIMEDOUT", err, time.Since(began))
		}
		alice.Close()
		if _, err = alice.Dial(t.Context(), peer("bob"), "80"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Dial on a closed endpoint: %v", err)
		}
	})
}

// A peer that reboots is the common case of this library: the conversation of before
// ends at the first byte, and Dial does not notice that its link is dead.
func TestPeerReboots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFabric()
		f.delay = 10 * time.Millisecond
		alice, bob := start(t, f, "alice"), start(t, f, "bob")
		old, _ := pair(t, alice, listen(t, bob, "80"))
		second, _ := pair(t, alice, bob.listener("80"))
		crash(f, bob)
		reborn := start(t, f, "bob")
		listen(t, reborn, "80")

		began := time.Now()
		second.Write([]byte("x"))
		if _, err := second.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("Read of before the reboot: %v, want ECONNRESET", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("the old conversation ended after %v", took)
		}
		if _, err := old.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) || errors.Is(err, net.ErrClosed) {
			t.Errorf("Write of before the reboot: %v, want ECONNRESET", err)
		}

		crash(f, reborn)
		l := listen(t, start(t, f, "bob"), "80")
		began = time.Now()
		c, s := pair(t, alice, l) // over a link that is dead already
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("Dial after a reboot took %v", took)
		}
		io.WriteString(c, "hello")
		if _, err := io.ReadFull(s, make([]byte, 5)); err != nil {
			t.Error(err)
		}
	})
}

// crash ends an endpoint without a word to its peers.
func crash(f *fabric, e *Endpoint) {
	f.set(func(f *fabric) { delete(f.ports, e.self.Key) })
	e.Close()
}

func TestPeerShutsDown(t *testing.T) {
	f := newFabric()
	alice, bob := start(t, f, "alice"), start(t, f, "bob")
	c, s := pair(t, alice, listen(t, bob, "80"))
	bob.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) || errors.Is(err, net.ErrClosed) {
		t.Errorf("Read from a closed endpoint: %v, want ECONNRESET", err)
	}
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read on the closed endpoint: %v, want net.ErrClosed", err)
	}
	if err := bob.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
}

// lossyTransfer sends size bytes from alice to bob and compares hashes.
func lossyTransfer(t *testing.T, alice *Endpoint, l net.Listener, size int64) {
	t.Helper()
	c, s := pair(t, alice, l)
	sent := make(chan hash.Hash, 1)
	go func() {
		h, r := sha256.New(), seed.New(7)
		b := make([]byte, 64<<10)
		for left := size; left > 0; left -= int64(len(b)) {
			b[0], b[len(b)-1] = byte(r.Uint32()), byte(left>>16)
			h.Write(b)
			if _, err := c.Write(b); err != nil {
				t.Error(err)
				break
			}
		}
		c.Close()
		sent <- h
	}()
	h := sha256.New()
	if n, err := io.Copy(h, s); err != nil || n != size {
		t.Fatalf("received %d bytes of %d, %v", n, size, err)
	}
	if want := (<-sent).Sum(nil); string(want) != string(h.Sum(nil)) {
		t.Error("what arrived is not what was sent")
	}
	s.Close()
}

func TestLossyTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // most of the real time would be waiting
		f := newFabric()
		alice, bob := start(t, f, "alice"), start(t, f, "bob")
		f.set(func(f *fabric) { f.loss, f.delay = 0.05, time.Millisecond })
		began := time.Now()
		lossyTransfer(t, alice, listen(t, bob, "80"), 64<<20)
		t.Logf("64 MiB with 5 %% loss in %v", time.Since(began))
		alice.Close()
		bob.Close()
	})
}

func TestDeadlineIsNotTheEnd(t *testing.T) {
	f := newFabric()
	alice, bob := start(t, f, "alice"), start(t, f, "bob")
	c, s := pair(t, alice, listen(t, bob, "80"))
	c.SetReadDeadline(time.Now().Add(-time.Second))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read: %v, want os.ErrDeadlineExceeded", err)
	}
	c.SetReadDeadline(time.Time{})
	s.Write([]byte("x"))
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Errorf("Read after the deadline was lifted: %v", err)
	}
}
