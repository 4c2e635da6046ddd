package sim

import (
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/ada420b6/overlay/internal/vtime"
)

// load returns the mean share of the normal slots of all supernodes that is taken.
func (s *Sim) load() float64 {
	var held, places float64
	for i := range s.hosts[:s.added] {
		if sn := s.supers.get(s.hosts[i].super); sn != nil {
			held += float64(sn.Held())
			places += float64(s.book.slots[i])
		}
	}
	return held / max(1, places)
}

// TestTierSettles: from 10 nodes to many the tier takes the size that fits by itself: a
// mean load of 0.35 to 0.65, or MinTier supernodes where these are more than that.
// OVERLAY_LONG goes on to a million nodes.
func TestTierSettles(t *testing.T) {
	sizes := []int{10, 100, 1000, 4000}
	if testing.Short() {
		sizes = sizes[:2]
	}
	if os.Getenv("OVERLAY_LONG") != "" {
		sizes = append(sizes, 10_000, 100_000, 1_000_000)
	}
	for _, n := range sizes {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			cfg := DefaultConfig(n)
			cfg.Check = min(cfg.Check, CheckBasic)
			// Nodes come as fast as the tier can take them: were they all there at once, it would
			// rightly grow for the sake of those who wait.
			s := newRun(t, cfg, 5*vtime.Minute)
			if err := s.Run(15 * vtime.Minute); err != nil {
				t.Fatal(err)
			}
			c, load := s.Census(), s.load()
			t.Logf("%d supernodes, load %.2f, %d promotions, %d demotions", c.Supernodes, load, c.Promotions, c.Demotions)
			small := c.Supernodes <= 2*cfg.Policy.MinTier-1 && load < 0.65
			if c.Orphans > 0 || !small && (load < 0.35 || load > 0.65) {
				t.Errorf("%d orphans, load %.2f", c.Orphans, load)
			}
		})
	}
}

// TestDailySwing: over three days in which 35 to 100 % of the users are there, the tier
// does not flap: hardly anybody steps down, since who goes offline leaves and who is
// needed rises. The hours in which most users leave run always, three days with OVERLAY_LONG.
func TestDailySwing(t *testing.T) {
	if testing.Short() {
		t.Skip("10 million events")
	}
	const n = 600
	from, to := 4*vtime.Hour, 7*vtime.Hour
	if os.Getenv("OVERLAY_LONG") != "" {
		from, to = 0, 72*vtime.Hour
	}
	cfg := DefaultConfig(n)
	cfg.Check = CheckBasic
	cfg.Policy.NormalSlots, cfg.Policy.ThinSlots, cfg.Foretold = 20, 60, true
	s := newRun(t, cfg, vtime.Minute)
	if err := s.Run(20 * vtime.Minute); err != nil {
		t.Fatal(err)
	}
	s.ResetCensus()
	gone, lo, hi, low := 0, 1.0, 0.0, 1.0
	for at := from; at < to; at += 5 * vtime.Minute {
		online := 0.675 + 0.325*math.Cos(2*math.Pi*float64(at)/float64(vtime.Day))
		for i := range n {
			there := (float64(i*7919%n)+0.5)/n < online
			switch {
			case there && !s.Running(i):
				s.absent(uint32(i), 1+s.within(5*vtime.Minute))
			case !there && s.Running(i):
				if _, leaving := s.away[uint32(i)]; leaving {
					continue
				}
				gone += toInt(s.Serving(i))
				s.Leave(i)
			}
		}
		if err := s.Run(5 * vtime.Minute); err != nil {
			t.Fatal(err)
		}
		load := s.load()
		lo, hi = min(lo, load), max(hi, load)
	}
	c := s.Census()
	low = c.MinAttached
	stepped := int(c.Demotions) - gone
	t.Logf("%d promotions, %d supernodes went offline, %d stepped down; load %.2f to %.2f; never under %.1f %% attached", c.Promotions, gone, stepped, lo, hi, 100*low)
	if stepped*100 >= int(c.Promotions)+gone || low < 0.99 {
		t.Errorf("%d stepped down, below 1 %% of %d is wanted; %.2f %% attached at worst", stepped, int(c.Promotions)+gone, 100*low)
	}
}
