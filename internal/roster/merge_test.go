package roster

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
)

const sec = vtime.Time(vtime.Second)

// idOf spreads handles over the ID space the way hashes of keys do.
func idOf(h ident.Handle) ident.ID {
	r := seed.New(uint64(h))
	return ident.ID(r.Uint64())
}

func member(h ident.Handle, inc uint32, s State) Member {
	return Member{Peer: h, ID: idOf(h), Inc: inc, State: s}
}

// usual is a policy like the one that core.DefaultPolicy hands down.
var usual = Params{SuspicionMin: 5 * vtime.Second, SuspicionMax: 22 * vtime.Second, Tombstone: 7 * vtime.Day, GossipBytes: 32 << 10}

func newRoster(self ident.Handle) *Roster {
	r := new(Roster)
	r.Init(usual, self, idOf(self), 1, 0)
	return r
}

// filled returns the roster of self that holds members 1 to n alive.
func filled(self ident.Handle, n int) *Roster {
	r := newRoster(self)
	for h := ident.Handle(1); h <= ident.Handle(n); h++ {
		r.Load(member(h, 1, Alive), 0)
	}
	return r
}

// check holds everything that is kept twice against what it is derived from.
func check(t interface{ Fatalf(string, ...any) }, r *Roster) {
	tb := &r.table
	var top [Buckets]uint64
	for i := range tb.rows {
		w := &tb.rows[i]
		c := classUsable
		if i >= tb.end[classDead] {
			c = classLeft
		} else if i >= tb.end[classUsable] {
			c = classDead
		}
		if w.state().class() != c {
			t.Fatalf("row %d of state %d stands in class %d", i, w.state(), c)
		}
		if tb.findID(w.id()) != i || tb.findPeer(w.peer) != i {
			t.Fatalf("row %d is found at %d by ID, at %d by handle", i, tb.findID(w.id()), tb.findPeer(w.peer))
		}
		if w.state() == Suspect && int(tb.suspects[w.value()].row) != i {
			t.Fatalf("row %d points to the suspicion of row %d", i, tb.suspects[w.value()].row)
		}
		if w.state().Usable() {
			top[w.id()>>59] ^= fingerprint(w.id(), w.inc)
		}
	}
	if top != r.TopDigest() {
		t.Fatalf("the digest is not that of the members")
	}
	suspects := 0
	for i := range tb.rows {
		if tb.rows[i].state() == Suspect {
			suspects++
		}
	}
	if suspects != len(tb.suspects) || len(tb.byID) != len(tb.rows) {
		t.Fatalf("%d suspects, %d suspicions; %d rows, %d in order", suspects, len(tb.suspects), len(tb.rows), len(tb.byID))
	}
	for k := 1; k < len(tb.suspects); k++ {
		if tb.suspects.earlier(k, (k-1)/2) {
			t.Fatalf("suspicion %d is due before its parent", k)
		}
	}
}

func drawNews(t *rapid.T, max int) []Member {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Member {
		m := member(ident.Handle(rapid.IntRange(1, 12).Draw(t, "peer")), uint32(rapid.IntRange(0, 3).Draw(t, "inc")), State(rapid.IntRange(0, 3).Draw(t, "state")))
		m.Accuser = ident.Handle(rapid.IntRange(0, 5).Draw(t, "accuser"))
		return m
	}), 0, max).Draw(t, "news")
}

// beliefs is what two rosters must agree on: who, which incarnation, what state.
func beliefs(r *Roster) map[ident.Handle][2]uint32 {
	b := make(map[ident.Handle][2]uint32)
	for i := range r.Len() {
		m := r.Member(i)
		b[m.Peer] = [2]uint32{m.Inc, uint32(m.State)}
	}
	return b
}

func equalBeliefs(a, b *Roster) bool {
	x, y := beliefs(a), beliefs(b)
	if len(x) != len(y) {
		return false
	}
	for h, v := range x {
		if y[h] != v {
			return false
		}
	}
	return true
}

// R11: the order of news and their repetition do not matter, neither for Merge nor for Claim.
func TestMergeIsAJoin(t *testing.T) {
	verbs := map[string]func(*Roster, Member){
		"Merge": func(r *Roster, m Member) { r.Merge(m, 0) },
		"Claim": func(r *Roster, m Member) { r.Claim(m, 0) },
	}
	for name, verb := range verbs {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			const self = 100
			a, b := filled(self, 6), filled(self, 6)
			all := drawNews(t, 40)
			for _, m := range all {
				verb(a, m)
				check(t, a)
			}
			for _, m := range rapid.Permutation(all).Draw(t, "order") {
				verb(b, m)
				verb(b, m)
			}
			check(t, b)
			if !equalBeliefs(a, b) || a.TopDigest() != b.TopDigest() {
				t.Fatalf("%v\n%v", beliefs(a), beliefs(b))
			}
			for _, m := range all {
				if verb(a, m); !equalBeliefs(a, b) {
					t.Fatalf("%+v, merged again, changed something", m)
				}
			}
		}))
	}
}

// Merging is associative: news that went through other rosters first come to the same.
func TestMergeThroughOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := drawNews(t, 20), drawNews(t, 20)
		direct, via, other := newRoster(100), newRoster(100), newRoster(100)
		for _, m := range append(append([]Member(nil), x...), y...) {
			direct.Merge(m, 0)
		}
		for _, m := range y {
			other.Merge(m, 0)
		}
		for _, m := range x {
			via.Merge(m, 0)
		}
		for i := range other.Len() {
			via.Merge(other.Member(i), 0)
		}
		if !equalBeliefs(direct, via) {
			t.Fatalf("%v\n%v", beliefs(direct), beliefs(via))
		}
	})
}

