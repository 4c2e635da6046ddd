package sim

import (
	"math"
	"strings"
	"testing"

	"github.com/ada420b6/overlay/internal/vtime"
)

// TestCopies resamples 2 000 hosts to 40 000 nodes: first copies are the hosts, all others
// are ahead by less than the blur; the share that is on stays that of the trace; and no
// twenty nodes go down in one second because a host did.
func TestCopies(t *testing.T) {
	const hosts, copies = 2_000, 20
	a, err := ReadAvailability("skype", strings.NewReader(skypeTrace(hosts, 30*vtime.Hour, 7)))
	if err != nil {
		t.Fatal(err)
	}
	if a.blur != maxBlur { // a tenth of 5.6 h is more
		t.Errorf("copies are up to %.0f s ahead", a.blur.Seconds())
	}
	cfg := DefaultConfig(hosts * copies)
	cfg.Cache = 1
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.Replay(a)
	s.replay.began = 0
	var ahead []float64
	for i := range uint32(hosts * copies) {
		at := s.replay.at(s, i)
		if i < hosts && at != 0 || at < 0 || at >= a.blur {
			t.Fatalf("node %d is ahead by %.0f s", i, at.Seconds())
		}
		if i >= hosts {
			ahead = append(ahead, at.Seconds())
		}
	}
	mean := 0.0
	for _, x := range ahead {
		mean += x / float64(len(ahead))
	}
	if math.Abs(mean-900) > 15 {
		t.Errorf("they are ahead by %.0f s on average, want 900", mean)
	}
	downs := make(map[vtime.Time]map[int]int) // by second and host
	for hour := range vtime.Time(24) {
		s.now = hour * vtime.Time(vtime.Hour)
		var up [2]float64
		for i := range uint32(hosts * copies) {
			first := 0
			if i >= hosts {
				first = 1
			}
			next := s.replay.next(s, i)
			if next == nil {
				continue
			}
			if next.up <= s.replay.at(s, i) {
				up[first]++
			}
			second := s.now.Add(next.down-s.replay.at(s, i)) / vtime.Time(vtime.Second)
			if downs[second] == nil {
				downs[second] = make(map[int]int)
			}
			if hour == 0 {
				downs[second][int(i)%hosts]++
			}
		}
		if as, trace := up[1]/(hosts*(copies-1)), up[0]/hosts; math.Abs(as-trace) > 0.01 {
			t.Errorf("hour %d: of the hosts %.3f are on, of their copies %.3f", hour, trace, as)
		}
	}
	most := 0
	for _, hosts := range downs {
		for _, n := range hosts {
			most = max(most, n)
		}
	}
	if most > 5 { // 20 draws of 1 800 s: three in one second come about, five do not
		t.Errorf("%d copies of one host go down in one second", most)
	}
}
