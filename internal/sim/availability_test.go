package sim

import (
	"errors"
	"fmt"
	"math"
	"sort"
	"strings"
	"testing"

	"github.com/ada420b6/overlay/internal/vtime"
)

func TestReadAvailability(t *testing.T) {
	a, err := ReadAvailability("t.avt", strings.NewReader("a\t2\t0 60 90.5\t120\nb\t0\t\nc\t0\nd\t1\t30 30\ne\t1\t10 100\n"))
	if err != nil {
		t.Fatal(err)
	}
	if a.Hosts() != 5 || a.Length() != 2*vtime.Minute {
		t.Errorf("%d hosts, %.0f s", a.Hosts(), a.Length().Seconds())
	}
	for host, want := range []int{2, 0, 0, 0, 1} {
		if got := len(a.of(host)); got != want {
			t.Errorf("host %d: %d sessions, want %d", host, got, want)
		}
	}
	if s := a.next(0, 60*vtime.Second); s == nil || s.up != 90_500*vtime.Millisecond {
		t.Errorf("after its first session: %v", s)
	}
	if s := a.next(0, 2*vtime.Minute); s != nil {
		t.Errorf("after its last session: %v", s)
	}
}

// TestBadAvailability reads what is no trace; each error names the line.
func TestBadAvailability(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "t.avt: no hosts",
		"a":                          "t.avt:1: no id and tab",
		"\t1\t0 1":                   "t.avt:1: no id and tab",
		"a\tx\t0 1":                  `t.avt:1: "x" is not a number of sessions`,
		"a\t-1\t":                    `t.avt:1: "-1" is not a number of sessions`,
		"a\t1\t0 1\nb\t2\t0 1":       "t.avt:2: 2 times, 2 sessions",
		"a\t1\t0":                    "t.avt:1: 1 times",
		"a\t1\t0 one":                `t.avt:1: end of session 1: "one" is not a number`,
		"a\t1\t-1 1":                 "t.avt:1: start of session 1: -1 s, allowed",
		"a\t1\t0 NaN":                "t.avt:1: end of session 1: NaN s, allowed",
		"a\t1\t0 1e99":               "t.avt:1: end of session 1: 1e99 s, allowed",
		"a\t1\t5 4":                  "t.avt:1: end of session 1: 4 s is before 5 s",
		"a\t2\t0 9 8 10":             "t.avt:1: start of session 2: 8 s is before 9 s",
		strings.Repeat("x", maxLine): "t.avt:1: bufio.Scanner: token too long",
	} {
		_, err := ReadAvailability("t.avt", strings.NewReader(text))
		if !errors.Is(err, ErrAvailability) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q: %v, want %s", text, err, want)
		}
	}
	if _, err := LoadAvailability("no such file"); !errors.Is(err, ErrAvailability) {
		t.Errorf("no file: %v", err)
	}
}

// FuzzReadAvailability reads anything: an error, or sessions in order.
func FuzzReadAvailability(f *testing.F) {
	f.Add("a\t2\t0 60 90.5\t120\nb\t0\t\n")
	f.Add("a\t1\t0 1e9\n")
	f.Add("a\t1\t5 4\n")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ReadAvailability("fuzz", strings.NewReader(text))
		if err != nil {
			if !errors.Is(err, ErrAvailability) {
				t.Fatalf("%v is no ErrAvailability", err)
			}
			return
		}
		for host := range a.Hosts() {
			last := vtime.Duration(0)
			for _, s := range a.of(host) {
				if s.up < last || s.down <= s.up || s.down > a.Length() {
					t.Fatalf("host %d: a session from %v to %v after %v", host, s.up, s.down, last)
				}
				last = s.down
			}
		}
	})
}

