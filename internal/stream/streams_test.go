package stream

import (
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"
)

// TestStreamsWithoutEnd: a peer opens as many streams as it can and says nothing on them,
// or dials without end and never closes. It is held at MaxStreams, others are served
// meanwhile, and what said nothing is given up.
func TestStreamsWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFabric()
		f.delay = time.Millisecond
		greedy, other, bob := start(t, f, "greedy"), start(t, f, "other"), start(t, f, "bob")
		l := listen(t, bob, "80")
		first, taken := pair(t, greedy, l)
		defer first.Close()
		defer taken.Close()
		before := runtime.NumGoroutine()
		conn := first.(*conn).link.conn
		var limit *quic.StreamLimitReachedError
		opened := 0
		for ; opened < 10*MaxStreams; opened++ {
			s, err := conn.OpenStream()
			if errors.As(err, &limit) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Write([]byte{9}); err != nil { // shows the stream, begins no header
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if opened >= MaxStreams || opened < MaxStreams/2 {
			t.Errorf("%d streams were opened, %d may be", opened, MaxStreams)
		}
		if n := runtime.NumGoroutine() - before; n > 2*MaxStreams {
			t.Errorf("%d goroutines more", n)
		}
		c, s := pair(t, other, l)
		if _, err := c.Write([]byte("x")); err != nil {
			t.Error(err)
		}
		if _, err := s.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
		c.Close()
		s.Close()
		time.Sleep(2 * headerTimeout)
		synctest.Wait()
		if n := runtime.NumGoroutine() - before; n > 50 {
			t.Errorf("%d goroutines more after the streams that said nothing have had their time", n)
		}
		if got := bob.Stats().BadHeaders; got != uint64(opened) {
			t.Errorf("%d streams of %d were given up", got, opened)
		}
	})
}
