package core

import (
	"testing"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// rounds is what a node that nobody answers has sent to become attached.
type rounds struct {
	begun  []vtime.Time
	probes int
	nonce  uint64
}

func (l *lab) down() (hs []ident.Handle) {
	for i, x := range l.hosts {
		if x.login == nil && !x.up {
			hs = append(hs, ident.Handle(i+1))
		}
	}
	return hs
}

// alone has all nodes of a network and its login server go down but one, which is an
// ordinary node and not to stand in for anybody, and returns that one and what it sends.
func alone(t *testing.T, p Policy) (*lab, ident.Handle, *rounds) {
	t.Helper()
	l := newLab(t, 40)
	l.policy = p
	for i := range 40 {
		l.start(ident.Handle(i+1), vtime.Duration(i)*20*vtime.Millisecond)
	}
	l.run(5 * vtime.Minute)
	var h ident.Handle
	for _, x := range l.upAll() {
		if n := &l.host(x).node; l.host(x).env.Super == nil && n.standby == 0 && !n.wasSuper {
			h = x
		}
	}
	if h == ident.None {
		t.Fatal("everybody serves or may have to")
	}
	l.crash(l.login)
	for _, x := range l.upAll() {
		if x != h {
			l.crash(x)
		}
	}
	w := &rounds{}
	l.lose = func(from, _ ident.Handle, b []byte) bool {
		if from == h && wire.KindOf(b) == wire.KindProbe {
			if nonce := wire.NonceOf(b); nonce != w.nonce {
				w.nonce = nonce
				w.begun = append(w.begun, l.now)
			}
			w.probes++
		}
		return false
	}
	return l, h, w
}

// quick is in how many rounds a node spends its packets when nobody answers.
const quick = 4

// TestFewRoundsWhenDeaf: who is back before everybody else and has spent its packets asks
// in few rounds of several probes, and not one or two whenever the budget allows it. As
// many are asked as before, and it finds who comes back at last.
func TestFewRoundsWhenDeaf(t *testing.T) {
	l, h, w := alone(t, DefaultPolicy())
	l.reboot(h, 0)
	l.run(2 * vtime.Minute)
	for k := quick; k < len(w.begun); k++ {
		if gap := w.begun[k].Sub(w.begun[k-1]); gap < 14*vtime.Second {
			t.Errorf("round %d follows after %.1f s: 5 packets take 16", k+1, gap.Seconds())
		}
	}
	if len(w.begun) <= quick || w.probes < 36 {
		t.Errorf("%d supernodes asked in %d rounds in 2 min: the budget is for 45 packets", w.probes, len(w.begun))
	}
	for _, x := range l.down() {
		l.start(x, 0)
	}
	l.run(30 * vtime.Second)
	if x := l.host(h); !x.node.Attached(&x.env) {
		t.Errorf("not attached 30 s after all others are back: %s", l.orphans())
	}
}

// TestDesertedAsksOn: who ran when it lost its supernodes asks on as soon as it may.
func TestDesertedAsksOn(t *testing.T) {
	l, _, w := alone(t, DefaultPolicy())
	l.run(2 * vtime.Minute)
	if len(w.begun) < quick+2 {
		t.Fatalf("%d rounds in 2 min", len(w.begun))
	}
	for k := quick; k < quick+2; k++ {
		if gap := w.begun[k].Sub(w.begun[k-1]); gap > 12*vtime.Second {
			t.Errorf("round %d follows after %.1f s: 3 packets take at most 12", k+1, gap.Seconds())
		}
	}
}

// TestFarSupernode: the only supernode that is left answers after 2.6 s, later than a
// probe is waited for. Who has asked all others in vain waits for it.
func TestFarSupernode(t *testing.T) {
	l, h, _ := alone(t, DefaultPolicy())
	var far ident.Handle
	for i, x := range l.hosts {
		if x.was {
			far = ident.Handle(i + 1)
		}
	}
	l.lose = func(from, to ident.Handle, b []byte) bool {
		if from == far || to == far {
			k := wire.KindOf(b)
			plain := k == wire.KindProbe || k == wire.KindOffer || k == wire.KindDialBack
			l.post(to, 1300*vtime.Millisecond, Input{Kind: InputMessage, Plain: plain, From: from, Origin: uint64(from), Bytes: append([]byte(nil), b...)})
		}
		return true
	}
	l.start(far, 0)
	l.run(30 * vtime.Second) // it serves again
	l.reboot(h, 0)
	l.run(3 * vtime.Minute)
	if x := l.host(h); l.host(far).env.Super == nil || !x.node.Attached(&x.env) {
		t.Errorf("not attached in 3 min: %s", l.orphans())
	}
}

// TestDeafOnSmallBudgets: whatever the budget, one who is answered by nobody goes on asking.
func TestDeafOnSmallBudgets(t *testing.T) {
	for _, budget := range []int{6, 7, 12, 60} {
		for _, width := range []int{1, 8} {
			p := DefaultPolicy()
			p.PacketBudget, p.ProbeWidth = budget, width
			l, h, w := alone(t, p)
			l.reboot(h, 0)
			l.run(2 * vtime.Minute)
			last := vtime.Time(0)
			for _, at := range w.begun {
				if last != 0 && at.Sub(last) > 61*vtime.Second {
					t.Errorf("budget %d, width %d: no round for %v", budget, width, at.Sub(last))
				}
				last = at
			}
			if len(w.begun) < 3 || w.probes < budget/2 {
				t.Errorf("budget %d, width %d: %d rounds with %d probes in 2 min", budget, width, len(w.begun), w.probes)
			}
		}
	}
}
