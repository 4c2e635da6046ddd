package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var update = flag.Bool("update", false, "write the golden files")

// collapse is a run that goes down and stays there, recover one that comes back.
func collapse() Run {
	r := Run{Name: "naive2007", LoginPatience: 30 * time.Second, LastFault: 8 * time.Minute, To999: -1, ToAll: -1}
	for s := range 41 {
		at := time.Duration(s) * 30 * time.Second
		x := Sample{At: at, Running: 20_000, Attached: 20_000, Lowest: 1, Supernodes: 35}
		if s > 0 {
			x.Running -= 40 * max(0, 16-s)
			x.Attached = x.Running - min(s, 16)*300
			x.Lost = min(s, 11)
			x.Supernodes -= x.Lost
			x.Logins, x.LoginsInTime = s*300, min(s*300, 1200)
			x.LoginWait = time.Duration(max(0, s-2)*25) * time.Second
		}
		x.Lowest = min(x.Share(), 1)
		r.Samples = append(r.Samples, x)
	}
	return r
}

func recovers() Run {
	r := Run{Name: "default", LastFault: 8 * time.Minute, To999: 0, ToAll: 1500 * time.Millisecond}
	for s := range 41 {
		at := time.Duration(s) * 30 * time.Second
		x := Sample{At: at, Running: 20_000, Attached: 20_000, Lowest: 1, Supernodes: 58}
		if s > 0 {
			x.Running -= 40 * max(0, 16-s)
			x.Attached = x.Running - max(0, 16-s)*5
			x.Lost, x.Promotions = min(s, 19), min(s/3, 13)
			x.Supernodes += x.Promotions - x.Lost
			x.Lowest, x.PeakOverload = 0.996, 0.43
		}
		r.Samples = append(r.Samples, x)
	}
	return r
}

func example() *Report {
	return &Report{
		Title: "Patch day", About: "30 % of 20000 machines reboot within 5m0s.",
		Runs: []Run{recovers(), collapse()},
		Table: []Row{
			{"attached at the end", []string{"100.0 %", "75.9 %"}},
			{"99.9 % attached after", []string{"0.0 s", "never"}},
		},
	}
}

// TestGolden compares all that is written with what was once looked at and found good.
func TestGolden(t *testing.T) {
	r := example()
	for name, write := range map[string]func(io.Writer) error{
		"terminal.txt": func(w io.Writer) error { return errors.Join(r.Figures(w), r.Chart(w), r.Story(w)) },
	} {
		var got bytes.Buffer
		if err := write(&got); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s differs from %s: look at it, and if it is good: go test ./internal/report -update\n%s", name, file, got.String())
		}
	}
}

// TestPage checks that the page needs nothing from elsewhere, and that nothing that it is
// given becomes more than text.
func TestPage(t *testing.T) {
	const evil = `</title></script><script>alert("1")</script>&'"<svg onload=x> http://evil.example`
	r := example()
	r.Title, r.About, r.Runs[0].Name = evil, evil, evil
	r.Runs[1].Samples[7].Broken = evil
	r.Table = append(r.Table, Row{evil, []string{evil, evil}})
	for name, r := range map[string]*Report{
		"evil": r, "usual": example(), "empty": {},
		"no samples": {Runs: []Run{{Name: "none", LastFault: -1, To999: -1, ToAll: -1}}},
		"one sample": {Runs: []Run{{Name: "one", Samples: []Sample{{Lowest: 1}}}}},
	} {
		var b bytes.Buffer
		if err := r.HTML(&b); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		text := b.String()
		if n := strings.Count(text, "<script"); n != 3 || strings.Count(text, "</script") != n {
			t.Errorf("%s: %d scripts begin, want the data, the library and ours", name, n)
		}
		for _, own := range []string{plotScript, plotStyle, pageScript} {
			if !strings.Contains(text, own) {
				t.Fatalf("%s: a part of the page is not in it as it is", name)
			}
			text = strings.Replace(text, own, "", 1)
		}
		data := text[strings.Index(text, `id="charts">`)+len(`id="charts">`):]
		var charts []chart
		data = data[:strings.Index(data, "</script>")]
		if err := json.Unmarshal([]byte(data), &charts); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		passive(t, name, strings.Replace(text, data, "", 1))
		if diff := cmp.Diff(r.charts(), charts, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: what is drawn is not what is there:\n%s", name, diff)
		}
		if strings.Count(text, `class="chart"`) != len(charts) {
			t.Errorf("%s: %d places for %d charts", name, strings.Count(text, `class="chart"`), len(charts))
		}
	}
}

// passive looks through a page without its scripts for what loads or runs anything.
func passive(t *testing.T, name, text string) {
	t.Helper()
	dec := xml.NewDecoder(strings.NewReader(text))
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		e, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		if regexp.MustCompile(`^(iframe|object|link|img|a|form|svg)$`).MatchString(e.Name.Local) {
			t.Errorf("%s: element %s", name, e.Name.Local)
		}
		for _, a := range e.Attr {
			if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "href" || a.Name.Local == "src" || strings.Contains(a.Value, "http") {
				t.Errorf("%s: attribute %s=%q", name, a.Name.Local, a.Value)
			}
		}
	}
}

