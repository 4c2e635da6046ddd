package core

import (
	"testing"

	"github.com/ada420b6/overlay/internal/attach"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// sent is a message that the node under test has sent.
type sent struct {
	to   ident.Handle
	kind wire.Kind
	body []byte
}

// doubled grows a network and returns a node of it with two attachments. From then on
// nobody hears the node, and what it sends is kept.
func doubled(t *testing.T) (l *lab, h ident.Handle, out *[]sent) {
	l = newLab(t, 30)
	for i := range 30 {
		l.start(ident.Handle(i+1), 0)
	}
	l.run(3 * vtime.Minute)
	for _, x := range l.upAll() {
		if l.host(x).node.count() == 2 {
			h = x
		}
	}
	if h == ident.None {
		t.Fatalf("nobody has two attachments: %s", l.describe())
	}
	out = new([]sent)
	l.lose = func(from, to ident.Handle, b []byte) bool {
		if from == h {
			*out = append(*out, sent{to, wire.KindOf(b), append([]byte(nil), b...)})
		}
		return from == h || to == h
	}
	return l, h, out
}

func count(out []sent, k wire.Kind) (n int) {
	for _, m := range out {
		if m.kind == k {
			n++
		}
	}
	return n
}

func (l *lab) hears(h, from ident.Handle, plain bool, b []byte) {
	l.step(h, Input{Kind: InputMessage, Plain: plain, From: from, Origin: uint64(from), Bytes: b})
}

// TestWhatTookOneMayHaveTakenTheOther: an attachment whose supernode has rebooted puts the
// other one to the question, and so does a supernode that says it holds this node no more.
func TestWhatTookOneMayHaveTakenTheOther(t *testing.T) {
	forgotten := wire.NotAttached{}
	for name, hear := range map[string]func(l *lab, h, a, b ident.Handle){
		"a reset":        func(l *lab, h, a, _ ident.Handle) { l.step(h, Input{Kind: InputReset, From: a}) },
		"not attached":   func(l *lab, h, a, _ ident.Handle) { l.hears(h, a, false, l.notAttached(h, a)) },
		"its own answer": func(l *lab, h, _, b ident.Handle) { l.hears(h, b, false, forgotten.Append(nil, labBook{})) },
	} {
		l, h, out := doubled(t)
		at := l.host(h).node.Attachments(&l.host(h).env)
		hear(l, h, at[0], at[1])
		l.run(vtime.Millisecond)
		asked := false
		for _, m := range *out {
			asked = asked || m.to == at[1] && m.kind == wire.KindKeepalive
		}
		if !asked {
			t.Errorf("%s: the other supernode is not asked whether it lives", name)
		}
		if name == "its own answer" && l.host(h).node.count() != 2 {
			t.Errorf("%s that cites no attachment ends one", name)
		}
	}
}

// notAttached is supernode a's word that it does not know h's attachment.
func (l *lab) notAttached(h, a ident.Handle) []byte {
	n := &l.host(h).node
	m := wire.NotAttached{Token: n.at[n.holds(a)].token}
	return m.Append(nil, labBook{})
}

// TestSecondLeavesPackets: who has one attachment does not spend on another what it needs
// when it loses that one too.
func TestSecondLeavesPackets(t *testing.T) {
	l, h, out := doubled(t)
	x := l.host(h)
	n, at := &x.node, x.node.Attachments(&x.env)
	n.budget.Left(l.now, l.policy.PacketBudget)
	n.budget.Spend(9) // of 15
	l.step(h, Input{Kind: InputReset, From: at[0]})
	l.run(4 * vtime.Second)
	if k := count(*out, wire.KindProbe); k != 0 {
		t.Errorf("%d probes for a second attachment with 6 packets left", k)
	}
	l.step(h, Input{Kind: InputReset, From: at[1]})
	if k := count(*out, wire.KindProbe); k != l.policy.ProbeWidth {
		t.Errorf("%d probes of an orphan with 6 packets left, want %d", k, l.policy.ProbeWidth)
	}
}

// TestGreetedOrphanKnowsWhere: a supernode greets one that has served before and does not
// now. Whoever asks that one is sent on.
func TestGreetedOrphanKnowsWhere(t *testing.T) {
	l, h, out := doubled(t)
	at := l.host(h).node.Attachments(&l.host(h).env)
	l.step(h, Input{Kind: InputReset, From: at[0]})
	l.step(h, Input{Kind: InputReset, From: at[1]})
	const greeter, asker = 77, 78
	var hello wire.News
	hello.Members.Add(wire.Member{Peer: greeter, Inc: 1})
	l.host(h).node.hint = ident.None
	l.hears(h, greeter, false, hello.Append(nil, labBook{}))
	*out = nil
	l.hears(h, asker, true, (&wire.Probe{Nonce: 5}).Append(nil, labBook{}))
	named := false
	for _, m := range *out {
		var o wire.Offer
		if m.to == asker && o.Parse(m.body, labBook{}) == nil {
			for _, p := range o.Peers.All() {
				named = named || p == greeter
			}
		}
	}
	if !named {
		t.Error("an orphan that a supernode has greeted does not name it")
	}
}

// TestFarSlotAsksOn: all that have answered are booked for seconds. Those whom they name are
// asked one after the other, each for a slot that is nearer.
func TestFarSlotAsksOn(t *testing.T) {
	l, h, out := doubled(t)
	x := l.host(h)
	at := x.node.Attachments(&x.env)
	l.step(h, Input{Kind: InputReset, From: at[0]})
	l.step(h, Input{Kind: InputReset, From: at[1]})
	x.node.seek.Rest(l.now)
	x.node.hint, x.node.budget, *out = ident.None, attach.Budget{}, nil
	l.step(h, Input{Kind: InputTimer})
	offer := wire.Offer{Nonce: x.node.seek.Nonce, Wait: 10 * vtime.Second, Slot: 1}
	offer.Peers.Add(at[0])
	offer.Peers.Add(101)
	offer.Peers.Add(102)
	seen := map[ident.Handle]bool{}
	for k := 0; k < len(*out) && k < 8; k++ {
		m := (*out)[k]
		if m.kind != wire.KindProbe {
			continue
		}
		var p wire.Probe
		if err := p.Parse(m.body, labBook{}); err != nil {
			t.Fatal(err)
		}
		if late := k >= l.policy.ProbeWidth; late != (p.Within > 0) || late && p.Within > 8*vtime.Second {
			t.Errorf("probe %d wants a slot within %v", k, p.Within)
		}
		if seen[m.to] {
			t.Errorf("%d is asked twice", m.to)
		}
		seen[m.to] = true
		l.hears(h, m.to, true, offer.Append(nil, labBook{}))
	}
	if !seen[101] || !seen[102] {
		t.Errorf("the nearest slot is 10 s away, and of those named only these were asked: %v", seen)
	}
	if left := x.node.budget.Left(l.now, l.policy.PacketBudget); left < 1 {
		t.Error("no packet is left for the attach")
	}
}

// TestNarrowWhenAllAnswer: rounds get wider while somebody is silent, not when the last one
// was answered by all.
func TestNarrowWhenAllAnswer(t *testing.T) {
	for _, answered := range []bool{false, true} {
		l, h, out := doubled(t)
		x := l.host(h)
		at := x.node.Attachments(&x.env)
		l.step(h, Input{Kind: InputReset, From: at[0]})
		l.step(h, Input{Kind: InputReset, From: at[1]})
		const a, b, nonce = 201, 202, 7
		seek, pair := &x.node.seek, []ident.Handle{a, b}
		for range 2 { // two silent rounds
			seek.Ask(pair, uint8(wire.ClassOrphan), nonce, l.now, vtime.Second)
			l.now = l.now.Add(vtime.Second)
			seek.Due(l.now, vtime.Second, 1)
		}
		if answered { // and one of answers
			seek.Ask(pair, uint8(wire.ClassOrphan), nonce, l.now, vtime.Second)
			seek.Denied(a, nonce, 0, l.now)
			seek.Denied(b, nonce, 0, l.now)
			seek.Due(l.now, vtime.Second, 1)
		}
		seek.Rest(l.now)
		x.node.budget, *out = attach.Budget{}, nil
		l.step(h, Input{Kind: InputTimer})
		if k := count(*out, wire.KindProbe); answered && k != l.policy.ProbeWidth || !answered && k <= l.policy.ProbeWidth {
			t.Errorf("after two silent rounds, and one of answers %v, %d are asked", answered, k)
		}
	}
}

// TestNewSupernodesLookForEachOther: one that has just begun to serve asks ten times as
// often for those whom it remembers as it does later.
func TestNewSupernodesLookForEachOther(t *testing.T) {
	l, h, _ := doubled(t)
	x := l.host(h)
	s := step{n: &x.node, env: &x.env, p: &l.policy, now: l.now, in: &Input{}, out: &x.out}
	s.promote()
	asks := func(d vtime.Duration) (k int) {
		for end := s.now.Add(d); ; k++ {
			s.now = vtime.Later(s.now, x.env.Super.askAt)
			if s.now > end {
				return k
			}
			s.askRemembered()
		}
	}
	ask := l.policy.AskDead
	if k := asks(2 * ask); k < 12 || k > 40 {
		t.Errorf("in its first %d s it looks %d times, want about 20", 2*ask/vtime.Second, k)
	}
	s.now = s.now.Add(2 * ask)
	if k := asks(20 * ask); k < 12 || k > 40 {
		t.Errorf("later it looks %d times in %d s, want about 20", k, 20*ask/vtime.Second)
	}
}
