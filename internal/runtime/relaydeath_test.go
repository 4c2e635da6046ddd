package runtime_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/runtime"
	"github.com/ada420b6/overlay/internal/runtime/memnet"
	"github.com/ada420b6/overlay/internal/stream"
)

// voice is the time between two datagrams of a conversation: 50 a second.
const voice = 20 * time.Millisecond

// talkers are two nodes in conversation: datagrams at a constant rate and a stream, both
// from a to b.
type talkers struct {
	w      *world
	a, b   *runtime.Node
	ea, eb *stream.Endpoint
	wg     sync.WaitGroup
	end    context.CancelFunc

	mu        sync.Mutex
	last      [2]time.Time     // when a datagram, and something of the stream, came last
	gap       [2]time.Duration // the longest silences since the last call of gaps
	sent, got int              // datagrams
	sums      [2]hash.Hash     // of the stream, as it was written and read
	err       error
}

// superWorld starts n supernodes and a conversation between two nodes.
func superWorld(t *testing.T, w *world, n int) *talkers {
	for i := range n {
		w.start(fmt.Sprintf("s%d", i), func(c *runtime.Config) { c.Role = core.RoleSupernode })
	}
	time.Sleep(30 * time.Second)
	node := func(c *runtime.Config) { c.Role = core.RoleNode }
	p := &talkers{w: w, a: w.start("a", node), b: w.start("b", node), sums: [2]hash.Hash{sha256.New(), sha256.New()}}
	w.attached(p.a, time.Minute)
	w.attached(p.b, time.Minute)
	time.Sleep(time.Minute) // for second attachments
	p.ea, p.eb = endpoint(t, p.a), endpoint(t, p.b)
	p.a.OnRoute(p.ea.Nudge)
	p.b.OnRoute(p.eb.Nudge)
	p.begin(t)
	time.Sleep(5 * time.Second)
	p.gaps()
	return p
}

func (p *talkers) begin(t *testing.T) {
	l, err := p.eb.Listen("bulk")
	if err != nil {
		t.Fatal(err)
	}
	pc, err := p.eb.ListenPacket("voice")
	if err != nil {
		t.Fatal(err)
	}
	peer, err := p.a.Connect(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	bulk, err := p.ea.Dial(t.Context(), peer, "bulk")
	if err != nil {
		t.Fatal(err)
	}
	words, err := p.ea.DialPacket(t.Context(), peer, "voice")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	p.end = end
	p.wg.Go(func() { p.speak(ctx, words) })
	p.wg.Go(func() { p.write(ctx, bulk) })
	p.wg.Go(func() { p.listen(pc) })
	p.wg.Go(func() { p.read(l) })
}

func (p *talkers) speak(ctx context.Context, c net.Conn) {
	defer c.Close()
	for tick := time.NewTicker(voice); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		_, err := c.Write(make([]byte, 160))
		p.note(func() { p.sent++; p.err = errors.Join(p.err, err) })
	}
}

func (p *talkers) listen(pc net.PacketConn) {
	var b [200]byte
	for {
		if _, _, err := pc.ReadFrom(b[:]); err != nil {
			return // the endpoint is closed
		}
		p.note(func() { p.got++; p.heard(0) })
	}
}

func (p *talkers) write(ctx context.Context, c net.Conn) {
	defer c.Close()
	b := make([]byte, 8<<10)
	for n := uint64(0); ctx.Err() == nil; n++ {
		binary.BigEndian.PutUint64(b, n)
		_, err := c.Write(b)
		p.note(func() { p.sums[0].Write(b); p.err = errors.Join(p.err, err) })
		time.Sleep(voice)
	}
}

func (p *talkers) read(l net.Listener) {
	c, err := l.Accept()
	for b := make([]byte, 64<<10); err == nil; {
		var n int
		n, err = c.Read(b)
		p.note(func() { p.sums[1].Write(b[:n]); p.heard(1) })
	}
	if !errors.Is(err, io.EOF) {
		p.note(func() { p.err = errors.Join(p.err, err) })
	}
}

func (p *talkers) note(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func (p *talkers) heard(what int) {
	now := time.Now()
	p.gap[what], p.last[what] = max(p.gap[what], now.Sub(p.last[what])), now
}

// gaps returns the longest silence of either kind since it was called before.
func (p *talkers) gaps() (words, bulk time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.gap {
		p.gap[i] = max(p.gap[i], time.Since(p.last[i]))
	}
	words, bulk = p.gap[0], p.gap[1]
	p.gap = [2]time.Duration{}
	return words, bulk
}

// stop ends the conversation and checks that nothing in it broke.
func (p *talkers) stop(t *testing.T) {
	p.end()
	time.Sleep(5 * time.Second)
	_ = p.ea.Close()
	_ = p.eb.Close()
	p.wg.Wait()
	if p.err != nil || !bytes.Equal(p.sums[0].Sum(nil), p.sums[1].Sum(nil)) {
		t.Errorf("what was written is not what was read: %v", p.err)
	}
}

// relay returns the supernode that forwards most of the conversation now.
func (p *talkers) relay() (relay string) {
	before := make(map[string]uint64)
	for name, n := range p.w.nodes {
		before[name] = n.Status().Traffic.RelayedPackets
	}
	time.Sleep(time.Second)
	most := uint64(0)
	for name, n := range p.w.nodes {
		if more := n.Status().Traffic.RelayedPackets - before[name]; more > most {
			most, relay = more, name
		}
	}
	return relay
}

// kill takes a machine off the network without a word.
func (p *talkers) kill(name string) {
	p.w.net.Cut(p.w.nodes[name].Status().Address.Addr(), true)
}

// A relay dies without a word, and when there are two ways again its successor, and so on
// until all supernodes that were there have died but two. No gap is longer than a second
// (rule R12), nothing is damaged.
func TestRelaysDieOneByOne(t *testing.T) {
	for _, latency := range []time.Duration{5 * time.Millisecond, 40 * time.Millisecond} {
		t.Run(latency.String(), func(t *testing.T) {
			c := memnet.Config{Seed: 7, Latency: func(_, _ netip.AddrPort) time.Duration { return latency }, Jitter: latency / 4}
			inWorld(t, c, func(t *testing.T, w *world) {
				p := superWorld(t, w, 6)
				for range 4 {
					name := p.relay()
					if name == "" {
						t.Fatal("nobody forwards the conversation")
					}
					p.gaps()
					p.kill(name)
					time.Sleep(5 * time.Second)
					words, bulk := p.gaps()
					t.Logf("%s is killed: gap of %v in the datagrams, %v in the stream", name, words, bulk)
					if words > time.Second || bulk > time.Second {
						t.Errorf("%s is killed: gap of %v in the datagrams, %v in the stream", name, words, bulk)
					}
					time.Sleep(time.Minute)
				}
				p.stop(t)
			})
		})
	}
}
