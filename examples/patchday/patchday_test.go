package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// start runs the program and returns its exit code and what it wrote.
func start(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = patchday(t.Context(), args, &out, &err)
	return code, out.String(), err.String()
}

// keys are those of an object of -json, in order: programs read them.
var keys = []string{
	"policy", "nodes", "seed", "supernodes_before", "supernodes_lost", "min_attached", "attached_end",
	"time_to_99_9_s", "time_to_all_s", "bound_s", "ratio_p999", "wait_p50_s", "wait_p99_s", "wait_p999_s",
	"attempts_mean", "attempts_p999", "peak_overload", "logins", "promotions", "demotions", "rings", "machines_patched", "interrupted", "violations",
	"trace_hash", "virtual_s", "wall_s", "events", "events_per_s", "peak_rss_bytes",
}

// objects reads the last line of stdout, and checks its keys.
func objects(t *testing.T, stdout string) []map[string]any {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	last := lines[len(lines)-1]
	var all []map[string]any
	if err := json.Unmarshal([]byte(last), &all); err != nil {
		t.Fatalf("%v: %s", err, last)
	}
	at := 0
	for _, k := range keys {
		i := strings.Index(last[at:], `"`+k+`":`)
		if i < 0 {
			t.Errorf("%s is missing or out of order in %s", k, last)
			continue
		}
		at += i
	}
	for _, o := range all {
		if len(o) != len(keys) {
			t.Errorf("%d keys, want %d: %v", len(o), len(keys), o)
		}
	}
	return all
}

// TestAugust2007 is the whole program, small: what fails must fail, what heals must heal.
func TestAugust2007(t *testing.T) {
	if testing.Short() {
		t.Skip("two networks of 2000 nodes for half an hour")
	}
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, bytes.Repeat([]byte("old"), 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := start(t, "-nodes", "2000", "-duration", "10m", "-json", "-html", file)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	all := objects(t, stdout)
	if len(all) != 2 || all[0]["policy"] != "default" || all[1]["policy"] != "naive2007" {
		t.Fatalf("%v", all)
	}
	good, bad := all[0], all[1]
	num := func(o map[string]any, key string) float64 {
		v, ok := o[key].(float64)
		if !ok {
			t.Errorf("%v: %s is %v, a number is expected", o["policy"], key, o[key])
		}
		return v
	}
	if num(good, "min_attached") < 0.98 || num(good, "attached_end") < 0.999 || num(good, "ratio_p999") > 1.5 || num(good, "logins") != 0 || num(good, "time_to_99_9_s") > 10 {
		t.Errorf("the policy that heals: %v", good)
	}
	if num(bad, "attached_end") > 0.8 || bad["time_to_99_9_s"] != nil || bad["time_to_all_s"] != nil || bad["ratio_p999"] != nil || num(bad, "logins") < 500 {
		t.Errorf("the policy of 2007: %v", bad)
	}
	for _, o := range all {
		if num(o, "nodes") != 2000 || num(o, "violations") != 0 || num(o, "events") == 0 || num(o, "supernodes_before") < 5 || num(o, "bound_s") <= 0 {
			t.Errorf("%v", o)
		}
		if v := num(o, "virtual_s"); v < 900 || v > 3600 {
			t.Errorf("%v s simulated", v)
		}
	}
	for _, want := range []string{"lowest share attached", "100 %", "█", "the last machine is up", "it stays down"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is not in\n%s", want, stdout)
		}
	}
	if !strings.Contains(stderr, "attached") {
		t.Errorf("no progress: %q", stderr)
	}
	page, err := os.ReadFile(file)
	if err != nil || !bytes.HasPrefix(page, []byte("<!DOCTYPE html>")) || bytes.Contains(page, []byte("oldold")) || !bytes.HasSuffix(page, []byte("</html>\n")) {
		t.Errorf("the page: %v, %d bytes", err, len(page))
	}
}