func TestOutcome(t *testing.T) {
	r := filled(1, 3)
	v := r.Version()
	steps := []struct {
		what   string
		m      Member
		claim  bool
		want   Outcome
		usable int
	}{
		{"a newer record", member(2, 2, Alive), false, Outcome{Changed: true}, 3},
		{"the same again", member(2, 2, Alive), false, Outcome{}, 3},
		{"an old accusation", member(2, 1, Dead), true, Outcome{}, 3},
		{"an accusation ahead of the record", member(2, 9, Dead), true, Outcome{Want: true}, 3},
		{"a death by hearsay is a suspicion", member(2, 2, Dead), true, Outcome{Changed: true}, 3},
		{"the record again does not acquit", member(2, 2, Alive), false, Outcome{}, 3},
		{"a later one does", member(2, 3, Alive), false, Outcome{Changed: true}, 3},
		{"a stranger in use elsewhere", member(9, 1, Alive), true, Outcome{Want: true}, 3},
		{"a stranger's grave", member(9, 1, Dead), true, Outcome{}, 3},
		{"own conclusion", member(3, 1, Dead), false, Outcome{Changed: true, Lost: true}, 2},
		{"its record, from one who still uses it", member(3, 1, Alive), false, Outcome{Behind: true}, 2},
		{"risen", member(3, 2, Alive), false, Outcome{Changed: true, Gained: true}, 3},
		{"out of range", member(3, MaxInc+1, Alive), false, Outcome{Refused: true}, 3},
		{"unknown state", member(3, 2, Left+1), true, Outcome{Refused: true}, 3},
		{"two keys, one handle", Member{Peer: 3, ID: 7, Inc: 5}, false, Outcome{Refused: true}, 3},
		{"two handles, one key", Member{Peer: 4, ID: idOf(3), Inc: 5}, false, Outcome{Refused: true}, 3},
	}
	for _, s := range steps {
		f := r.Merge
		if s.claim {
			f = r.Claim
		}
		if got := f(s.m, 0); got != s.want || r.Usable() != s.usable {
			t.Errorf("%s: %+v and %d usable, want %+v and %d", s.what, got, r.Usable(), s.want, s.usable)
		}
		check(t, r)
	}
	if r.Version() != v+2 {
		t.Errorf("the version moved by %d: one loss and one gain are 2", r.Version()-v)
	}
}

func TestRefute(t *testing.T) {
	for _, s := range []State{Suspect, Dead, Left} {
		r := filled(1, 3)
		out := r.Claim(member(1, 1, s), 0)
		if !out.Refute || r.Inc() != 2 || r.Self().State != Alive {
			t.Fatalf("accused of %d: %+v, own incarnation %d", s, out, r.Inc())
		}
		if out = r.Claim(member(1, 1, s), 0); out != (Outcome{}) {
			t.Fatalf("the old accusation again: %+v", out)
		}
		// Nobody can burn our incarnations without our signature; a record of a former
		// life has it, and is outbid.
		if out = r.Claim(member(1, 1<<30, s), 0); out.Refute || !out.Want {
			t.Fatalf("an unsigned claim of a later life: %+v", out)
		}
		if out = r.Merge(member(1, 7, Alive), 0); !out.Refute || r.Inc() != 8 {
			t.Fatalf("the record of a former life: %+v, own incarnation %d", out, r.Inc())
		}
		if out = r.Merge(member(1, MaxInc, Alive), 0); !out.Refused {
			t.Fatalf("the last incarnation: %+v", out)
		}
		news := r.Next(sec, 1200, make([]Member, 0, 40))
		if len(news) != 1 || news[0].Peer != 1 || news[0].Inc != 8 || news[0].State != Alive {
			t.Fatalf("news of ourselves: %+v", news)
		}
		r.Leave(0)
		if out = r.Claim(member(1, 8, Dead), 0); out != (Outcome{}) || r.Self().State != Left {
			t.Fatalf("accused after leaving: %+v", out)
		}
		check(t, r)
	}
}

func TestAnnounce(t *testing.T) {
	r, other := filled(1, 3), filled(2, 3)
	if inc := r.Announce(0); inc != 2 {
		t.Fatalf("announced incarnation %d", inc)
	}
	if out := other.Merge(r.Self(), 0); !out.Changed || out.Gained {
		t.Fatalf("%+v", out)
	}
	check(t, r)
}

func TestPick(t *testing.T) {
	r := filled(1, 10)
	r.Merge(member(5, 1, Suspect), 0)
	r.Merge(member(6, 1, Dead), 0)
	r.Merge(member(7, 1, Left), 0)
	rnd := seed.New(1)
	var got [11]int
	const draws = 6000
	for range draws {
		got[r.Pick(&rnd, 2, 3, 2, 1, 6, 99)]++
	}
	for h, n := range got {
		allowed := h == 4 || h == 5 || h >= 8
		if !allowed && n > 0 || allowed && (n < draws/5*8/10 || n > draws/5*12/10) {
			t.Errorf("%d was drawn %d times of %d", h, n, draws)
		}
	}
	for range 10 {
		if h := r.PickDead(&rnd); h != 6 {
			t.Fatalf("PickDead drew %d", h)
		}
	}
	alone := newRoster(1)
	if alone.Pick(&rnd) != ident.None || alone.PickDead(&rnd) != ident.None {
		t.Fatal("somebody was drawn from nobody")
	}
}

// A transient handle in a roster is the core's bug: strangers could fill it.
func TestTransientHandleIsABug(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("a transient handle was merged")
		}
	}()
	newRoster(1).Merge(Member{Peer: ident.Transient(3), ID: 3}, 0)
}
