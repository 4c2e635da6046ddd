package tier

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
)

// few is a tier that is too small: who serves, since when, and what each knows.
type few struct {
	r      seed.Rand
	supers []*appointing
	coming []vtime.Time // when appointed nodes begin to serve
	news   vtime.Duration
	fail   int // of 100 appointed nodes that never show up
}

type appointing struct {
	id       uint64
	since    vtime.Time
	eligible int
	a        Appointer
}

// known is how many supernodes s knows of, and its rank among them: another is known news
// after it began.
func (f *few) known(s *appointing, now vtime.Time) (n, rank int) {
	for _, o := range f.supers {
		if o != s && now < o.since.Add(f.news) {
			continue
		}
		n++
		if o.id < s.id {
			rank++
		}
	}
	return n, rank
}

func (f *few) step(p *Policy, now vtime.Time) {
	for _, s := range f.supers {
		n, rank := f.known(s, now)
		k := s.a.Due(p, Census{Supernodes: n, Rank: rank, Eligible: s.eligible}, now, &f.r)
		s.eligible -= k
		for range k {
			if f.r.Intn(100) >= f.fail {
				f.coming = append(f.coming, now.Add(vtime.Duration(f.r.Between(int64(vtime.Second/10), int64(vtime.Second)))))
			}
		}
	}
	late := f.coming[:0]
	for _, at := range f.coming {
		if at > now {
			late = append(late, at)
			continue
		}
		f.supers = append(f.supers, &appointing{id: f.r.Uint64(), since: now, eligible: f.r.Intn(10)})
	}
	f.coming = late
}

// run steps a tier that has shrunk to so many until half a minute after it was large
// enough, at most five minutes, and returns when it was large enough and how
// large it became.
func (f *few) run(p *Policy, supers int) (reached vtime.Time, size int) {
	for range supers {
		s := &appointing{id: f.r.Uint64(), since: -vtime.Time(vtime.Hour), eligible: 40}
		s.a.Due(p, Census{Supernodes: p.MinSize}, s.since, &f.r)
		f.supers = append(f.supers, s)
	}
	reached = vtime.Never
	for now := vtime.Time(0); now < vtime.Earlier(300*second, reached.Add(30*vtime.Second)); now += second / 20 {
		f.step(p, now)
		if len(f.supers) >= p.MinSize {
			reached = vtime.Earlier(reached, now)
		}
	}
	return reached, len(f.supers)
}

// TestOneBecomesFive: with news of half a second and nodes that answer, a tier of any
// size below the minimum has it within 4 s and goes no further than the bound.
func TestOneBecomesFive(t *testing.T) {
	p := usual()
	rapid.Check(t, func(t *rapid.T) {
		f := few{r: seed.New(rapid.Uint64().Draw(t, "seed")), news: vtime.Second / 2}
		at, size := f.run(&p, rapid.IntRange(1, 4).Draw(t, "supernodes"))
		if at > 4*second || size > 9 {
			t.Fatalf("%d supernodes, the minimum was reached at %d", size, at)
		}
	})
}

// TestAppointmentsFailAndAreRepeated: half of the appointed never show up, and news takes
// up to three seconds.
func TestAppointmentsFailAndAreRepeated(t *testing.T) {
	p := usual()
	rapid.Check(t, func(t *rapid.T) {
		f := few{r: seed.New(rapid.Uint64().Draw(t, "seed")), fail: 50}
		f.news = vtime.Duration(rapid.Int64Range(0, int64(3*vtime.Second)).Draw(t, "news"))
		at, size := f.run(&p, rapid.IntRange(1, 4).Draw(t, "supernodes"))
		if at == vtime.Never || size > 9 {
			t.Fatalf("%d supernodes, the minimum was reached at %d", size, at)
		}
	})
}

// TestOvershootIsBounded loses all news: nobody ever hears of anybody new. Each appoints
// what is missing once, which is the bound that Appointer states.
func TestOvershootIsBounded(t *testing.T) {
	p := usual()
	for s := 1; s < p.MinSize; s++ {
		total := s
		for rank := range s {
			var a Appointer
			r := seed.New(uint64(rank))
			for now := vtime.Time(0); now < second*2+vtime.Time(s+1)*vtime.Time(stepIn); now += second / 4 {
				k := a.Due(&p, Census{Supernodes: s, Rank: rank, Eligible: 10}, now, &r)
				total += k
				if k > 0 {
					break
				}
			}
		}
		if want := s + s*(p.MinSize-s); total != want || total > 9 {
			t.Fatalf("%d supernodes without news became %d, the bound is %d", s, total, want)
		}
	}
}

func TestEnoughAppointsNobody(t *testing.T) {
	p, r := usual(), seed.New(1)
	var a Appointer
	for now := vtime.Time(0); now < 60*second; now += second {
		if a.Due(&p, Census{Supernodes: p.MinSize, Eligible: 100}, now, &r) != 0 || a.Next(0) != vtime.Never {
			t.Fatal("a tier of the minimum size was added to")
		}
	}
}
