package liveness

import (
	"container/heap"
	"testing"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
)

// message is a packet of the test's network: an act under way to a host.
type message struct {
	at       vtime.Time
	serial   int
	from, to ident.Handle
	a        Action
	ack      bool
}

type network []message

func (n network) Len() int { return len(n) }
func (n network) Less(i, j int) bool {
	return n[i].at < n[j].at || n[i].at == n[j].at && n[i].serial < n[j].serial
}
func (n network) Swap(i, j int) { n[i], n[j] = n[j], n[i] }
func (n *network) Push(x any)   { *n = append(*n, x.(message)) }
func (n *network) Pop() any {
	old := *n
	m := old[len(old)-1]
	*n = old[:len(old)-1]
	return m
}

// tier runs n probers over a network with loss, some of them crashed, and counts who
// accuses whom. Messages take 20 to 60 ms.
type tier struct {
	rnd     seed.Rand
	probers []Prober // 1-based
	crashed map[ident.Handle]bool
	deaf    ident.Handle
	loss    float64
	net     network
	serial  int
	first   map[ident.Handle]vtime.Time // who was suspected, and when for the first time
	by      map[[2]ident.Handle]int     // accusations, by accuser and accused
	packets int
}

func newTier(n int, s uint64) *tier {
	t := &tier{rnd: seed.New(s), probers: make([]Prober, n+1), crashed: map[ident.Handle]bool{},
		first: map[ident.Handle]vtime.Time{}, by: map[[2]ident.Handle]int{}}
	for i := 1; i <= n; i++ {
		t.probers[i].Init(usualProber, uint32(i)<<16, vtime.Duration(t.rnd.Intn(int(sec))), 0)
	}
	return t
}

func (t *tier) draw(self ident.Handle) ident.Handle {
	for {
		if h := ident.Handle(1 + t.rnd.Intn(len(t.probers)-1)); h != self {
			return h
		}
	}
}

func (t *tier) send(now vtime.Time, from, to ident.Handle, a Action, ack bool) {
	t.packets++
	if t.rnd.Float64() < t.loss || t.crashed[to] || to == t.deaf {
		return
	}
	t.serial++
	heap.Push(&t.net, message{now + 20*ms + vtime.Time(t.rnd.Intn(int(40*ms))), t.serial, from, to, a, ack})
}

func (t *tier) do(now vtime.Time, self ident.Handle, actions []Action) {
	for _, a := range actions {
		if a.Act != ActSuspect {
			t.send(now, self, a.To, a, a.Act == ActAck)
			continue
		}
		t.by[[2]ident.Handle{self, a.Target}]++
		if _, known := t.first[a.Target]; !known {
			t.first[a.Target] = now
		}
	}
}

func (t *tier) deliver(m message) {
	p := &t.probers[m.to]
	switch {
	case m.ack:
		t.do(m.at, m.to, p.Ack(m.a.Seq, m.from, nil))
	case m.a.Act == ActPing:
		t.send(m.at, m.to, m.from, m.a, true)
	case m.a.Act == ActPingRequest:
		t.do(m.at, m.to, p.Relay(m.a.Seq, m.from, m.a.Target, m.at, nil))
	case m.a.Act == ActNack:
		p.Nack(m.a.Seq, m.from)
	}
}

func (t *tier) run(until vtime.Time) {
	for {
		who, next := ident.None, vtime.Never
		for i := 1; i < len(t.probers); i++ {
			if h := ident.Handle(i); !t.crashed[h] && t.probers[i].Next() < next {
				who, next = h, t.probers[i].Next()
			}
		}
		if len(t.net) > 0 && t.net[0].at <= next {
			if t.net[0].at > until {
				return
			}
			t.deliver(heap.Pop(&t.net).(message))
			continue
		}
		if next > until {
			return
		}
		a := t.draw(who)
		c := Candidates{Target: a, Via: [4]ident.Handle{a%ident.Handle(len(t.probers)-1) + 1, t.draw(who), t.draw(who), t.draw(who)}}
		t.do(next, who, t.probers[who].Tick(next, c, nil))
	}
}

func TestTierWithLoss(t *testing.T) {
	net := newTier(40, 3)
	net.loss = 0.05
	net.run(60 * sec)
	probes, suspected := uint64(0), uint64(0)
	for i := range net.probers {
		probes += net.probers[i].Stats().Probes
		suspected += net.probers[i].Stats().Suspected
	}
	// A probe fails when the direct exchange (2 packets) and all 3 detours (4 each) do:
	// 0.0975 x 0.185^3 = 0.06 %.
	if probes < 2300 || suspected*1000 > probes*3 {
		t.Fatalf("%d of %d probes of living members failed at 5 %% loss", suspected, probes)
	}
	if perSecond := float64(net.packets) / 40 / 60; perSecond > 4 {
		t.Fatalf("%.1f packets a second and member", perSecond)
	}
	t.Logf("5 %% loss: %d of %d probes failed, %.2f packets a second and member", suspected, probes, float64(net.packets)/40/60)
}

func TestTierNoticesCrashes(t *testing.T) {
	var sum float64
	var worst vtime.Time
	const n, dead = 60, 12
	net := newTier(n, 5)
	for h := ident.Handle(1); h <= dead; h++ {
		net.crashed[h] = true
	}
	net.run(30 * sec)
	for h := range net.first {
		if !net.crashed[h] {
			t.Fatalf("%d lives and is accused", h)
		}
	}
	for h := range net.crashed {
		at, ok := net.first[h]
		if !ok {
			t.Fatalf("%d is dead and nobody noticed in 30 s", h)
		}
		sum += vtime.Duration(at).Seconds()
		worst = vtime.Later(worst, at)
	}
	// 1.58 periods to be chosen, of which the first half on average runs already, and 1 s of trial.
	if mean := sum / dead; mean > 4 {
		t.Fatalf("a crash is noticed after %.1f s on average", mean)
	}
	t.Logf("20 %% crash: noticed after %.2f s on average, %.2f s at worst", sum/dead, vtime.Duration(worst).Seconds())
}

// A node that hears nothing accuses fewer and fewer, while the others accuse it.
func TestTierWithDeafMember(t *testing.T) {
	net := newTier(20, 9)
	net.deaf = 4
	net.run(60 * sec)
	wrong := 0
	for pair, n := range net.by {
		if pair[0] != 4 && pair[1] != 4 {
			t.Fatalf("%d accuses %d: neither is deaf", pair[0], pair[1])
		}
		if pair[0] == 4 {
			wrong += n
		}
	}
	if net.probers[4].Health() != MaxHealth || wrong == 0 || wrong > 35 {
		t.Fatalf("the deaf member has health %d and %d accusations", net.probers[4].Health(), wrong)
	}
	for i := 1; i <= 20; i++ {
		if i != 4 && net.probers[i].Health() > 1 {
			t.Fatalf("member %d has health %d because another one is deaf", i, net.probers[i].Health())
		}
	}
}
