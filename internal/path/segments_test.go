package path

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/stream"
	"github.com/ada420b6/overlay/internal/udp"
)

// numbered returns packets of a size that say their number, the last one shorter.
func numbered(from, n, size int) []byte {
	var b []byte
	for i := range n {
		b = append(b, fmt.Appendf(nil, "@%-*d", size-1, from+i)...)
	}
	return b[:len(b)-3]
}

func number(s string) (n int) {
	_, _ = fmt.Sscanf(s, "@%d", &n)
	return n
}

func readPackets(t *testing.T, c *Conn, n int) (payloads []string) {
	t.Helper()
	into := make([]stream.Packet, 5)
	for i := range into {
		into[i].Space = make([]byte, 200)
	}
	for len(payloads) < n {
		got, err := c.ReadPackets(into)
		if err != nil {
			t.Fatalf("%d packets of %d: %v", len(payloads), n, err)
		}
		for _, p := range into[:got] {
			payloads = append(payloads, string(p.Space[:p.N]))
		}
	}
	return payloads
}

// TestWriteSegments sends runs over a hop, and what comes is each packet.
func TestWriteSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, &hop{delay: time.Millisecond})
		defer p.close()
		for i := range 10 {
			if err := p.ends[0].WriteSegments(numbered(16*i, 16, 50), 50, 0, bob); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		got := readPackets(t, p.ends[1].Conn, 160)
		slices.SortFunc(got, func(a, b string) int { return number(a) - number(b) }) // the hop's timers shuffle
		for i, x := range got {
			want := fmt.Sprintf("@%-49d", i)
			if i%16 == 15 {
				want = want[:47]
			}
			if x != want {
				t.Fatalf("packet %d is %q", i, x)
			}
		}
		_ = p.ends[1].SetReadDeadline(time.Now().Add(time.Second))
		if n, err := p.ends[1].ReadPackets(make([]stream.Packet, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d packets more: %v", n, err)
		}
	})
}

// TestSegmentsAreRepeated: packets that go in runs are watched and kept like others. The
// hop in use dies, and the last of them arrive over the other one.
func TestSegmentsAreRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, &hop{delay: time.Millisecond}, &hop{delay: time.Millisecond})
		defer p.close()
		p.hops[p.via(0)].dead.Store(true)
		const n = 40
		for i := range n {
			if err := p.ends[0].WriteSegments(numbered(8*i, 8, 50), 50, 0, bob); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		got := make(map[string]bool)
		_ = p.ends[1].SetReadDeadline(time.Now().Add(time.Second))
		for _, x := range readPackets(t, p.ends[1].Conn, len(p.ends[1].queue)) {
			got[x] = true
		}
		for i := 8 * n / 2; i < 8*n; i++ {
			if i%8 != 7 && !got[fmt.Sprintf("@%-49d", i)] {
				t.Fatalf("packet %d of %d did not come; %d did", i, 8*n, len(got))
			}
		}
	})
}

func TestSegmentsAreChecked(t *testing.T) {
	var runs []udp.Run
	c := New(Config{
		Self: self, Send: func(_ netip.AddrPort, _ []byte) {}, Wanted: func(ident.Key) {}, Secret: secretOf(self),
		Silent: func(ident.Key, uint64, ident.Key) {},
		SendRun: func(r udp.Run) {
			r.Data = bytes.Clone(r.Data)
			runs = append(runs, r)
		},
	})
	if err := c.WriteSegments([]byte("nobody"), 6, 0, bob); err != nil || c.Counters().NoRoute != 1 {
		t.Errorf("without a way: %v", err)
	}
	c.Open(bob, Route{Channel: 7, Via: eve, Addr: relay1})
	if err := c.WriteSegments([]byte("abcde"), 2, 3, bob); err != nil {
		t.Error(err)
	}
	head := string([]byte{Head, 0, 0, 0, 0, 0, 0, 0, 7})
	want := udp.Run{Addr: relay1, Data: []byte(head + "ab" + head + "cd" + head + "e"), Size: HeaderSize + 2, ECN: 3}
	if len(runs) != 1 || fmt.Sprint(runs[0]) != fmt.Sprint(want) {
		t.Errorf("sent %v, want %v", runs, want)
	}
	for _, bad := range []struct{ n, size int }{{MaxPayload + 1, MaxPayload + 1}, {10, 0}, {10, -1}, {21 << 10, 1000}, {5000, 1}} {
		if err := c.WriteSegments(make([]byte, bad.n), bad.size, 0, bob); !errors.Is(err, syscall.EMSGSIZE) {
			t.Errorf("%d bytes in packets of %d: %v", bad.n, bad.size, err)
		}
	}
	if err := c.WriteSegments([]byte("abcde"), 2, 1, self); err != nil {
		t.Error(err)
	}
	into := []stream.Packet{{Space: make([]byte, 10)}, {Space: make([]byte, 10)}}
	if n, err := c.ReadPackets(into); n != 2 || err != nil || string(into[1].Space[:into[1].N]) != "cd" || into[1].From != self || into[1].ECN != 1 {
		t.Errorf("to itself: %d packets, %+v, %v", n, into, err)
	}
	_ = c.SetWriteDeadline(time.Unix(1, 0))
	if err := c.WriteSegments([]byte("x"), 1, 0, bob); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %v", err)
	}
	c.Close()
	if err := c.WriteSegments([]byte("x"), 1, 0, bob); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if _, err := c.SyscallConn(); err == nil {
		t.Error("there is a socket below that was not given")
	}
}
