package overlay_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ada420b6/overlay"
)

// inLondon is a simulation whose machines all have UTC, from begin on.
func inLondon(t *testing.T, nodes int, begin time.Duration) *overlay.Simulation {
	t.Helper()
	s, err := overlay.NewSimulation(1, overlay.WithZones(begin, overlay.Zone{Share: 1}))
	if err != nil {
		t.Fatal(err)
	}
	s.Add(nodes)
	return s
}

// TestDaily begins in the morning with some, and has more at noon; and it changes its mind.
func TestDaily(t *testing.T) {
	s := inLondon(t, 100, 6*time.Hour)
	s.Daily(0.1, 0.9)
	warmUp(t, s)
	first := s.Census().Running
	if first < 10 || first > 35 { // 17 %
		t.Errorf("%d are on at six", first)
	}
	if err := s.Run(4 * time.Hour); err != nil {
		t.Fatal(err)
	}
	ten := s.Census()
	if ten.Running < 40 || ten.Running > 70 || ten.SupernodesLost > 0 { // half
		t.Errorf("at ten: %v, %d supernodes lost", ten, ten.SupernodesLost)
	}
	s.Daily(1, 1)
	if err := s.Run(15 * time.Minute); err != nil {
		t.Fatal(err)
	}
	if c := s.Census(); c.Running != 100 {
		t.Errorf("all are always on: %v", c)
	}
}

// TestRebootByZone waits for three o'clock.
func TestRebootByZone(t *testing.T) {
	s := inLondon(t, 60, 2*time.Hour+40*time.Minute)
	warmUp(t, s)
	s.RebootByZone(0.5, 3*time.Hour, time.Second, 5*time.Minute)
	for _, at := range []struct{ minute, running int }{{19, 60}, {21, 30}, {30, 60}} {
		if err := s.Run(time.Duration(at.minute)*time.Minute - s.Census().Time); err != nil {
			t.Fatal(err)
		}
		if c := s.Census(); c.Running != at.running {
			t.Errorf("minute %d: %d run, want %d", at.minute, c.Running, at.running)
		}
	}
}

// TestRebootRing rolls a patch out, and another one.
func TestRebootRing(t *testing.T) {
	s := inLondon(t, 100, 0)
	warmUp(t, s)
	for round := range 2 {
		for _, ring := range []struct {
			share float64
			taken int
		}{{0.01, 1}, {0.1, 10}, {0.3, 30}, {1, 59}} {
			if n := s.RebootRing(ring.share, 0, time.Minute); n != ring.taken {
				t.Errorf("round %d: %d machines, want %d", round, n, ring.taken)
			}
			if c := s.Census(); c.Running != 100-ring.taken {
				t.Errorf("round %d: %d run, want %d", round, c.Running, 100-ring.taken)
			}
			if err := s.Run(3 * time.Minute); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestDaysErrors gives what there can't be.
func TestDaysErrors(t *testing.T) {
	trace := filepath.Join(t.TempDir(), "t.avt")
	if err := os.WriteFile(trace, []byte("a\t1\t0 90\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, opt := range map[string]overlay.Option{
		"WithZones: it begins at 24h":       overlay.WithZones(24 * time.Hour),
		"WithZones: it begins at -1ns":      overlay.WithZones(-1),
		"WithZones: 15h0m0s ahead of UTC":   overlay.WithZones(0, overlay.Zone{UTC: 15 * time.Hour, Share: 1}),
		"WithZones: a share of NaN":         overlay.WithZones(0, overlay.Zone{Share: math.NaN()}),
		"WithZones: no machine is in any":   overlay.WithZones(0, overlay.Zone{}),
		"WithZones: a share of -1, 0 to 1e": overlay.WithZones(0, overlay.Zone{Share: -1}),
	} {
		if _, err := overlay.NewSimulation(1, opt); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	for want, strike := range map[string]func(*overlay.Simulation){
		"Daily: 0.5 to 0.4 of":              func(s *overlay.Simulation) { s.Daily(0.5, 0.4) },
		"Daily: 0 to NaN of":                func(s *overlay.Simulation) { s.Daily(0, math.NaN()) },
		"Daily: Online says":                func(s *overlay.Simulation) { s.Online(0.5, 0); s.Daily(0, 1) },
		"Online: Daily says":                func(s *overlay.Simulation) { s.Daily(0, 1); s.Online(0.5, 0) },
		"RebootByZone: at 24h0m0s":          func(s *overlay.Simulation) { s.RebootByZone(1, 24*time.Hour, 0, 0) },
		"RebootByZone: a share of 2":        func(s *overlay.Simulation) { s.RebootByZone(2, 0, 0, 0) },
		"RebootByZone: over -1s":            func(s *overlay.Simulation) { s.RebootByZone(1, 0, -time.Second, 0) },
		"RebootRing: a share of -1":         func(s *overlay.Simulation) { s.RebootRing(-1, 0, 0) },
		"RebootRing: over 0s and down for ": func(s *overlay.Simulation) { s.RebootRing(1, 0, -1) },
	} {
		s := inLondon(t, 10, 0)
		strike(s)
		if err := s.Run(0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	s, err := overlay.NewSimulation(1, overlay.WithAvailability(trace))
	if err != nil {
		t.Fatal(err)
	}
	s.Daily(0, 1)
	s.Add(10)
	if err := s.Run(0); err == nil || !strings.Contains(err.Error(), "WithAvailability says") {
		t.Error(err)
	}
}
