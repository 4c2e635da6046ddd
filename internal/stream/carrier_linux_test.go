package stream

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/udp"
)

// city is two virtual PacketConns on real sockets.
type city map[ident.Key]*house

// house is a PacketsConn of one reader.
type house struct {
	*udp.Conn
	city   city
	key    ident.Key
	at     netip.AddrPort
	left   []udp.Run
	fail   atomic.Bool
	marked atomic.Int64 // packets that came with ECN bits
	long   atomic.Int64 // writes of more than one packet
}

func build(t *testing.T, names ...string) city {
	c := make(city)
	for _, name := range names {
		pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		key := peer(name).Key
		at, _ := udp.AddrPort(pc.LocalAddr())
		c[key] = &house{Conn: udp.New(pc), city: c, key: key, at: at}
		if c[key].Raw() == nil {
			t.Skip("this Linux does not cut runs")
		}
	}
	return c
}

func (h *house) SyscallConn() (syscall.RawConn, error) { return h.Raw(), nil }
func (h *house) LocalAddr() net.Addr                   { return Addr{Key: h.key} }

func (h *house) WriteSegments(p []byte, size int, ecn byte, to ident.Key) error {
	if len(p) > size {
		h.long.Add(1)
	}
	if h.fail.Load() {
		return os.ErrDeadlineExceeded
	}
	h.Write([]udp.Run{{Addr: h.city[to].at, Data: p, Size: size, ECN: ecn}})
	return nil
}

func (h *house) ReadPackets(into []Packet) (n int, err error) {
	if len(h.left) == 0 {
		if h.left, err = h.Read(); err != nil {
			return 0, err
		}
	}
	for n < len(into) && len(h.left) > 0 {
		r := &h.left[0]
		one := r.Cut(1)
		into[n].N, into[n].ECN = copy(into[n].Space, one.Data), one.ECN
		for key, other := range h.city {
			if other.at == one.Addr {
				into[n].From = key
			}
		}
		if one.ECN != 0 {
			h.marked.Add(1)
		}
		if n++; len(r.Data) == 0 {
			h.left = h.left[1:]
		}
	}
	return n, nil
}

// TestSegmentationOffload: over a PacketConn that can, quic-go hands over many packets at
// once and marks them, streams arrive whole, and nothing is written to the standard logger
// (see TestMain). A send that fails is a packet lost, not the end.
func TestSegmentationOffload(t *testing.T) {
	c, n := build(t, "alice", "bob"), newNetwork("test")
	end := func(name string) *Endpoint {
		e, err := New(c[peer(name).Key], Config{Identity: func() Identity { return n.identity(name) }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		return e
	}
	alice, bob := end("alice"), end("bob")
	dialled, taken := pair(t, alice, listen(t, bob, "80"))
	if s := dialled.(*conn).link.conn.ConnectionState(); !s.GSO {
		t.Error("quic-go does not use segmentation offload")
	}
	for conn, name := range map[*conn]string{dialled.(*conn): "bob", taken.(*conn): "alice"} {
		if key := routeKey(conn.link.conn.RemoteAddr()); key != peer(name).Key {
			t.Errorf("%s is at %x", name, key)
		}
	}
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB
	go func() {
		_, _ = dialled.Write(sent[:len(sent)/2])
		c[peer("alice").Key].fail.Store(true)
		time.AfterFunc(50*time.Millisecond, func() { c[peer("alice").Key].fail.Store(false) })
		_, _ = dialled.Write(sent[len(sent)/2:])
		_ = dialled.(interface{ CloseWrite() error }).CloseWrite()
	}()
	got, err := io.ReadAll(taken)
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("%d bytes of %d came: %v", len(got), len(sent), err)
	}
	if long, marked := c[peer("alice").Key].long.Load(), c[peer("bob").Key].marked.Load(); long == 0 || marked == 0 {
		t.Errorf("%d writes of several packets, %d packets with ECN bits", long, marked)
	}
	if alice.Stats().UnsentPackets == 0 {
		t.Error("no packet was lost while sends failed")
	}
}