// TestCharts looks for what a chart must show.
func TestCharts(t *testing.T) {
	r := example()
	r.Runs[1].Waits = []Wait{{time.Second, 1}, {time.Minute, 0.25}}
	for k := range r.Runs[1].Samples {
		s := &r.Runs[1].Samples[k]
		s.Offered, s.Accepted, s.Storm = uint64(300*k), uint64(60*k), 1.5
	}
	byTitle := map[string]chart{}
	for _, c := range r.charts() {
		byTitle[c.Title] = c
	}
	at := func(title string, k int) []line {
		for name, c := range byTitle {
			if strings.HasPrefix(name, title) {
				return c.Lines[k:]
			}
		}
		t.Fatalf("no chart %q", title)
		return nil
	}
	last := func(l line) [2]float64 { return l.Points[len(l.Points)-1] }
	if l := at("Share of the running", 1)[0]; last(l) != [2]float64{1200, 0.76} {
		t.Errorf("attached at the end: %v", last(l))
	}
	if l := at("Attaches", 2); last(l[0]) != [2]float64{1200, 2} || last(l[1]) != [2]float64{1200, 10} || l[0].Dashed || !l[1].Dashed {
		t.Errorf("60 of 300 attaches in 30 s are drawn as %v and %v", last(l[0]), last(l[1]))
	}
	if l := at("Storm", 1)[0]; last(l)[1] != 1.5 {
		t.Errorf("storm level: %v", last(l))
	}
	if l := at("Share of all waits", 1)[0]; len(l.Points) != 2 || last(l) != [2]float64{60, 0.25} {
		t.Errorf("waits: %v", l.Points)
	}
	if c := byTitle["Share of the running nodes that is attached"]; len(c.Marks) != 2 || c.Marks[0].At != 480 || c.Low > 0.7 || c.High != 1 {
		t.Errorf("%+v", c)
	}
}

// TestTimeline looks for what a reader must be told, in order of time.
func TestTimeline(t *testing.T) {
	broken := collapse()
	broken.Samples[20].Broken = "R1"
	broken.Samples = broken.Samples[:21]
	crash := recovers() // of a part of the machines at once and for good
	crash.LastFault, crash.To999 = 0, 30*time.Second
	crash.Samples = append(crash.Samples[:1:1], crash.Samples...)
	for k := range crash.Samples[1:] {
		s := &crash.Samples[k+1]
		s.Running, s.Lost = 19_990, 10
		s.Attached = min(s.Attached, s.Running)
	}
	dark := recovers()
	for k := range dark.Samples[1:] {
		s := &dark.Samples[k+1]
		s.Supernodes, s.Attached, s.Lowest, s.PeakOverload = 0, 0, 0, 3
	}
	cut := collapse()
	cut.Cut = true
	for _, tc := range []struct {
		run  Run
		want []string
	}{
		{cut, []string{"the last machine is up, of those until the interruption", "the rehearsal is interrupted: 76.0 % are attached, 24 serve. 4800 nodes wait"}},
		{collapse(), []string{"an ordinary day: 20000 of 20000", "first machines go down", "fewer than 95.0 %", "a log-in waits 0:50, longer than the 30 s",
			"fewer than 80.0 %", "the last machine is up", "the lowest point: 76.0 %", "it stays down, 12:00 after the last machine: 4800 nodes wait; of 12000 log-ins so far 1200 came in time"}},
		{recovers(), []string{"an ordinary day", "the first supernode goes down", "the tier grows", "the last machine is up", "99.9 % are attached", "all are attached", "the rehearsal ends: 100.0 %"}},
		{crash, []string{"0s the first machines go down", "0s the last machine goes down. 10 of 58 supernodes", "30s 99.9 % are attached"}},
		{broken, []string{"a rule of the protocol is broken"}},
		{dark, []string{"nodes find no supernode", "asked for more attaches than it can take"}},
	} {
		var text strings.Builder
		last := time.Duration(-1)
		for _, m := range tc.run.Timeline() {
			if m.At < last {
				t.Errorf("%s comes after %v", m.What, last)
			}
			last = m.At
			fmt.Fprintf(&text, "%v %s. %s\n", m.At, m.What, m.Why)
		}
		for _, want := range tc.want {
			if !strings.Contains(text.String(), want) {
				t.Errorf("%q is not in\n%s", want, text.String())
			}
		}
	}
	if m := (&Run{}).Timeline(); m != nil {
		t.Errorf("a run without samples tells %v", m)
	}
}

// TestNoDipIsLost draws a dip of one sample in ten thousand.
func TestNoDipIsLost(t *testing.T) {
	run := Run{Name: "dip", LastFault: -1}
	for s := range 10_000 {
		x := Sample{At: time.Duration(s) * time.Second, Running: 100, Attached: 100, Lowest: 1}
		if s == 5_001 {
			x.Attached = 10
		}
		run.Samples = append(run.Samples, x)
	}
	r := &Report{Runs: []Run{run}}
	points := r.charts()[0].Lines[0].Points
	if !slices.ContainsFunc(points, func(p [2]float64) bool { return p[1] == 0.1 }) {
		t.Error("the line has no dip")
	}
	if n := len(points); n > 2*columns+1 {
		t.Errorf("the line has %d points", n)
	}
	lowest := 1.0
	for _, share := range run.least(60, r.end()) {
		lowest = min(lowest, share)
	}
	if lowest != 0.1 {
		t.Errorf("the lowest column is %v", lowest)
	}
}
