package sim

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/ada420b6/overlay/internal/vtime"
)

// TestDay compares who is on with the curve, in each zone and at every hour of three days,
// and holds the sessions of each node against each other.
func TestDay(t *testing.T) {
	const nodes = 6_000
	s, err := New(DefaultConfig(nodes))
	if err != nil {
		t.Fatal(err)
	}
	list := []Zone{{-5 * vtime.Hour, 1}, {5*vtime.Hour + 30*vtime.Minute, 2}}
	if err := s.SetZones(22*vtime.Hour, list...); err != nil {
		t.Fatal(err)
	}
	d := &day{0.2, 0.7}
	share := func(in int, t vtime.Duration) float64 {
		on, all := 0, 0
		for i := range uint32(nodes) {
			if s.zone(i) != in {
				continue
			}
			all++
			if next := d.next(s, i, t); next != nil && next.up <= t {
				on++
			}
		}
		return float64(on) / float64(all)
	}
	for k, zone := range list {
		for hour := range vtime.Duration(72) {
			local := (hour*vtime.Hour + 22*vtime.Hour + zone.Offset) % vtime.Day
			want := 0.2 + 0.5*(1-math.Cos(2*math.Pi*(local-4*vtime.Hour).Seconds()/86_400))/2
			if got := share(k, hour*vtime.Hour); math.Abs(got-want) > 0.035 { // 4 sigma of 2000 nodes are 0.045
				t.Errorf("zone %d, hour %d, %.1f h there: %.3f are on, want %.3f", k, hour, local.Seconds()/3600, got, want)
			}
		}
	}
	for i := range uint32(200) {
		last := vtime.Duration(-1 << 62)
		for at := vtime.Duration(0); at < 5*vtime.Day; {
			next := d.next(s, i, at)
			if next == nil || next.down == forever {
				break
			}
			if again := d.next(s, i, next.down-1); *again != *next || next.up < last || next.down <= at {
				t.Fatalf("node %d at %d: %+v, just before its end %+v, the last one ended at %d", i, at, *next, *again, last)
			}
			at, last = next.down, next.down
		}
	}
}

