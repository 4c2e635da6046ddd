package sim

import (
	"testing"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// chatter is machines that are as simple as the engine's own tests need: each sends a
// Ping to somebody in a fixed rhythm and answers one with a PingAck.
type chatter struct {
	s      *Sim
	every  vtime.Duration
	due    []vtime.Time
	inputs []int // by host
	acks   int
	buf    []byte
	on     func(i uint32, in *core.Input)
}

// newChatter returns a network of n nodes that chat, one message a node in every.
func newChatter(t testing.TB, cfg Config, every vtime.Duration) (*Sim, *chatter) {
	t.Helper()
	if err := cfg.validate(); err != nil {
		t.Fatal(err)
	}
	n := cfg.Nodes + cfg.Logins
	c := &chatter{every: every, due: make([]vtime.Time, n), inputs: make([]int, n)}
	c.s = newSim(cfg, c)
	if _, err := c.s.Add(cfg.Nodes); err != nil {
		t.Fatal(err)
	}
	return c.s, c
}

func (c *chatter) step(i uint32, _ *core.Env, now vtime.Time, in *core.Input, _ *core.Effects) {
	c.inputs[i]++
	if c.on != nil {
		c.on(i, in)
	}
	switch in.Kind {
	case core.InputStart:
		c.due[i] = now.Add(1 + vtime.Duration(mix(uint64(i))%uint64(c.every)))
	case core.InputTimer:
		c.due[i] = now.Add(c.every)
		to := uint32(mix(uint64(i)^uint64(now)) % uint64(c.s.cfg.Nodes))
		if to != i {
			c.buf = (&wire.Ping{Seq: i}).Append(c.buf[:0], nil)
			c.s.send(i, &core.Effect{Peer: handle(to)}, c.buf)
		}
	case core.InputMessage:
		if wire.KindOf(in.Bytes) == wire.KindPing {
			c.buf = (&wire.PingAck{}).Append(c.buf[:0], nil)
			c.s.send(i, &core.Effect{Peer: in.From}, c.buf)
		} else {
			c.acks++
		}
	}
}

func (c *chatter) next(i uint32, _ *core.Env) vtime.Time {
	if c.s == nil { // a login server, which comes up within newSim
		return vtime.Never
	}
	return c.due[i]
}

func (c *chatter) view(uint32, *core.Supernode) view { return view{attached: true, seq: 5, inc: 7} }

func (c *chatter) tickets(uint32) core.Tickets { return core.Tickets{} }

func (c *chatter) remember(dst []core.Known, _ *core.Supernode) []core.Known { return dst }

func (c *chatter) touch(uint32) uint64 { return 0 }

func (c *chatter) bytes() int { return 0 }

// quiet is a configuration without faults of the network and without an oracle.
func quiet(nodes int) Config {
	c := DefaultConfig(nodes)
	c.Loss, c.Dup, c.Reorder, c.Jitter = 0, 0, 0, 0
	c.Latency = ConstantLatency(100 * vtime.Millisecond)
	c.Check = CheckOff
	c.Full = false
	return c
}

var _ machines = (*chatter)(nil)
var _ core.Book = (*book)(nil)
