package core

import (
	"testing"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// settledLab returns a network of n nodes in steady state, one ordinary node and one
// supernode that holds it.
func settledLab(tb testing.TB, n int) (l *lab, node, super ident.Handle) {
	l = newLab(tb, n)
	for i := range n {
		l.start(ident.Handle(i+1), vtime.Duration(i)*10*vtime.Millisecond)
	}
	l.run(3 * vtime.Minute)
	for i, x := range l.hosts[:n] {
		if x.env.Super == nil {
			node, super = ident.Handle(i+1), x.node.at[0].peer
		}
	}
	if super == ident.None {
		tb.Fatal("no ordinary node is attached")
	}
	return l, node, super
}

// steadyNode returns one round of an ordinary node: its keepalive is due, and answered.
func steadyNode(tb testing.TB) func() {
	l, h, super := settledLab(tb, 20)
	x := l.host(h)
	i := x.node.holds(super)
	ack := wire.KeepaliveAck{Token: x.node.at[i].token, Tier: x.node.tier}
	b := ack.Append(nil, labBook{})
	timer := Input{Kind: InputTimer}
	answer := Input{Kind: InputMessage, From: super, Bytes: b}
	now := l.now
	return func() {
		now = vtime.Later(now, x.node.at[i].alive.Next())
		x.out.Reset()
		x.node.Step(&x.env, now, &timer, &x.out)
		x.out.Reset()
		x.node.Step(&x.env, now, &answer, &x.out)
		x.node.at[1-i].alive.Heard(now) // its other supernode is answered too
	}
}

// steadySuper returns one round of a supernode: a keepalive, a ping of another one, a
// look-up of a name that is attached here, and whatever its timer wants.
func steadySuper(tb testing.TB) func() {
	l, h, super := settledLab(tb, 20)
	x := l.host(super)
	token := l.host(h).node.at[l.host(h).node.holds(super)].token
	other := x.env.Super.roster.Pick(&x.node.rng)
	keepalive := wire.Keepalive{Token: token}
	ping := wire.Ping{Seq: 7}
	look := wire.Lookup{Query: 9, Name: l.host(h).node.name}
	in := []Input{
		{Kind: InputMessage, From: h, Bytes: keepalive.Append(nil, labBook{})},
		{Kind: InputMessage, From: other, Bytes: ping.Append(nil, labBook{})},
		{Kind: InputMessage, From: h, Bytes: look.Append(nil, labBook{})},
		{Kind: InputTimer},
	}
	now := l.now
	return func() {
		now += vtime.Time(vtime.Millisecond)
		for i := range in {
			x.out.Reset()
			x.node.Step(&x.env, now, &in[i], &x.out)
		}
	}
}

func TestStepDoesNotAllocate(t *testing.T) {
	for name, round := range map[string]func(testing.TB) func(){"node": steadyNode, "supernode": steadySuper} {
		f := round(t)
		for range 2000 { // buffers reach their size
			f()
		}
		if n := testing.AllocsPerRun(2000, f); n != 0 {
			t.Errorf("a round of a %s in steady state allocates %v times", name, n)
		}
	}
}

// BenchmarkNode is a keepalive and its answer at an ordinary node: two steps.
func BenchmarkNode(b *testing.B) {
	f := steadyNode(b)
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2, "ns/step")
}

// BenchmarkSupernode is a keepalive, a ping, a look-up and a timer at a supernode: four
// steps.
func BenchmarkSupernode(b *testing.B) {
	f := steadySuper(b)
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/4, "ns/step")
}
