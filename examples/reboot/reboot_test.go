package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary be the processes of the story as well.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == verbHost || os.Args[1] == verbLogin) {
		os.Exit(command(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// told passes on to the test's log what the story tells.
type told struct{ t *testing.T }

func (w told) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}

// TestReboot is the story with a tenth of the nodes and a short absence. The whole of it
// takes a minute: `.ci/run reboot`.
func TestReboot(t *testing.T) {
	if os.Getenv("OVERLAY_LONG") == "" {
		t.Skip("five processes are started and killed, which takes 20 s: with OVERLAY_LONG, and in full in .ci/run reboot")
	}
	c := config{processes: 5, each: 8, kill: 3, down: time.Second}
	if err := c.check(nil); err != nil {
		t.Fatal(err)
	}
	r, err := run(t.Context(), c, newTeller(told{t}))
	if err != nil {
		t.Fatal(err)
	}
	if r.Killed != 24 || r.SupernodesKilled*2 < r.Supernodes || r.SupernodesKilled == 0 {
		t.Errorf("%d nodes and %d of %d supernodes were killed, want 24 and most", r.Killed, r.SupernodesKilled, r.Supernodes)
	}
	if r.CalledMax <= 0 || r.PacketsMax <= 0 {
		t.Errorf("the last call was answered after %.2f s and %d packets were the most, which can't be", r.CalledMax, r.PacketsMax)
	}
}

// TestMissed: every aim can be missed.
func TestMissed(t *testing.T) {
	good := result{Nodes: 4, Attached: 4, AttachedMax: aimAttached, CalledMax: aimAttached, PacketsMax: aimPackets, PeakMiB: []float64{1, aimMiB}}
	if err := good.missed(); err != nil {
		t.Errorf("all aims are met: %v", err)
	}
	for want, break_ := range map[string]func(*result){
		"3 of 4 nodes":         func(r *result) { r.Attached = 3 },
		"attached 15.1 s":      func(r *result) { r.AttachedMax += 0.1 },
		"31 packets":           func(r *result) { r.PacketsMax++ },
		"process took 201 MiB": func(r *result) { r.PeakMiB = []float64{1, aimMiB + 1} },
	} {
		bad := good
		break_(&bad)
		if err := bad.missed(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("missed says %v, want %q", err, want)
		}
	}
}

func TestFlags(t *testing.T) {
	for _, c := range []config{
		{processes: 1, each: 50, kill: 1}, {processes: 17, each: 50, kill: 5}, {processes: 8, each: 1, kill: 5},
		{processes: 8, each: 101, kill: 5}, {processes: 8, each: 50, kill: 0}, {processes: 8, each: 50, kill: 8},
		{processes: 8, each: 50, kill: 5, down: -1}, {processes: 8, each: 50, kill: 5, down: 2 * time.Minute},
	} {
		if c.check(nil) == nil {
			t.Errorf("%+v is taken", c)
		}
	}
	if (config{processes: 8, each: 50, kill: 5}).check([]string{"x"}) == nil {
		t.Error("an argument that is no flag is taken")
	}
}

func TestQuantiles(t *testing.T) {
	var x []float64
	for i := range 200 {
		x = append(x, float64(200-i))
	}
	if p50, p99, last := quantiles(x); p50 != 100 || p99 != 198 || last != 200 {
		t.Errorf("of 1 to 200: median %v, 99th percentile %v, last %v", p50, p99, last)
	}
}
