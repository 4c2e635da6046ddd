package core

import (
	"testing"

	"github.com/ada420b6/overlay/internal/attach"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// ordinary has the dial-backs to these nodes lost, so that they never serve.
func ordinary(to ident.Handle, b []byte, from ident.Handle) bool {
	return wire.KindOf(b) == wire.KindDialBack && to >= from
}

// TestNewcomersAreNamed: a node that attached when there was one supernode hears of the
// next ones as they come, without asking, and outlives the death of the first with no
// login server.
func TestNewcomersAreNamed(t *testing.T) {
	const last = 4
	l := newLab(t, last)
	l.lose = func(from, to ident.Handle, b []byte) bool {
		return ordinary(to, b, last) || from == last && wire.KindOf(b) == wire.KindKeepalive
	}
	for h := ident.Handle(1); h <= last; h++ {
		l.start(h, vtime.Duration(h-1)*100*vtime.Millisecond)
	}
	cache := attach.Cache(l.host(last).env.Cache)
	for supers := 0; supers < 2; _, _, supers = l.census() {
		if l.run(vtime.Second / 4); l.now > vtime.Time(vtime.Minute) {
			t.Fatal("no tier of two in a minute")
		}
	}
	l.run(vtime.Second)
	if cache.Len() < 2 {
		t.Fatalf("a second after there were two supernodes the node remembers %d", cache.Len())
	}
	l.lose = func(_, to ident.Handle, b []byte) bool { return ordinary(to, b, last) }
	l.crash(l.login)
	l.crash(1)
	l.run(20 * vtime.Second)
	if up, attached, _ := l.census(); up != attached {
		t.Fatalf("%d of %d are attached 20 s after the first supernode's death", attached, up)
	}
}

// TestLostIsTold: a node hears from one of its supernodes that the other has died, long
// before its own check would tell.
func TestLostIsTold(t *testing.T) {
	for _, told := range []bool{true, false} {
		const last = 8
		l := newLab(t, last)
		l.policy.Keepalive, l.policy.KeepaliveThin = 10*vtime.Minute, 10*vtime.Minute
		l.lose = func(_, to ident.Handle, b []byte) bool {
			return ordinary(to, b, last) || !told && wire.KindOf(b) == wire.KindLost
		}
		for h := ident.Handle(1); h <= last; h++ {
			l.start(h, vtime.Duration(h)*vtime.Second)
		}
		l.run(5 * vtime.Minute) // a second attachment may take 3 min; the early checks are over
		x := l.host(last)
		dead := x.node.at[1].peer
		if x.node.count() != 2 {
			t.Fatalf("the node has %d attachments", x.node.count())
		}
		l.crash(dead)
		l.run(40 * vtime.Second)
		if held := x.node.holds(dead) >= 0; held == told {
			t.Errorf("told %v: 40 s after its supernode's death the node counts on it: %v", told, held)
		}
	}
}

// TestUnaskedIsNoAnswer: a check is out that the supernode never got, and just then the
// supernode tells something unasked. Who took that for the answer would not ask again for
// a whole interval, and be dropped for its silence meanwhile.
func TestUnaskedIsNoAnswer(t *testing.T) {
	for _, unasked := range []bool{true, false} {
		l, h, _ := doubled(t)
		x := l.host(h)
		x.node.at[0].alive.Doubt(l.now)
		l.step(h, Input{Kind: InputTimer})
		m := wire.KeepaliveAck{Token: x.node.at[0].token, Unasked: unasked, Tier: x.node.tier}
		l.hears(h, x.node.at[0].peer, false, m.Append(nil, labBook{}))
		if asked := x.node.at[0].alive.Asked(); asked != unasked {
			t.Errorf("unasked %v: the check is still out: %v", unasked, asked)
		}
	}
}

// TestHalfIsToldOfAStandby: when one of two standbys is replaced, those are told who had
// been told of it, and not the others.
func TestHalfIsToldOfAStandby(t *testing.T) {
	var sn Supernode
	sn.standbys = standbys{1001, 1002}
	s := step{env: &Env{Super: &sn, Policy: &Policy{}, Book: labBook{}}, p: &Policy{}, out: &Effects{}}
	for token := range uint32(8) {
		h := holding{peer: ident.Handle(2000 + token), token: token<<1 | 1}
		for k := range sn.standbys {
			s.out.Reset()
			told := s.tellOne(&h, &words{heirs: 1 << k})
			if want := sn.standbyOf(&h) == k; told != want || len(s.out.List) > 0 != want {
				t.Errorf("token %d, standby %d replaced: told %v, want %v", token, k, told, want)
			}
		}
	}
}
