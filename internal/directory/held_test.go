package directory

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
)

// copies is where the puts of a Held have arrived, and when.
type copies map[ident.NameID]map[ident.Handle]vtime.Time

func (c copies) take(batch []Refresh, now vtime.Time) {
	for _, f := range batch {
		if c[f.Name] == nil {
			c[f.Name] = map[ident.Handle]vtime.Time{}
		}
		for _, h := range f.To.All() {
			c[f.Name][h] = now
		}
	}
}

// TestHeldKeepsEveryReplicaAlive changes the roster under a Held while time passes: a
// minute after the last change every user is at exactly the replicas that the roster
// names, and no copy is older than the longest refresh.
func TestHeldKeepsEveryReplicaAlive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := seed.New(rapid.Uint64().Draw(t, "seed"))
		list := drawRoster(&r, 12, 5)
		users := rapid.IntRange(1, 150).Draw(t, "users")
		storm := uint8(rapid.IntRange(0, 3).Draw(t, "storm"))
		h := NewHeld(1000, refreshEvery)
		got := copies{}
		for i := range users {
			h.Add(name(i), 0)
		}
		now := vtime.Time(0)
		run := func(span vtime.Duration) {
			for end := now.Add(span); now < end; now = vtime.Later(now+1, h.Next()) {
				got.take(h.Due(nil, now, view(list), storm, &r), now)
			}
		}
		for range rapid.IntRange(0, 8).Draw(t, "changes") {
			run(vtime.Duration(r.Between(1, int64(5*vtime.Minute))))
			if i := r.Intn(len(*list)); len(*list) > 6 && r.Intn(2) == 0 {
				gone := (*list)[i].h
				*list = slices.Delete(*list, i, i+1)
				h.Left(gone)
				continue
			}
			m := member{h: ident.Handle(100 + r.Intn(1<<20)), id: ident.ID(r.Uint64()), g: ident.Group(r.Intn(6))}
			*list = append(*list, m)
			h.Joined(m.id, 7)
		}
		run(vtime.Minute)
		longest := stormStretch*(refreshEvery+refreshEvery/refreshSpread) + vtime.Minute
		for i := range users {
			want := Rank(name(i).Zone(), view(list))
			for _, p := range want.All() {
				if at, ok := got[name(i)][p]; !ok || now.Sub(at) > longest {
					t.Fatalf("user %d at replica %d: put %v, at %d, now %d", i, p, ok, at, now)
				}
			}
		}
	})
}

func TestHeldRefreshesInTime(t *testing.T) {
	r := seed.New(2)
	list := drawRoster(&r, 50, 40)
	h := NewHeld(1000, refreshEvery)
	const users = 400
	for i := range users {
		h.Add(name(i), 0)
	}
	count := map[ident.NameID]int{}
	perSecond := map[vtime.Time]int{}
	for now := vtime.Time(0); now < vtime.Time(vtime.Hour); now = vtime.Later(now+1, h.Next()) {
		for _, f := range h.Due(nil, now, view(list), 0, &r) {
			count[f.Name]++
			perSecond[now/second]++
		}
	}
	for i := range users {
		if n := count[name(i)]; n < 5 || n > 8 {
			t.Fatalf("user %d was put %d times in an hour", i, n)
		}
	}
	for s, n := range perSecond {
		if n > 3*UsersPerSecond {
			t.Fatalf("%d users in second %d, the pace is %d and two seconds' worth at once", n, s, UsersPerSecond)
		}
	}
}

// TestHeldPutsOnlyToNewcomers: a member that joins costs one put per zone that it enters
// and nothing else.
func TestHeldPutsOnlyToNewcomers(t *testing.T) {
	r := seed.New(4)
	list := drawRoster(&r, 30, 0)
	h := NewHeld(1000, refreshEvery)
	for i := range 60 {
		h.Add(name(i), 0)
	}
	h.Due(nil, vtime.Time(settle), view(list), 0, &r)
	m := member{h: 500, id: ident.ID(r.Uint64())}
	*list = append(*list, m)
	h.Joined(m.id, 7)
	entered, put := 0, 0
	for i := range 60 {
		rk := Rank(name(i).Zone(), view(list))
		if rk.Has(500) {
			entered++
		}
	}
	for now := 2 * second; now < 10*second; now += second {
		for _, f := range h.Due(nil, now, view(list), 0, &r) {
			if !slices.Equal(f.To.All(), []ident.Handle{500}) {
				t.Fatalf("put to %v, only 500 is new", f.To.All())
			}
			put++
		}
	}
	if put != entered || put == 0 {
		t.Fatalf("%d puts for %d zones entered", put, entered)
	}
}

