package sim

import (
	"testing"

	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// apart counts the supernodes whose roster does not have exactly the tier.
func (s *Sim) apart() (n int) {
	for i := range s.hosts[:s.added] {
		if sn := s.supers.get(s.hosts[i].super); sn != nil && sn.Members() != s.stats.serving {
			n++
		}
	}
	return n
}

// unfound looks every name up from a node drawn at random and counts those that are not
// found.
func (s *Sim) unfound(t *testing.T) (missing int) {
	t.Helper()
	left := 0
	for i := range s.added {
		asker := int(scale(s.random(), uint32(s.added)))
		if !s.Running(i) || !s.Running(asker) {
			continue
		}
		left++
		s.Ask(asker, s.Name(i), func(a Answer) {
			left--
			if a.Status != wire.LookupFound || a.Owner != i {
				missing++
			}
		})
	}
	if ok, err := s.RunUntil(func() bool { return left == 0 }, answerBound); !ok || err != nil {
		t.Fatalf("%d look-ups did not end: %v", left, err)
	}
	return missing
}

// TestPartitions: whatever way a network falls apart, half a minute after it is mended it
// is one tier, soon after every node is attached and every name is found from everywhere.
func TestPartitions(t *testing.T) {
	half := func(i int) int { return i % 2 }
	all := func(a, b int) bool { return a != b }
	for _, tc := range []struct {
		name string
		part func(i int) int
		cut  func(a, b int) bool // who is not heard by whom
	}{
		{"halves", half, all},
		{"five parts", func(i int) int { return i % 5 }, all},
		{"a twentieth away", func(i int) int { return toInt(i%20 == 0) }, all},
		{"one half is not heard", half, func(a, _ int) bool { return a == 1 }},
		{"a bridge of one node", func(i int) int {
			if i == 7 {
				return 2
			}
			return i % 2
		}, func(a, b int) bool { return a != b && a != 2 && b != 2 }},
		{"a ring of four", func(i int) int { return i % 4 }, func(a, b int) bool { return (a+2)%4 == b }},
	} {
		for _, slots := range []int{1600, 20} { // a tier of five, and one of sixty
			t.Run(tc.name, func(t *testing.T) {
				t.Parallel()
				cfg := DefaultConfig(300)
				cfg.Policy.NormalSlots, cfg.Policy.ThinSlots = slots, 3*slots
				s := newRun(t, cfg, 5*vtime.Second)
				if err := s.Run(5 * vtime.Minute); err != nil {
					t.Fatal(err)
				}
				before := s.stats.serving
				s.sides(tc.part)
				for a := range maxSides {
					for b := range maxSides {
						s.net.cut[a][b] = a != b && tc.cut(a, b)
					}
				}
				if err := s.Run(5 * vtime.Minute); err != nil {
					t.Fatal(err)
				}
				asunder := s.apart()
				s.Mend()
				from := s.now
				ok, err := s.RunUntil(func() bool { return s.apart() == 0 }, 30*vtime.Second)
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%d supernodes, %d when mended, %d of them without a full roster; one tier after %.1f s", before, s.stats.serving, asunder, s.now.Sub(from).Seconds())
				if !ok {
					t.Errorf("%d of %d supernodes do not have the tier 30 s after it was mended", s.apart(), s.stats.serving)
				}
				// Who was away alone asks every BackoffMax, 30 s, at the latest.
				if ok, err := s.RunUntil(s.Healed, from.Add(35*vtime.Second).Sub(s.now)); !ok || err != nil {
					t.Errorf("%d of %d are attached 35 s after it was mended: %v", s.stats.attached, s.stats.running, err)
				}
				_ = s.Run(5 * vtime.Second)
				if n := s.unfound(t); n > 0 {
					t.Errorf("%d names are not found", n)
				}
			})
		}
	}
}