// TestDaily lets a morning pass, from an ordinary day on and called in the middle of a
// network's life: users come, none of them as a disaster.
func TestDaily(t *testing.T) {
	for _, late := range []bool{false, true} {
		s, err := New(DefaultConfig(120))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SetZones(7*vtime.Hour, Zone{0, 1}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Add(120); err != nil {
			t.Fatal(err)
		}
		daily := func() {
			if err := s.Daily(0.2, 0.9); err != nil {
				t.Fatal(err)
			}
		}
		if !late {
			daily()
		}
		s.StartGrown(0, vtime.Second)
		if ok, err := s.WarmUp(15 * vtime.Minute); !ok {
			t.Fatal("no ordinary day:", err)
		}
		before := s.Census().Running
		if late {
			daily()
		}
		s.ResetCensus()
		s.Play()
		if err := s.Run(20 * vtime.Minute); err != nil {
			t.Fatal(err)
		}
		morning := s.Census().Running
		if late == (before < 120) || morning < 20 || morning > 60 { // a third at half past seven
			t.Errorf("late %v: %d run, then %d", late, before, morning)
		}
		if err := s.Run(3 * vtime.Hour); err != nil {
			t.Fatal(err)
		}
		c := s.Census()
		if c.Running < morning+20 || c.Running > 95 || c.Lost > 0 || c.Attached < c.Running-2 {
			t.Errorf("late %v: %d at eleven, %d attached, %d supernodes lost", late, c.Running, c.Attached, c.Lost)
		}
	}
}

// TestDailyEvening: users switch off with a goodbye, and are back in the morning.
func TestDailyEvening(t *testing.T) {
	if testing.Short() {
		t.Skip("a day of 40 nodes")
	}
	s, err := New(DefaultConfig(40))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetZones(16*vtime.Hour, Zone{0, 1}); err != nil {
		t.Fatal(err)
	}
	if err := s.Daily(0.3, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(40); err != nil {
		t.Fatal(err)
	}
	s.StartAll(vtime.Second)
	s.Play()
	if err := s.Run(10 * vtime.Minute); err != nil {
		t.Fatal(err)
	}
	s.Reboot(0, vtime.Minute) // a fault of another kind ends nobody's day
	for _, want := range []struct{ hour, least, most int }{{4, 18, 36}, {12, 8, 20}, {24, 36, 40}} {
		if err := s.Run(vtime.Time(vtime.Duration(want.hour) * vtime.Hour).Sub(s.Now())); err != nil {
			t.Fatal(err)
		}
		if c := s.Census(); c.Running < want.least || c.Running > want.most || c.Lost > 1 || c.Attached < c.Running-1 {
			t.Errorf("after %d h %d run, want %d to %d; %d attached, %d supernodes lost", want.hour, c.Running, want.least, want.most, c.Attached, c.Lost)
		}
	}
}

// TestRebootZones: the wave follows the sun.
func TestRebootZones(t *testing.T) {
	const nodes = 300
	s := newRun(t, DefaultConfig(nodes), vtime.Second)
	list := []Zone{{0, 1}, {10 * vtime.Minute, 1}, {-10 * vtime.Minute, 1}}
	if err := s.SetZones(2*vtime.Hour+44*vtime.Minute, list...); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(vtime.Minute); err != nil {
		t.Fatal(err)
	}
	s.RebootZones(0.5, 3*vtime.Hour, vtime.Minute, 10*vtime.Second)
	for minute, want := range []struct{ after, zone int }{{4, -1}, {7, 1}, {14, 1}, {17, 0}, {24, 0}, {27, 2}} {
		if err := s.Run(vtime.Time(vtime.Duration(want.after+1) * vtime.Minute).Sub(s.Now())); err != nil {
			t.Fatal(err)
		}
		booted, in := [3]int{}, [3]int{}
		for i := range uint32(nodes) {
			in[s.zone(i)]++
			booted[s.zone(i)] += int(s.hosts[i].boots) - 1
		}
		done := false
		for _, k := range []int{1, 0, 2} { // as the sun goes
			expect := part(0.5, in[k])
			if done || want.zone < 0 {
				expect = 0
			}
			if booted[k] != expect || in[k] < 60 {
				t.Errorf("row %d, zone %d: %d of %d have rebooted, want %d", minute, k, booted[k], in[k], expect)
			}
			done = done || k == want.zone
		}
	}
}

// TestRebootRing: every machine is patched once, ring by ring.
func TestRebootRing(t *testing.T) {
	const nodes = 200
	s := newRun(t, DefaultConfig(nodes+20), vtime.Second)
	s.Leave(9)
	if err := s.Run(2 * vtime.Minute); err != nil {
		t.Fatal(err)
	}
	booted := func() (n int) {
		for i := range uint32(s.added) {
			n += int(s.hosts[i].boots) - 1
		}
		return n
	}
	rings := []struct {
		share float64
		taken int
	}{{0.01, 2}, {0.1, 22}, {0.3, 66}, {1, 130}}
	sum := 0
	for k, ring := range rings {
		if got := s.RebootRing(ring.share, vtime.Duration(k)*vtime.Second, vtime.Second); got != ring.taken {
			t.Errorf("ring %d took %d of %d, want %d", k, got, s.added, ring.taken)
		}
		if err := s.Run(vtime.Minute); err != nil {
			t.Fatal(err)
		}
		sum += ring.taken
		if got := booted(); got > sum || got < sum-1 { // one of them was off
			t.Errorf("after ring %d %d have rebooted, want %d", k, got, sum)
		}
	}
	for i := range uint32(s.added) {
		if n := s.hosts[i].boots; n > 2 || n < 2 && i != 9 {
			t.Errorf("node %d has come up %d times", i, n)
		}
	}
	if n := s.RebootRing(0.5, 0, vtime.Second); n != 110 {
		t.Errorf("the first ring of the next patch took %d", n)
	}
}

// TestBadDays: what is no zone and no day is refused.
func TestBadDays(t *testing.T) {
	s, err := New(DefaultConfig(10))
	if err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		"begins at 0 to 24 h":       s.SetZones(vtime.Day, Zone{0, 1}),
		"begins at 0 to 24":         s.SetZones(-1, Zone{0, 1}),
		"no zone has a share":       s.SetZones(0),
		"no zone has a":             s.SetZones(0, Zone{0, 0}),
		"offset 15 h":               s.SetZones(0, Zone{15 * vtime.Hour, 1}),
		"share NaN":                 s.SetZones(0, Zone{0, math.NaN()}),
		"share -1":                  s.SetZones(0, Zone{0, -1}),
		"a day with 0.5 to 0.4":     s.Daily(0.5, 0.4),
		"a day with -1 to 1":        s.Daily(-1, 1),
		"a day with 0 to 2 of":      s.Daily(0, 2),
		"a day with NaN to 1 of th": s.Daily(math.NaN(), 1),
	} {
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	a, err := ReadAvailability("t.avt", strings.NewReader("a\t1\t0 60\n"))
	if err != nil {
		t.Fatal(err)
	}
	s.Replay(a)
	if err := s.Daily(0, 1); err != ErrDay {
		t.Errorf("a day and a trace: %v", err)
	}
}
