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
	dead   []*runtime.Node
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

// superWorld starts n supernodes and a conversation between two nodes, each of which has
// so many attachments. It is relayed for ever.
func superWorld(t *testing.T, w *world, n, attachments int) *talkers {
	return talking(t, w, n, attachments, func(c *runtime.Config) { c.RelayedOnly = true })
}

func talking(t *testing.T, w *world, n, attachments int, change func(*runtime.Config)) *talkers {
	as := func(role core.Role) func(*runtime.Config) {
		return func(c *runtime.Config) {
			c.Role, c.Policy = role, core.DefaultPolicy()
			change(c)
			c.Policy.Attachments = attachments
		}
	}
	for i := range n {
		w.start(fmt.Sprintf("s%d", i), as(core.RoleSupernode))
	}
	<-time.After(30 * time.Second)
	node := as(core.RoleNode)
	p := &talkers{w: w, a: w.start("a", node), b: w.start("b", node), sums: [2]hash.Hash{sha256.New(), sha256.New()}}
	w.attached(p.a, time.Minute)
	w.attached(p.b, time.Minute)
	for len(p.a.Status().Attached)+len(p.b.Status().Attached) < 2*attachments {
		<-time.After(time.Second)
	}
	p.ea, p.eb = endpoint(t, p.a), endpoint(t, p.b)
	p.a.OnRoute(p.ea.Nudge)
	p.b.OnRoute(p.eb.Nudge)
	p.begin(t)
	<-time.After(5 * time.Second)
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
		<-time.After(voice)
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
	<-time.After(5 * time.Second)
	_ = p.ea.Close()
	_ = p.eb.Close()
	p.wg.Wait()
	for _, n := range p.dead {
		_ = n.Close()
	}
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
	<-time.After(time.Second)
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
	p.dead = append(p.dead, p.w.nodes[name])
	delete(p.w.nodes, name)
}

// ready waits until so many living relays hold the conversation, and returns how long it
// took.
func (p *talkers) ready(n int, within time.Duration) (took time.Duration) {
	p.w.t.Helper()
	for begun := time.Now(); ; {
		relays := 0
		for _, x := range p.w.nodes {
			if x.Status().Serving.Channels > 0 {
				relays++
			}
		}
		took = time.Since(begun)
		if relays >= n {
			return took
		}
		if took > within {
			p.w.t.Errorf("%d relays hold the conversation after %v; b is attached to %d", relays, took, len(p.b.Status().Attached))
			return took
		}
		<-time.After(250 * time.Millisecond)
	}
}

// other returns a supernode that a node is attached to and that is not the relay.
func (p *talkers) other(n *runtime.Node, relay string) string {
	for _, at := range n.Status().Attached {
		for name, x := range p.w.nodes {
			if x.Key() == at.Key && name != relay {
				return name
			}
		}
	}
	return ""
}

// felt lets some time pass after something was done to a node, and checks the gaps.
func (p *talkers) felt(what string, most time.Duration) {
	p.w.t.Helper()
	<-time.After(5 * time.Second)
	words, bulk := p.gaps()
	p.w.t.Logf("%s: gap of %v in the datagrams, %v in the stream", what, words, bulk)
	if words > most || bulk > most {
		p.w.t.Errorf("%s: gap of %v in the datagrams, %v in the stream, at most %v", what, words, bulk, most)
	}
}

func network(seed uint64, latency time.Duration) memnet.Config {
	return memnet.Config{
		Seed: seed, Latency: func(_, _ netip.AddrPort) time.Duration { return latency }, Jitter: latency / 4,
	}
}

// The supernodes of both ends die without a word, one after the other: the relay, which is
// one of b's, then one of a's, and so on. No gap is longer than a second (rule R12), and
// nothing is damaged.
func TestSupernodesOfBothEndsDie(t *testing.T) {
	for i, latency := range []time.Duration{5 * time.Millisecond, 40 * time.Millisecond} {
		t.Run(latency.String(), func(t *testing.T) {
			inWorld(t, network(uint64(i), latency), func(t *testing.T, w *world) {
				p := superWorld(t, w, 8, 2)
				for range 3 {
					relay := p.relay()
					if relay == "" {
						t.Fatal("nobody forwards the conversation")
					}
					p.gaps()
					p.kill(relay)
					p.felt(relay+", the relay, is killed", time.Second)
					t.Logf("two relays again %v later", p.ready(2, 5*time.Minute))
					p.gaps()
					name := p.other(p.a, "")
					p.kill(name)
					p.felt(name+", of a, is killed", time.Second)
					p.ready(2, 5*time.Minute)
				}
				p.stop(t)
			})
		})
	}
}

// Without a second channel the same death is a gap that nobody overlooks: what the test
// above measures is there to be seen.
func TestRelayDiesWithoutAnother(t *testing.T) {
	inWorld(t, network(3, 20*time.Millisecond), func(t *testing.T, w *world) {
		p := superWorld(t, w, 4, 1)
		p.kill(p.relay())
		<-time.After(time.Minute)
		words, bulk := p.gaps()
		t.Logf("gap of %v in the datagrams, %v in the stream", words, bulk)
		if words < 2*time.Second || bulk < 2*time.Second {
			t.Errorf("gap of %v in the datagrams, %v in the stream", words, bulk)
		}
		p.stop(t)
	})
}

// A relay that leaves on purpose costs a conversation nothing, also when it was the only
// one.
func TestRelayLeavesOnPurpose(t *testing.T) {
	for attachments := 1; attachments <= 2; attachments++ {
		for _, latency := range []time.Duration{5 * time.Millisecond, 20 * time.Millisecond} {
			t.Run(fmt.Sprintf("%d relays, %v", attachments, latency), func(t *testing.T) {
				inWorld(t, network(uint64(attachments), latency), func(t *testing.T, w *world) {
					p := superWorld(t, w, 5, attachments)
					for range 2 {
						relay := p.relay()
						p.gaps()
						left := make(chan error, 1)
						go func() { left <- w.nodes[relay].Leave(t.Context()) }()
						p.felt(relay+" leaves", 200*time.Millisecond)
						if err := <-left; err != nil {
							t.Fatal(err)
						}
						delete(w.nodes, relay)
						p.ready(attachments, 5*time.Minute)
					}
					p.stop(t)
					if unsent := p.ea.Stats().DatagramsUnsent; p.got+int(unsent) != p.sent { // QUIC may hold some back
						t.Errorf("%d of %d datagrams came, %d were not sent", p.got, p.sent, unsent)
					}
				})
			})
		}
	}
}
