package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
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
		"page.html":    r.HTML,
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

// TestPage checks that the page is well formed, needs nothing from elsewhere, and runs
// nothing, whatever it is given.
func TestPage(t *testing.T) {
	const evil = `</title><script>alert("1")</script>&'"<svg onload=x> http://evil.example`
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
		dec := xml.NewDecoder(bytes.NewReader(b.Bytes()))
		paths := 0
		for {
			tok, err := dec.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, b.String())
			}
			if e, ok := tok.(xml.StartElement); ok {
				if e.Name.Local == "path" {
					paths++
				}
				for _, a := range e.Attr {
					active := strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "href" || a.Name.Local == "src"
					if active || a.Name.Local != "xmlns" && strings.Contains(a.Value, "http") {
						t.Errorf("%s: attribute %s=%q", name, a.Name.Local, a.Value)
					}
				}
				if regexp.MustCompile(`^(script|iframe|object|link|img|a|form)$`).MatchString(e.Name.Local) {
					t.Errorf("%s: element %s", name, e.Name.Local)
				}
			}
		}
		if regexp.MustCompile(`@import|url\(`).MatchString(b.String()) {
			t.Errorf("%s: the style sheet loads something", name)
		}
		if name == "usual" && paths != 6 { // three charts of two runs
			t.Errorf("%d lines are drawn, want 6", paths)
		}
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
	for _, tc := range []struct {
		run  Run
		want []string
	}{
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
	c := r.chart("x", r.end(), 0, 1, Sample.Share, percent)
	if !strings.Contains(c.Lines[0].Path, " 180.0") {
		t.Error("the line has no dip")
	}
	if n := strings.Count(c.Lines[0].Path, "L"); n > 2*points {
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