// TestReplay lets 90 nodes come and go as 3 hosts did, with a fault of the simulation's
// own in between, and compares who runs with the trace.
func TestReplay(t *testing.T) {
	const text = "a\t1\t0 300\nb\t2\t0 100 160 300\nc\t2\t50 120 200 300\n"
	a, err := ReadAvailability("t.avt", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(DefaultConfig(90))
	if err != nil {
		t.Fatal(err)
	}
	s.Replay(a)
	if _, err := s.Add(90); err != nil {
		t.Fatal(err)
	}
	s.StartAll(vtime.Second)
	if ok, err := s.WarmUp(10 * vtime.Minute); !ok {
		t.Fatalf("no ordinary day: %v", err)
	}
	if n := s.Census().Running; n != 60 {
		t.Fatalf("%d run before the trace begins, want 60", n)
	}
	s.Play()
	began := s.Now()
	for _, at := range []struct{ second, want int }{
		{40, 60}, {60, 90}, {110, 60}, {130, 30}, {170, 60}, {210, 90}, {260, 90}, {301, 0}, {400, 0},
	} {
		if err := s.Run(began.Add(vtime.Duration(at.second) * vtime.Second).Sub(s.Now())); err != nil {
			t.Fatal(err)
		}
		if n := s.Census().Running; n != at.want {
			t.Errorf("after %d s %d run, want %d", at.second, n, at.want)
		}
		if at.second == 60 { // they come back while c's session lasts, or has ended
			s.RebootShare(0.5, vtime.Second, 30*vtime.Second)
		}
	}
}

// TestOnline switches most of a network off and on again.
func TestOnline(t *testing.T) {
	s, err := New(DefaultConfig(200))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(200); err != nil {
		t.Fatal(err)
	}
	for _, share := range []float64{0.3, 1, 0.5, 0.5, 0.9} {
		s.Online(share, 10*vtime.Second)
		if err := s.Run(4 * vtime.Minute); err != nil {
			t.Fatal(err)
		}
		if c := s.Census(); c.Running != int(200*share+0.5) || c.Orphans > 0 || c.Lost > 0 {
			t.Errorf("share %v: %d run, %d without an attachment, %d supernodes lost", share, c.Running, c.Orphans, c.Lost)
		}
	}
}

// TestWarmUp grows a network of either policy to an ordinary day.
func TestWarmUp(t *testing.T) {
	for _, old := range []bool{false, true} {
		t.Run(fmt.Sprintf("2007=%v", old), func(t *testing.T) {
			t.Parallel()
			s := newRun(t, augustNetwork(2_000, old), 10*vtime.Second)
			own := s.cfg.Policy
			ok, err := s.WarmUp(10 * vtime.Minute)
			if !ok || err != nil {
				t.Fatal(ok, err)
			}
			c := s.Census()
			if c.Running != 2_000 || c.Orphans != 0 || s.cfg.Policy != own {
				t.Errorf("census %+v", c)
			}
			if want := own.Attachments; want == 2 && c.TwoAttached < 1_800 || want == 1 && c.TwoAttached > 0 {
				t.Errorf("%d have two attachments", c.TwoAttached)
			}
			t.Logf("%.0f s, %d supernodes", vtime.Duration(c.At).Seconds(), c.Supernodes)
		})
	}
}

// skypeTrace is a trace with the figures of the supernodes of 2005: sessions of 5.6 h in
// the median and 14.3 h on average, log-normal, and half an hour to half a day between.
func skypeTrace(hosts int, length vtime.Duration, draw uint64) string {
	uniform := func() float64 {
		draw = mix(draw)
		return (float64(draw>>11) + 0.5) / (1 << 53)
	}
	normal := func() float64 { return math.Sqrt(-2*math.Log(uniform())) * math.Cos(2*math.Pi*uniform()) }
	sigma := math.Sqrt(2 * math.Log(14.3/5.6)) // of a log-normal with this mean and median
	var b strings.Builder
	for host := range hosts {
		at := -24 * 3600 * uniform() // it has been going on
		var times []string
		for at < length.Seconds() {
			end := at + 3600*5.6*math.Exp(sigma*normal())
			if end > 0 {
				times = append(times, fmt.Sprintf("%.0f %.0f", max(0, at), end))
			}
			at = end + 1800 + 36_000*uniform()
		}
		fmt.Fprintf(&b, "h%d\t%d\t%s\n", host, len(times), strings.Join(times, "\t"))
	}
	return b.String()
}

// TestRealComingsAndGoings lets hosts come and go, without a goodbye, as Skype's
// supernodes did, with every rule watched: a network that loses 4 % of its machines an
// hour has an ordinary day.
func TestRealComingsAndGoings(t *testing.T) {
	const hosts = 200
	a, err := ReadAvailability("skype", strings.NewReader(skypeTrace(hosts, 12*vtime.Hour, 1)))
	if err != nil {
		t.Fatal(err)
	}
	var lengths []float64
	for _, s := range a.sessions {
		lengths = append(lengths, (s.down-s.up).Seconds()/3600)
	}
	sort.Float64s(lengths)
	if m := lengths[len(lengths)/2]; m < 4 || m > 9 { // those cut at the start are long ones
		t.Errorf("the median session is %.1f h", m)
	}
	s, err := New(DefaultConfig(hosts))
	if err != nil {
		t.Fatal(err)
	}
	s.Replay(a)
	if _, err := s.Add(hosts); err != nil {
		t.Fatal(err)
	}
	s.StartAll(10 * vtime.Second)
	if ok, err := s.WarmUp(15 * vtime.Minute); !ok {
		t.Fatal("no ordinary day:", err)
	}
	s.ResetCensus()
	s.Play()
	least, ups := 1.0, s.Census().Running
	for range 3 * 60 { // one that comes waits for up to 2 s: at full minutes hardly any does
		if err := s.Run(vtime.Minute); err != nil {
			t.Fatal(err)
		}
		c := s.Census()
		least = min(least, float64(c.Attached)/float64(c.Running))
	}
	c := s.Census()
	t.Logf("%d of %d hosts were up, %d are, never under %.3f, %d supernodes lost, %d promotions", ups, hosts, c.Running, least, c.Lost, c.Promotions)
	if least < 0.97 || c.Lost == 0 || c.Waits.Incidents == 0 {
		t.Errorf("never under %.3f attached, %d supernodes lost, %d incidents", least, c.Lost, c.Waits.Incidents)
	}
}