// TestHeldPutsAgainWhatWasMissed: a record that a replica did not take is put again within
// half a minute, not at its next refresh, which may come after it has expired.
func TestHeldPutsAgainWhatWasMissed(t *testing.T) {
	r := seed.New(5)
	list := drawRoster(&r, 30, 0)
	h := NewHeld(1000, refreshEvery)
	h.Add(name(1), 0)
	h.Add(name(2), 0)
	h.Due(nil, vtime.Time(settle), view(list), 0, &r)
	h.Missed(name(1), second, &r)
	h.Missed(name(3), second, &r) // gone by now
	for now := 2 * second; now < 30*second; now += second {
		if due := h.Due(nil, now, view(list), 0, &r); len(due) > 0 {
			if len(due) > 1 || due[0].Name != name(1) || now < second.Add(missedAgain/2) {
				t.Fatalf("%+v put after %v", due, now)
			}
			return
		}
	}
	t.Fatal("it was not put again")
}

// TestHeldPutsTogether: who attaches twice within a second is put once, and not later than a
// second after it came.
func TestHeldPutsTogether(t *testing.T) {
	r := seed.New(6)
	list := drawRoster(&r, 30, 0)
	h := NewHeld(1000, refreshEvery)
	puts := 0
	for _, at := range []vtime.Duration{0, settle / 2, settle, 5 * settle} {
		now := vtime.Time(at)
		for h.Next() <= now {
			puts += len(h.Due(nil, h.Next(), view(list), 0, &r))
		}
		h.Add(name(1), now)
	}
	if puts != 2 {
		t.Errorf("four changes, the first two within %d ms and the third right after them, were put %d times by the time of the last, want 2", settle/vtime.Millisecond, puts)
	}
	if due := h.Next(); due > vtime.Time(6*settle) {
		t.Errorf("a change at 5 s is put at %d", due)
	}
}

func TestHeldBoundsItsWaitingList(t *testing.T) {
	h := NewHeld(10, refreshEvery)
	for i := range 1000 {
		h.Add(name(i%15), 0)
		h.Remove(name(i % 15))
	}
	if len(h.fresh) > 20 {
		t.Fatalf("%d entries wait for at most 10 users", len(h.fresh))
	}
	for i := range 10 {
		if !h.Add(name(i), 0) {
			t.Fatalf("user %d of 10 refused", i)
		}
	}
	if h.Add(name(11), 0) {
		t.Fatal("an eleventh user was taken")
	}
	r := seed.New(1)
	got := copies{}
	got.take(h.Due(nil, second, view(drawRoster(&r, 8, 0)), 0, &r), second)
	if len(got) != 10 {
		t.Fatalf("%d of 10 users were put", len(got))
	}
}

func TestHeldAllocatesNothing(t *testing.T) {
	r := seed.New(1)
	list := drawRoster(&r, 100, 50)
	v := view(list)
	h := NewHeld(1000, refreshEvery)
	for i := range 500 {
		h.Add(name(i), 0)
	}
	buf := make([]Refresh, 0, 1000)
	now := vtime.Time(0)
	step := func() {
		h.Add(name(int(now/second)%500), now)
		h.Left((*list)[int(now/second)%100].h)
		h.Joined((*list)[int(now/second)%100].id, 7)
		buf = h.Due(buf[:0], now, v, 0, &r)
		now += second
	}
	for range 100 {
		step()
	}
	if a := testing.AllocsPerRun(500, step); a != 0 {
		t.Fatalf("a step allocates %v times", a)
	}
}

func BenchmarkHeldJoined(b *testing.B) {
	r := seed.New(1)
	list := drawRoster(&r, 1000, 500)
	h := NewHeld(1000, refreshEvery)
	for i := range 400 {
		h.Add(name(i), 0)
	}
	for now := vtime.Time(0); now < 20*second; now += second {
		h.Due(nil, now, view(list), 0, &r)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		h.Joined(ident.ID(i)<<40, 7)
	}
}