// TestSameSeed runs twice on one seed and once on another.
func TestSameSeed(t *testing.T) {
	hash := func(seed string) string {
		code, stdout, stderr := start(t, "-nodes", "100", "-policy", "default", "-duration", "1m", "-seed", seed, "-json")
		if code != 0 {
			t.Fatal(stderr)
		}
		return objects(t, stdout)[0]["trace_hash"].(string)
	}
	a, b, c := hash("7"), hash("7"), hash("8")
	if a != b || a == c {
		t.Errorf("hashes %s and %s of one seed, %s of another", a, b, c)
	}
}

// TestDisasters lets every flag do something, and sees that it does.
func TestDisasters(t *testing.T) {
	trace := filepath.Join(t.TempDir(), "hosts.avt")
	if err := os.WriteFile(trace, []byte("a\t1\t0 600\nb\t2\t0 60 120 600\nc\t1\t30 600\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	matrix := filepath.Join(t.TempDir(), "rtt.tsv")
	if err := os.WriteFile(matrix, []byte("0\t50\n50\t0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := []string{"-nodes", "150", "-policy", "default", "-duration", "1m", "-over", "10s", "-down", "20s", "-json"}
	for _, tc := range []struct {
		name string
		args []string
		says string
		ok   func(o map[string]any) bool
	}{
		{"supernodes only", []string{"-supernodes-only", "-fraction", "0.5"}, "50 % of the supernodes of 150 machines",
			func(o map[string]any) bool {
				return 2*o["supernodes_lost"].(float64) >= o["supernodes_before"].(float64)
			}},
		{"waves", []string{"-waves", "3", "-every", "30s"}, "3 times, every 30s", func(o map[string]any) bool { return o["virtual_s"].(float64) > 150 }},
		{"login dead", []string{"-login-dead", "-fraction", "1"}, "the login servers are dead", func(o map[string]any) bool { return o["attached_end"].(float64) == 1 }},
		{"login dead, 2007", []string{"-login-dead", "-fraction", "0.5", "-policy", "naive2007"}, "", func(o map[string]any) bool { return o["attached_end"].(float64) < 0.8 }},
		{"a quiet hour", []string{"-online", "0.3"}, "150 machines of which 30 % are on", func(o map[string]any) bool { return o["attached_end"].(float64) == 1 }},
		{"for good", []string{"-down", "0s"}, "go down within 10s, for good", func(o map[string]any) bool { return o["supernodes_lost"].(float64) > 0 }},
		{"nothing", []string{"-fraction", "0"}, "Nothing happens", func(o map[string]any) bool { return o["bound_s"] == nil && o["ratio_p999"] == nil }},
		{"a trace", []string{"-trace", trace}, "they come and go as in " + trace, func(o map[string]any) bool { return o["bound_s"] != nil }},
		{"rings", []string{"-rings", "0.02,0.1,1", "-every", "1m", "-stop", "0.8"}, "A patch in rings of 2 %, 10 %, 100 % of 150 machines, one every 1m0s",
			func(o map[string]any) bool {
				return o["rings"].(float64) == 3 && o["machines_patched"].(float64) == 150
			}},
		{"rings that do harm", []string{"-rings", "0.02,0.9,1", "-every", "1m", "-over", "0s", "-stop", "0.95"}, "ends with a ring in which under 95 % are attached",
			func(o map[string]any) bool {
				return o["rings"].(float64) == 2 && o["machines_patched"].(float64) == 138
			}},
		{"rings, whatever they do", []string{"-rings", "0.02,0.9,1", "-every", "1m", "-over", "0s", "-stop", "0"}, "rings patched, machines in them",
			func(o map[string]any) bool { return o["rings"].(float64) == 3 }},
		{"zones", []string{"-zones", "-fraction", "0.5", "-nodes", "12"}, "At 3 in the morning 50 % of 12 machines reboot in each time zone",
			func(o map[string]any) bool {
				return o["virtual_s"].(float64) > 86_400 && o["supernodes_lost"].(float64) > 0 && o["attached_end"].(float64) == 1
			}},
		{"a night", []string{"-night", "0.2", "-online", "0.8", "-fraction", "0", "-duration", "3h", "-nodes", "60"}, "60 machines of which 20 % are on by night and 80 % by day",
			func(o map[string]any) bool { return o["bound_s"] != nil && o["virtual_s"].(float64) > 3*3600 }},
		{"round trips", []string{"-rtt", matrix, "-loss", "0"}, "0 % of the messages", func(o map[string]any) bool { return o["bound_s"].(float64) == 0.0505 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := start(t, slices.Concat(base, tc.args)...)
			if code != 0 {
				t.Fatalf("exit code %d: %s", code, stderr)
			}
			if o := objects(t, stdout)[0]; !tc.ok(o) || !strings.Contains(stdout, tc.says) {
				t.Errorf("%s", stdout)
			}
		})
	}
}

// TestBadFlags: one line that says what and why, and exit code 2.
func TestBadFlags(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad")
	if err := os.WriteFile(bad, []byte("a\t1\t9 8\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"-nodes", "0"}, "-nodes is 0"},
		{[]string{"-nodes", "many"}, "-nodes"},
		{[]string{"-policy", "none"}, `-policy is "none", both, default and naive2007 are possible`},
		{[]string{"-fraction", "1.1"}, "-fraction is 1.1, 0 to 1 is possible"},
		{[]string{"-fraction", "NaN"}, "-fraction is NaN"},
		{[]string{"-online", "0"}, "nobody is there"},
		{[]string{"-over", "-1s"}, "-over is -1s"},
		{[]string{"-down", "25h"}, "-down is 25h0m0s"},
		{[]string{"-loss", "1"}, "-loss is 1, 0 to 0.9"},
		{[]string{"-waves", "0"}, "-waves is 0"},
		{[]string{"-every", "0s"}, "-every is 0s"},
		{[]string{"-duration", "0s"}, "-duration is 0s"},
		{[]string{"-seed", "-1"}, "-seed"},
		{[]string{"-rtt", filepath.Join(dir, "none")}, "no such file"},
		{[]string{"-rtt", bad}, "bad:1: column 1"},
		{[]string{"-trace", filepath.Join(dir, "none")}, "no such file"},
		{[]string{"-trace", bad}, "bad:1: end of session 1: 8 s is before 9 s"},
		{[]string{"-trace", dir}, "is a directory"},
		{[]string{"-trace", bad, "-online", "0.5"}, "-online means nothing with -trace"},
		{[]string{"-trace", bad, "-night", "0.5"}, "-night means nothing with -trace"},
		{[]string{"-night", "0.5", "-online", "0.4"}, "-night is 0.5, 0 to -online, 0.4, is possible"},
		{[]string{"-night", "-1"}, "-night is -1, 0 to 1"},
		{[]string{"-rings", "0.1,2"}, `"2" is no share of the machines`},
		{[]string{"-rings", ""}, `"" is no share`},
		{[]string{"-rings", strings.Repeat("0.1,", 100) + "1"}, "more than 100 rings"},
		{[]string{"-rings", "1", "-fraction", "0.5"}, "-rings means nothing with -fraction"},
		{[]string{"-rings", "1", "-waves", "2"}, "-rings means nothing with -fraction, -waves"},
		{[]string{"-rings", "1", "-zones"}, "-zones means nothing with -rings"},
		{[]string{"-zones", "-supernodes-only"}, "-zones means nothing with"},
		{[]string{"-stop", "0.5"}, "-stop means nothing without -rings"},
		{[]string{"-rings", "1", "-stop", "1.5"}, "-stop is 1.5"},
		{[]string{"-html", filepath.Join(dir, "none", "x.html")}, "-html: open"},
		{[]string{"-html", dir}, "-html: open"},
		{[]string{"-what"}, "-what"},
		{[]string{"now"}, `argument "now" is not a flag`},
	} {
		code, stdout, stderr := start(t, tc.args...)
		if code != exitUsage || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "patchday: ") || !strings.Contains(stderr, tc.want) {
			t.Errorf("%v: code %d, %q, %q, want %s", tc.args, code, stdout, stderr, tc.want)
		}
	}
	if code, stdout, _ := start(t, "-h"); code != 0 || !strings.Contains(stdout, "-fraction") {
		t.Errorf("-h: code %d, %q", code, stdout)
	}
}

// TestInterrupt ends a rehearsal before it has begun, and in the middle: then it tells what
// it has.
func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, err bytes.Buffer
	if code := patchday(ctx, []string{"-nodes", "50"}, &out, &err); code != exitInterrupted || !strings.Contains(err.String(), "before anything happened") {
		t.Errorf("code %d: %s", code, err.String())
	}

	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	lineEvery = 20 * time.Millisecond
	defer func() { lineEvery = 5 * time.Second }()
	watched := &trigger{word: "watched", then: cancel}
	code := patchday(ctx, []string{"-nodes", "50", "-policy", "default", "-over", "10s", "-down", "10s", "-duration", "8760h", "-json"}, &out, watched)
	if code != exitInterrupted || !strings.Contains(watched.text.String(), "interrupted: ") {
		t.Errorf("code %d: %s", code, watched.text.String())
	}
	if o := objects(t, out.String()); len(o) != 1 || o[0]["virtual_s"].(float64) < 20 || o[0]["supernodes_before"].(float64) == 0 {
		t.Errorf("%v", o)
	}
	for _, want := range []string{"lowest share attached", "an ordinary day", "Interrupted: ", "the rehearsal is interrupted: ", `"interrupted":true`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	// Of what would have come, nothing is known.
	cut := table([]result{{Interrupted: true}, {}})
	for _, row := range cut {
		if row.What == "all attached" && (row.Values[0] != "not yet" || row.Values[1] != "never") {
			t.Errorf("%q of an interrupted and a whole run: %q", row.What, row.Values)
		}
	}
}

// trigger is a writer that does something once it has read a word.
type trigger struct {
	text bytes.Buffer
	word string
	then func()
}

func (w *trigger) Write(b []byte) (int, error) {
	w.text.Write(b)
	if bytes.Contains(b, []byte(w.word)) {
		w.then()
	}
	return len(b), nil
}

// TestTooLittleMemory: what would not fit is refused before it begins, and what is said to
// fit does.
func TestTooLittleMemory(t *testing.T) {
	c := config{nodes: 10_000_000, policy: "both"}
	err := enough(c, 2<<30)
	var fit int
	if err == nil {
		t.Fatal("20 million nodes fit into 2 GiB")
	}
	if _, bad := fmt.Sscanf(err.Error()[strings.LastIndex(err.Error(), "-nodes"):], "-nodes %d would fit", &fit); bad != nil || fit < 50_000 || fit > 1_000_000 {
		t.Fatalf("%d: %v", fit, err)
	}
	c.nodes = fit
	if err := enough(c, 2<<30); err != nil {
		t.Errorf("what was said to fit: %v", err)
	}
	c.nodes = fit + 1
	if enough(c, 2<<30) == nil {
		t.Errorf("more than %d fit as well", fit)
	}
	if code, _, stderr := start(t, "-nodes", "16000000"); code == 0 && !strings.Contains(stderr, "would fit") {
		t.Skipf("this machine has room for 32 million nodes")
	} else if code != exitUsage || !strings.Contains(stderr, "GiB are free") {
		t.Errorf("code %d: %s", code, stderr)
	}
}

// TestViolation shows what is said of a run in which a rule was broken.
func TestViolation(t *testing.T) {
	c, err := parse([]string{"-nodes", "20", "-policy", "default", "-duration", "1s"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	runs, err := prepare(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := rehearse(t.Context(), runs, newProgress(io.Discard)); err != nil {
		t.Fatal(err)
	}
	runs[0].broken = errors.New("R1 violated")
	var out bytes.Buffer
	if err := tell(c, runs, &out, nil); err != nil {
		t.Fatal(err)
	}
	if n := runs[0].result().Violations; n != 1 {
		t.Errorf("%d violations", n)
	}
	if !strings.Contains(out.String(), "rules broken") {
		t.Errorf("%s", out.String())
	}
}
