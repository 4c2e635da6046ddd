package stream

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/quic-go/quic-go"
)

// What quic-go writes to the standard logger would be written into the application's
// log: the whole run must be quiet.
func TestMain(m *testing.M) {
	var logged bytes.Buffer
	log.SetOutput(&logged)
	code := m.Run()
	if logged.Len() > 0 {
		fmt.Printf("FAIL: the standard logger was written to: %s", logged.String())
		code = 1
	}
	os.Exit(code)
}

func TestCloseEndsEveryGoroutine(t *testing.T) {
	ignored := goleak.IgnoreCurrent()
	f := newFabric()
	alice, bob := start(t, f, "alice"), start(t, f, "bob")
	c, s := pair(t, alice, listen(t, bob, "80"))
	back, _ := pair(t, bob, listen(t, alice, "80"))
	server := listenPacket(t, bob, "voice")
	flow := dialPacket(t, alice, "bob", "voice")
	flow.Write([]byte("x"))
	server.ReadFrom(make([]byte, 1))
	var blocked sync.WaitGroup
	blocked.Go(func() { c.Read(make([]byte, 1)) })
	blocked.Go(func() { io.Copy(s, zeros{}) })
	blocked.Go(func() { back.Read(make([]byte, 1)) })
	blocked.Go(func() { server.ReadFrom(make([]byte, 1)) })
	blocked.Go(func() { flow.Read(make([]byte, 1)) })
	blocked.Go(func() { alice.Dial(t.Context(), peer("nobody"), "80") })
	alice.Close()
	bob.Close()
	blocked.Wait()
	// goleak waits a moment: two goroutines of quic-go's own end right after Close.
	goleak.VerifyNone(t, ignored)
}

// zeros is a reader without end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// TestMeshInBubble is how the tests of the layers above use this package: many nodes,
// virtual time, every goroutine inside of the bubble (which synctest itself checks).
func TestMeshInBubble(t *testing.T) {
	const nodes = 20
	synctest.Test(t, func(t *testing.T) {
		f := newFabric()
		f.delay = 20 * time.Millisecond
		f.loss = 0.01
		ends := make([]*Endpoint, nodes)
		for i := range ends {
			ends[i] = start(t, f, fmt.Sprint("node", i))
			l := listen(t, ends[i], "echo")
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					go func() { io.Copy(c, c); c.Close() }()
				}
			}()
		}
		began := time.Now()
		var wg sync.WaitGroup
		for i, e := range ends {
			for _, hop := range []int{1, 2, 5} {
				wg.Go(func() { echo(t, e, fmt.Sprint("node", (i+hop)%nodes)) })
			}
		}
		wg.Wait()
		t.Logf("%d conversations in %v", 3*nodes, time.Since(began))
		for _, e := range ends {
			e.Close()
		}
	})
}

func echo(t *testing.T, e *Endpoint, name string) {
	c, err := e.Dial(t.Context(), peer(name), "echo")
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	io.WriteString(c, "hello")
	c.(*conn).CloseWrite()
	if b, err := io.ReadAll(c); err != nil || string(b) != "hello" {
		t.Errorf("echo of %s: %q, %v", name, b, err)
	}
}

// Packets and streams that no endpoint sends are counted, and harm nobody.
func TestBadInputIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFabric()
		alice, bob := start(t, f, "alice"), start(t, f, "bob")
		l := listen(t, bob, "80")
		pair(t, alice, l)
		link := alice.live(target{peer("bob").Key, "bob"})
		for _, b := range [][]byte{make([]byte, headerSize), {9}} {
			s, err := link.conn.OpenStream()
			if err != nil {
				t.Fatal(err)
			}
			s.Write(b)
			if _, err := s.Read(make([]byte, 1)); err == nil {
				t.Errorf("header %x is answered", b)
			}
		}
		link.enqueue([]byte{1})
		f.ports[peer("bob").Key].inbox.put(message{[]byte("?"), &net.UDPAddr{}})
		synctest.Wait()
		if got := bob.Stats(); got.BadHeaders != 2 || got.BadDatagrams != 1 || got.BadAddresses != 1 {
			t.Errorf("counted %+v", got)
		}
		pair(t, alice, l)
		alice.Close()
		bob.Close()
	})
}

// A peer keeps its newest links only, and what a link was granted comes back.
func TestLinksPerPeerAreBounded(t *testing.T) {
	f := newFabric()
	alice, bob := start(t, f, "alice"), start(t, f, "bob")
	l := listen(t, bob, "80")
	var first *link
	for i := range maxInboundPerPeer + 1 {
		c, _ := pair(t, alice, l)
		if i == 0 {
			first = c.(*conn).link
		}
		alice.mu.Lock()
		clear(alice.out) // as if alice had lost it
		alice.mu.Unlock()
	}
	<-first.conn.Context().Done()
	bob.mu.Lock()
	defer bob.mu.Unlock()
	if n := len(bob.in[peer("alice").Key]); n > maxInboundPerPeer {
		t.Errorf("%d links of one peer", n)
	}
}

func TestWindowBudget(t *testing.T) {
	w := windows{granted: make(map[*quic.Conn]uint64)}
	a, b := new(quic.Conn), new(quic.Conn)
	if !w.allow(a, windowBudget-1) || w.allow(b, 2) || !w.allow(b, 1) {
		t.Error("the budget is not kept")
	}
	w.release(a)
	if !w.allow(b, windowBudget-1) || w.allow(a, 1) {
		t.Error("what was released is not granted again")
	}
}
