package session

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/vtime"
)

// chaos is a world whose network and users are drawn.
type chaos struct {
	*world
	d         *rapid.T
	said      map[string]route // every payload is said once
	delivered map[string]int
	reboots   map[*node]int
}

type route struct{ from, to *node }

// forged is a source that nobody has.
var forged = address(1000)

// TestChaos draws losses, repetitions, reordering, damage, forged addresses, reboots and
// leaps of time. Safety: what is delivered was said, by that peer, to this node, and
// once; only what came in an Init may come once more per reboot of its receiver. No
// established session sends to an address that nobody has.
// Liveness: when the network works again, a fresh Send makes a session.
func TestChaos(t *testing.T) {
	rapid.Check(t, func(d *rapid.T) {
		c := &chaos{world: newWorld(d, 50), d: d, said: map[string]route{}, delivered: map[string]int{}, reboots: map[*node]int{}}
		load := rapid.SampledFrom([]int{1, 3, 1000}).Draw(d, "load")
		for range 3 {
			c.add(func(config *Config) { config.HandshakeLoad, config.MaxSessions = load, 2 })
		}
		for range rapid.IntRange(1, 60).Draw(d, "steps") {
			c.step()
			for _, n := range c.nodes {
				audit(d, n.Table)
				c.nobody(n)
			}
		}
		c.flight = nil
		for i, n := range c.nodes {
			c.recover(n, c.nodes[(i+1)%len(c.nodes)])
		}
	})
}

// step does one thing to the world.
func (c *chaos) step() {
	i := -1
	if len(c.flight) > 0 {
		i = rapid.IntRange(0, len(c.flight)-1).Draw(c.d, "packet")
	}
	n := rapid.SampledFrom(c.nodes).Draw(c.d, "node")
	switch action := rapid.IntRange(0, 13).Draw(c.d, "action"); {
	case action <= 3:
		c.speak(n, rapid.SampledFrom(c.nodes).Draw(c.d, "to"), rapid.IntRange(0, 3).Draw(c.d, "fresh") == 0)
	case action == 4:
		c.now = c.now.Add(vtime.Duration(rapid.SampledFrom([]int64{1, 500, 1500, 20_000, 100_000, 4_000_000}).Draw(c.d, "ms")) * vtime.Millisecond)
	case action == 5 && rapid.IntRange(0, 3).Draw(c.d, "reboot") == 0:
		n.reboot()
		c.reboots[n]++
	case i < 0:
	case action <= 9:
		c.hear(c.take(i))
	case action == 10:
		c.take(i)
	case action == 11:
		c.flight = append(c.flight, c.flight[i])
	case action == 12:
		p := c.flight[i]
		p.data = bytes.Clone(p.data)
		p.data[rapid.IntRange(0, len(p.data)-1).Draw(c.d, "byte")] ^= byte(rapid.IntRange(1, 255).Draw(c.d, "bits"))
		c.hear(p)
	case action == 13:
		p := c.flight[i]
		p.from = forged
		c.hear(p)
	}
}

// nobody checks that no session of n was moved to the forged address.
func (c *chaos) nobody(n *node) {
	for _, p := range n.peers {
		if p.current != nil && p.current.addr == forged {
			c.t.Fatalf("%v sends to a forged address", n.addr)
		}
	}
}

// speak says something that was never said before. The table may refuse it.
func (c *chaos) speak(from, to *node, fresh bool) string {
	text := fmt.Sprintf("%d from %v to %v", len(c.said), from.addr, to.addr)
	if from == to {
		return text
	}
	text += strings.Repeat(".", rapid.SampledFrom([]int{0, 300, 640, 1100}).Draw(c.d, "length"))
	c.said[text] = route{from, to}
	if err := from.Send(to.Key(), to.addr, []byte(text), fresh, c.now); err != nil && err != ErrFull && err != ErrPayload {
		c.t.Fatalf("Send = %v", err)
	}
	return text
}

// hear delivers a packet, lets the receiver say up to three things in answer, and checks
// what was delivered.
func (c *chaos) hear(p packet) Result {
	for _, n := range c.nodes {
		if n.addr != p.to {
			continue
		}
		r := n.Receive(p.from, p.data, c.now)
		if r.Kind == KindMessage {
			c.check(n, r)
		}
		if r.Fresh {
			for range rapid.IntRange(0, 3).Draw(c.d, "answers") {
				c.speak(n, c.owner(r), false)
			}
			n.Flush(r.Peer)
		}
		return r
	}
	return Result{}
}

func (c *chaos) owner(r Result) *node {
	for _, n := range c.nodes {
		if n.Key() == r.Peer {
			return n
		}
	}
	c.t.Fatal("delivered from a key that nobody has")
	return nil
}

func (c *chaos) check(at *node, r Result) {
	text := string(r.Payload)
	was, ok := c.said[text]
	if !ok || was.to != at || was.from != c.owner(r) {
		c.t.Fatalf("%v delivered %q as from %v", at.addr, text, c.owner(r).addr)
	}
	c.delivered[text]++
	limit := 1
	if r.Fresh {
		limit += c.reboots[at]
	}
	if c.delivered[text] > limit {
		c.t.Fatalf("%q was delivered %d times", text, c.delivered[text])
	}
}

// recover lets from call to, as the core would, until a session is there; then both
// must hear the other at once.
func (c *chaos) recover(from, to *node) {
	c.now = c.now.Add(evictIdle) // so that full tables can make room
	for try := 0; ; try++ {
		text := c.speak(from, to, true)
		c.drain()
		if c.delivered[text] == 1 && from.Established(to.Key(), c.now) && to.Established(from.Key(), c.now) {
			break
		}
		if try == 3 {
			c.t.Fatalf("no session: %+v and %+v", from.Counters(), to.Counters())
		}
		c.now = c.now.Add(2 * vtime.Second)
	}
	there, back := c.speak(from, to, false), c.speak(to, from, false)
	c.drain()
	if c.delivered[there] != 1 || c.delivered[back] != 1 {
		c.t.Fatalf("established, but %d and %d delivered", c.delivered[there], c.delivered[back])
	}
}

// drain delivers everything in order.
func (c *chaos) drain() {
	for range 1000 {
		if len(c.flight) == 0 {
			return
		}
		c.hear(c.take(0))
	}
	c.t.Fatal("1000 packets and no end")
}
