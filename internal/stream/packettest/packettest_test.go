package packettest

import (
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// sockets is a pair of UDP sockets. Nobody counts what the kernel drops.
func sockets(t *testing.T) *Pair {
	t.Helper()
	open := func() net.PacketConn {
		pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { pc.Close() })
		return pc
	}
	return &Pair{A: open(), B: open(), Max: 65507}
}

func TestUDP(t *testing.T) { Run(t, sockets) }

// broken is a conn with one fault.
type broken struct {
	net.PacketConn
	fault string
	mu    sync.Mutex
	n     int
	held  []byte
	to    net.Addr
	rest  []byte
}

func (b *broken) WriteTo(p []byte, to net.Addr) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n++
	switch {
	case b.fault == "swallows oversize" && len(p) > 65507:
		return len(p), nil
	case b.fault == "takes any address" && to != nil && to.Network() == "foreign":
		return len(p), nil
	case b.fault == "has no write deadline":
		_ = b.PacketConn.SetWriteDeadline(time.Time{})
	case b.fault == "loses in silence" && b.n%10 == 0:
		return len(p), nil
	case b.fault == "repeats" && b.n%10 == 0:
		_, _ = b.PacketConn.WriteTo(p, to)
	case b.fault == "adds" && len(p) > 1:
		_, err := b.PacketConn.WriteTo(append(slices.Clone(p), 0), to)
		return len(p), err
	case b.fault == "reorders" && b.n%10 == 0:
		b.held, b.to = slices.Clone(p), to
		return len(p), nil
	case b.held != nil:
		defer func() { _, _ = b.PacketConn.WriteTo(b.held, b.to); b.held = nil }()
	}
	return b.PacketConn.WriteTo(p, to)
}

func (b *broken) ReadFrom(p []byte) (int, net.Addr, error) {
	if b.fault == "gives the rest" {
		if n := copy(p, b.rest); n > 0 {
			b.rest = b.rest[n:]
			return n, b.LocalAddr(), nil
		}
		long := make([]byte, 1<<16)
		n, from, err := b.PacketConn.ReadFrom(long)
		k := copy(p, long[:n])
		b.rest = long[k:n]
		return k, from, err
	}
	n, from, err := b.PacketConn.ReadFrom(p)
	switch {
	case b.fault == "wrong sender" && from != nil:
		from = &net.UDPAddr{IP: net.IPv4(127, 0, 0, 9), Port: 9}
	case b.fault == "other error when closed" && errors.Is(err, net.ErrClosed):
		err = syscall.EBADF
	case b.fault == "other error at the deadline" && errors.Is(err, os.ErrDeadlineExceeded):
		err = syscall.EAGAIN
	}
	return n, from, err
}

// TestRulesCanFail: each fault is seen by its rule.
func TestRulesCanFail(t *testing.T) {
	for fault, rule := range map[string]string{
		"swallows oversize":           "oversize",
		"takes any address":           "bad address",
		"has no write deadline":       "write deadline",
		"repeats":                     "order",
		"reorders":                    "order",
		"adds":                        "payloads",
		"gives the rest":              "short buffer",
		"wrong sender":                "addresses",
		"other error when closed":     "close",
		"other error at the deadline": "read deadline",
	} {
		p := sockets(t)
		p.A, p.B = &broken{PacketConn: p.A, fault: fault}, &broken{PacketConn: p.B, fault: fault}
		for _, c := range Checks {
			if c.Name == rule && c.Of(p) == nil {
				t.Errorf("a conn that %s passes %q", fault, rule)
			}
		}
	}
	p := sockets(t)
	p.A = &broken{PacketConn: p.A, fault: "loses in silence"}
	p.Lost = func() uint64 { return 0 }
	if lossIsCounted(p) == nil {
		t.Error("a conn that loses in silence passes")
	}
}
