package tier

import (
	"testing"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
)

// crowd is a tier and its eligible nodes with everything that delays the loop: samples
// that trickle in, rosters that are late, reports that come with keepalives.
type crowd struct {
	p        Policy
	r        seed.Rand
	demand   int // users, in 1/128 of a supernode's room
	supers   int
	history  [8]int // supernodes in the last seconds: what a late roster says
	watchers [12]Sampler
	reports  [12]Report
	nodes    []Node
	joined   []bool
}

func (c *crowd) load() Load {
	noise := c.r.Between(-25, 26)
	return Load(min(int64(MaxLoad), max(0, int64(c.demand/c.supers)+noise)))
}

// tick is one second: two samples to each watcher, a report to a twentieth of the nodes.
func (c *crowd) tick(sec int) {
	now := vtime.Time(sec) * second
	copy(c.history[1:], c.history[:])
	c.history[0] = c.supers
	roster := c.history[5]
	for i := range c.watchers {
		for range 2 {
			c.watchers[i].Report(ident.Handle(1+c.r.Intn(roster)), c.load(), roster, now)
		}
		c.reports[i] = Report{
			Util:       c.watchers[i].Mean(c.load(), roster, now),
			Supernodes: uint32(roster), Eligible: uint32(len(c.nodes)),
		}
	}
	for i := range c.nodes {
		n := &c.nodes[i]
		if c.joined[i] {
			continue
		}
		if i%20 == sec%20 {
			n.Hear(&c.p, c.reports[i%len(c.reports)])
		}
		if n.Draw(&c.p, true, now, &c.r) {
			c.joined[i] = true
			c.supers++
		}
	}
}

// TestGrowthReachesTheTargetWithoutOvershoot: a tenth of the tier is left under the whole
// load. It must grow out of the need for promotion within minutes, and not by more than
// 15 % beyond the size that the target asks for.
func TestGrowthReachesTheTargetWithoutOvershoot(t *testing.T) {
	for s := range uint64(8) {
		const right = 400 // supernodes at utilisation 0.5
		c := crowd{p: usual(), r: seed.New(s), demand: right * 64, supers: right / 10}
		for i := range c.history {
			c.history[i] = c.supers
		}
		c.nodes, c.joined = make([]Node, 20*right), make([]bool, 20*right)
		for i := range c.nodes {
			c.nodes[i].Start(&c.p, 0, &c.r)
		}
		reached := 0
		for sec := range 900 {
			c.tick(sec)
			if reached == 0 && c.demand/c.supers <= int(c.p.PromoteAbove) {
				reached = sec
			}
		}
		if reached == 0 || reached > 240 {
			t.Errorf("seed %d: utilisation was down to 0.65 after %d s", s, reached)
		}
		if c.supers > right*115/100 {
			t.Errorf("seed %d: %d supernodes, %d are right", s, c.supers, right)
		}
	}
}

// changes runs a tier at its target for two hours with estimates from m samples of
// spread 0.3 each, and counts the changes of role.
func changes(m int, s uint64) (promotions, demotions int) {
	p, r := usual(), seed.New(s)
	const right, perSupernode = 300, 20
	supers := right
	start := -vtime.Time(vtime.Hour)
	for now := vtime.Time(0); now < vtime.Time(2*vtime.Hour); now = now.Add(p.Period) {
		mean := right * 64 / supers
		up, down := 0, 0
		for range supers {
			var count [int(MaxLoad) + 1]uint8
			for range m {
				// Uniform with standard deviation 0.3: +-0.52.
				count[min(int64(MaxLoad), max(0, int64(mean)+r.Between(-66, 67)))]++
			}
			u := trimmedMean(&count, m)
			own := Load(max(0, int64(mean)+r.Between(-66, 67)))
			for range perSupernode {
				if p.Promote(u, supers, supers*perSupernode).Draw(&r) {
					up++
				}
			}
			if p.Demote(Station{Util: u, Own: own, Supernodes: supers, Since: start, Storm: start}, now).Draw(&r) {
				down++
			}
		}
		promotions, demotions = promotions+up, demotions+down
		supers += up - down
	}
	return promotions, demotions
}

// TestFewSamplesFlap is the reason for Samples: at its target and with nothing going on,
// a tier of 300 that estimates from 8 samples keeps changing (390 promotions and 279
// demotions in two hours), one that uses 64 does not (5 and none).
func TestFewSamplesFlap(t *testing.T) {
	up8, down8 := changes(8, 1)
	up64, down64 := changes(Samples, 1)
	t.Logf("in two hours: %d + %d changes with 8 samples, %d + %d with %d", up8, down8, up64, down64, Samples)
	if up64 > 10 || down64 > 0 {
		t.Errorf("%d promotions and %d demotions with %d samples", up64, down64, Samples)
	}
	if up8+down8 < 100 {
		t.Errorf("%d promotions and %d demotions with 8 samples: the test sees no flapping", up8, down8)
	}
}
