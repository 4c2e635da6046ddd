package overlay_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ada420b6/overlay"
	"github.com/ada420b6/overlay/internal/path"
	"github.com/ada420b6/overlay/internal/runtime/memnet"
)

// twisted is the socket of a relay that does to the packets of channels what act says. What
// else the relay says is honest, so that calls come to it.
type twisted struct {
	net.PacketConn
	mu   sync.Mutex
	rng  *rand.Rand
	act  func(s *twisted, p []byte, to net.Addr)
	held []byte // act's
}

func (s *twisted) WriteTo(p []byte, to net.Addr) (int, error) {
	if _, channel := path.Channel(p); !channel {
		return s.PacketConn.WriteTo(p, to)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.act(s, bytes.Clone(p), to)
	return len(p), nil
}

func (s *twisted) send(p []byte, to net.Addr) { _, _ = s.PacketConn.WriteTo(p, to) }

// inTwisted runs f in a world with one supernode, which acts once a and b may talk.
func inTwisted(t *testing.T, act func(s *twisted, p []byte, to net.Addr), f func(t *testing.T, a, b *overlay.Node, begin func())) {
	inWorld(t, memnet.Config{Seed: 1}, func(t *testing.T, w *world) {
		s := &twisted{rng: rand.New(rand.NewPCG(1, 2)), act: (*twisted).send}
		m := w.machine("relay", overlay.WithRole(overlay.RoleSupernode))
		m.wraps = func(pc net.PacketConn) net.PacketConn {
			if s.PacketConn == nil {
				s.PacketConn = pc
			}
			return s
		}
		m.start()
		m.wait(time.Minute)
		a, b := w.up("a", overlay.WithRole(overlay.RoleNode), overlay.WithRelayedOnly()), w.up("b", overlay.WithRole(overlay.RoleNode), overlay.WithRelayedOnly())
		f(t, a, b, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.act = act
		})
	})
}

// twists are what a relay may do that a conversation survives.
var twists = map[string]func(s *twisted, p []byte, to net.Addr){
	"drops": func(s *twisted, p []byte, to net.Addr) {
		if s.rng.IntN(10) > 0 {
			s.send(p, to)
		}
	},
	"delays": func(s *twisted, p []byte, to net.Addr) {
		time.AfterFunc(time.Duration(s.rng.IntN(100))*time.Millisecond, func() { s.send(p, to) })
	},
	"duplicates": func(s *twisted, p []byte, to net.Addr) {
		for range 3 {
			s.send(p, to)
		}
	},
	"reorders": func(s *twisted, p []byte, to net.Addr) {
		if s.held == nil && s.rng.IntN(4) == 0 {
			s.held = p
			time.AfterFunc(30*time.Millisecond, func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.send(s.held, to)
				s.held = nil
			})
			return
		}
		s.send(p, to)
	},
	"rewrites": func(s *twisted, p []byte, to net.Addr) {
		if s.rng.IntN(10) == 0 {
			p[s.rng.IntN(len(p))] ^= 1 << s.rng.IntN(8)
		}
		s.send(p, to)
	},
	"cuts off": func(s *twisted, p []byte, to net.Addr) {
		if s.rng.IntN(10) == 0 {
			p = p[:s.rng.IntN(len(p))]
		}
		s.send(p, to)
	},
	"makes up": func(s *twisted, p []byte, to net.Addr) {
		s.send(p, to)
		for i := path.HeaderSize; i < len(p); i++ {
			p[i] = byte(s.rng.Uint32())
		}
		s.send(p, to)
	},
}

// TestTwistedRelay: streams arrive as they were sent, and datagrams as they were and once,
// whatever the relay does to their packets.
func TestTwistedRelay(t *testing.T) {
	for name, act := range twists {
		t.Run(name, func(t *testing.T) {
			inTwisted(t, act, func(t *testing.T, a, b *overlay.Node, begin func()) {
				l, err := b.ListenPacket("udp", ":game")
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				c, d := dial(t, a, "tcp", "b:echo"), dial(t, a, "udp", "b:game")
				defer c.Close()
				defer d.Close()
				begin()
				_ = c.SetDeadline(time.Now().Add(10 * time.Minute))
				sent := make([]byte, 300_000)
				for i := range sent {
					sent[i] = byte(i * i >> 3)
				}
				go func() {
					_, _ = c.Write(sent)
					_ = c.(interface{ CloseWrite() error }).CloseWrite()
				}()
				if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, sent) {
					t.Errorf("%d bytes of %d came back, or changed: %v", len(got), len(sent), err)
				}
				datagrams(t, d, l)
			})
		})
	}
}

func datagrams(t *testing.T, from net.Conn, to net.PacketConn) {
	const n = 200
	go func() {
		every := time.NewTicker(10 * time.Millisecond)
		defer every.Stop()
		for i := range uint32(n) {
			_, _ = from.Write(binary.BigEndian.AppendUint32(bytes.Repeat([]byte{byte(i)}, 100), i))
			<-every.C
		}
	}()
	seen := make(map[uint32]bool)
	_ = to.SetReadDeadline(time.Now().Add(10 * time.Second))
	for b := make([]byte, 200); ; {
		k, _, err := to.ReadFrom(b)
		if err != nil {
			break
		}
		i := binary.BigEndian.Uint32(b[k-4 : k])
		if k != 104 || seen[i] || !bytes.Equal(b[:100], bytes.Repeat([]byte{byte(i)}, 100)) {
			t.Fatalf("datagram %d of %d bytes came twice, or changed", i, k)
		}
		seen[i] = true
	}
	if len(seen) < n/2 {
		t.Errorf("%d datagrams of %d came", len(seen), n)
	}
}

// TestRelayThatCarriesNothing: the only relay there is drops everything, or changes
// everything, so that it seems to carry. The conversation ends with an error that says so,
// at most when QUIC's patience is over, and nothing false has been read.
func TestRelayThatCarriesNothing(t *testing.T) {
	for name, act := range map[string]func(s *twisted, p []byte, to net.Addr){
		"drops": func(*twisted, []byte, net.Addr) {},
		"rewrites": func(s *twisted, p []byte, to net.Addr) {
			p[len(p)-1] ^= 1
			s.send(p, to)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inTwisted(t, act, func(t *testing.T, a, b *overlay.Node, begin func()) {
				c := dial(t, a, "tcp", "b:echo")
				defer c.Close()
				begin()
				_, _ = c.Write([]byte("hello?"))
				begun := time.Now()
				n, err := c.Read(make([]byte, 10))
				var timeout net.Error
				if n != 0 || !errors.Is(err, syscall.ETIMEDOUT) || !errors.As(err, &timeout) || !timeout.Timeout() {
					t.Errorf("read %d bytes: %v", n, err)
				}
				if took := time.Since(begun); took > 3*time.Minute {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// TestGuessedChannels: a stranger sends packets on channels that it guesses to the relay
// and to an end, and on the right one from its own address. Nobody forwards or reads any,
// nothing grows, and the conversation goes on.
func TestGuessedChannels(t *testing.T) {
	inWorld(t, memnet.Config{Seed: 1}, func(t *testing.T, w *world) {
		relay := w.up("relay", overlay.WithRole(overlay.RoleSupernode))
		right := make(chan []byte, 1)
		m := w.machine("a", overlay.WithRole(overlay.RoleNode), overlay.WithRelayedOnly())
		m.wraps = func(pc net.PacketConn) net.PacketConn {
			return &twisted{PacketConn: pc, act: func(s *twisted, p []byte, to net.Addr) {
				select {
				case right <- p: // somebody on the path has seen it
				default:
				}
				s.send(p, to)
			}}
		}
		m.start()
		a := m.wait(time.Minute)
		w.up("b", overlay.WithRole(overlay.RoleNode), overlay.WithRelayedOnly())
		c := dial(t, a, "tcp", "b:echo")
		defer c.Close()
		seen := <-right
		stranger, err := w.net.Listen("11.99.0.1:1")
		if err != nil {
			t.Fatal(err)
		}
		defer stranger.Close()
		w.pass(time.Second)
		forwarded, dropped := relay.Status().Service.RelayedBytes, relay.Status().Dropped
		const n = 1000
		rng := rand.New(rand.NewPCG(3, 4))
		for i := range n {
			p := bytes.Clone(seen)
			if i > 0 {
				binary.BigEndian.PutUint64(p[1:], rng.Uint64())
			}
			for _, to := range w.machines {
				if _, err := stranger.WriteTo(p, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to.addr, 4040))); err != nil {
					t.Fatal(err)
				}
			}
		}
		w.pass(time.Second)
		if s := relay.Status(); s.Service.RelayedBytes != forwarded || s.Dropped != dropped+n || s.Service.Channels != 1 {
			t.Errorf("the relay forwarded %d bytes and dropped %d of %d packets", s.Service.RelayedBytes-forwarded, s.Dropped-dropped, n)
		}
		if _, err := c.Write([]byte("still here")); err != nil {
			t.Error(err)
		}
		got := make([]byte, 10)
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "still here" {
			t.Errorf("%q: %v", got, err)
		}
		synctest.Wait()
	})
}
