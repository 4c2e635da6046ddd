package overlay_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ada420b6/overlay"
)

// TestRehearsal checks what a Simulation tells of a disaster against itself.
func TestRehearsal(t *testing.T) {
	s, err := overlay.NewSimulation(3, overlay.WithLoss(0.03))
	if err != nil {
		t.Fatal(err)
	}
	s.Add(500)
	warmUp(t, s)
	s.ResetCensus()
	c := s.Census()
	took := c.Time
	if took <= time.Minute || c.Running != 500 || c.Attached != 500 {
		t.Errorf("after %v: %v", took, c)
	}
	if c.FirstFault != -1 || c.LastFault != -1 || c.TimeTo999 != -1 || c.TimeToAll != -1 || c.Bound != -1 || c.Promotions != 0 {
		t.Errorf("nothing has happened yet: %+v", c)
	}
	if _, ok := c.Ratio(); ok {
		t.Error("a ratio of nothing")
	}
	before := c.Supernodes
	s.RebootSupernodes(0.5, time.Minute, time.Minute)
	if err := s.Run(6 * time.Minute); err != nil {
		t.Fatal(err)
	}
	c = s.Census()
	if want := (before + 1) / 2; c.SupernodesLost != want {
		t.Errorf("%d of %d supernodes lost, want %d", c.SupernodesLost, before, want)
	}
	fault := c.LastFault - c.FirstFault
	if c.FirstFault < took || fault < 30*time.Second || fault > 150*time.Second {
		t.Errorf("faults from %v to %v", c.FirstFault, c.LastFault)
	}
	if c.TimeTo999 < 0 || c.TimeToAll < c.TimeTo999 || c.Bound <= 0 || c.MinAttached >= 1 {
		t.Errorf("back after %v and %v, bound %v, minimum %v", c.TimeTo999, c.TimeToAll, c.Bound, c.MinAttached)
	}
	ratio, ok := c.Ratio()
	if want := float64(fault+c.TimeTo999) / float64(fault+c.Bound); !ok || ratio < want*0.999 || ratio > want*1.001 {
		t.Errorf("ratio %v, want %v", ratio, want)
	}
	if c.WaitP50 > c.WaitP99 || c.WaitP99 > c.WaitP999 || c.WaitP999 > c.WaitMax+c.WaitMax/30+time.Millisecond || c.WaitP999 == 0 {
		t.Errorf("waits %v %v %v %v", c.WaitP50, c.WaitP99, c.WaitP999, c.WaitMax)
	}
	if c.AttemptsMean <= 0 || float64(c.AttemptsP999) < c.AttemptsMean || c.PeakOverload <= 0 || c.Logins != 0 {
		t.Errorf("tries %v and %v, overload %v, log-ins %d", c.AttemptsMean, c.AttemptsP999, c.PeakOverload, c.Logins)
	}
}

// TestOldLogins checks that what a policy of 2007 waits for is seen.
func TestOldLogins(t *testing.T) {
	s, err := overlay.NewSimulation(1, overlay.WithHealing(overlay.Naive2007()))
	if err != nil {
		t.Fatal(err)
	}
	s.Add(400)
	warmUp(t, s)
	if c := s.Census(); c.Logins != 0 {
		t.Errorf("%d log-ins on an ordinary day", c.Logins)
	}
	s.ResetCensus()
	s.Reboot(0.5, time.Minute, time.Minute)
	if err := s.Run(20 * time.Minute); err != nil {
		t.Fatal(err)
	}
	c := s.Census()
	if c.Logins < 100 || 2*c.LoginsInTime > c.Logins || c.LoginWait < time.Minute || c.TimeTo999 != -1 || c.WaitP99 < 10*time.Minute {
		t.Errorf("%d log-ins, %d in time, the next waits %v; 99.9 %% after %v, p99 of the waits %v", c.Logins, c.LoginsInTime, c.LoginWait, c.TimeTo999, c.WaitP99)
	}
}

// TestQuietHour starts less than all, and switches the rest on.
func TestQuietHour(t *testing.T) {
	s, err := overlay.NewSimulation(1)
	if err != nil {
		t.Fatal(err)
	}
	s.Add(100)
	s.Online(0.3, 0)
	warmUp(t, s)
	if c := s.Census(); c.Running != 30 {
		t.Errorf("%d run, want 30", c.Running)
	}
	s.Online(1, time.Minute)
	if err := s.Run(2 * time.Minute); err != nil {
		t.Fatal(err)
	}
	if c := s.Census(); c.Running != 100 || c.Attached != 100 {
		t.Errorf("all are on: %v", c)
	}
}

// TestAvailability replays a trace from the end of the warm-up on: copies of a host are up
// to 6 s ahead of it.
func TestAvailability(t *testing.T) {
	file := filepath.Join(t.TempDir(), "t.avt")
	if err := os.WriteFile(file, []byte("a\t1\t0 90\nb\t1\t35 90\nc\t1\t0 60\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := overlay.NewSimulation(1, overlay.WithAvailability(file))
	if err != nil {
		t.Fatal(err)
	}
	s.Add(60)
	warmUp(t, s)
	for _, want := range []int{40, 60, 40, 40, 0} {
		if err := s.Run(20 * time.Second); err != nil {
			t.Fatal(err)
		}
		if c := s.Census(); c.Running != want {
			t.Errorf("%v: %d run, want %d", c.Time, c.Running, want)
		}
	}
}

// TestRehearsalErrors gives faults what they can't do; the next Run says so.
func TestRehearsalErrors(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.avt")
	if err := os.WriteFile(bad, []byte("a\t1\t0 90\nb\t1\t9 8\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, strike := range map[string]func(*overlay.Simulation){
		"Online: a share of 2":             func(s *overlay.Simulation) { s.Online(2, 0) },
		"Online: over -1s":                 func(s *overlay.Simulation) { s.Online(1, -time.Second) },
		"RebootSupernodes: a share of -1":  func(s *overlay.Simulation) { s.RebootSupernodes(-1, 0, 0) },
		"RebootSupernodes: over -1s":       func(s *overlay.Simulation) { s.RebootSupernodes(1, -time.Second, 0) },
		"Reboot: over 0s and down for 999": func(s *overlay.Simulation) { s.Reboot(1, 0, 999*time.Hour) },
	} {
		s, err := overlay.NewSimulation(1)
		if err != nil {
			t.Fatal(err)
		}
		s.Add(10)
		strike(s)
		if err := s.Run(0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := overlay.NewSimulation(1, overlay.WithAvailability(bad+"?")); err == nil || !strings.Contains(err.Error(), "WithAvailability") {
		t.Errorf("no file: %v", err)
	}
	if _, err := overlay.NewSimulation(1, overlay.WithAvailability(bad)); err == nil || !strings.Contains(err.Error(), "bad.avt:2: end of session 1") {
		t.Errorf("a bad trace: %v", err)
	}
	if _, err := overlay.NewSimulation(1, overlay.WithLatencies(bad)); err == nil || !strings.Contains(err.Error(), "bad.avt:1: column 1") {
		t.Errorf("no matrix: %v", err)
	}
	s, err := overlay.NewSimulation(1, overlay.WithReachable(0))
	if err != nil {
		t.Fatal(err)
	}
	s.Add(100)
	if ok, err := s.WarmUp(time.Second); ok || err != nil {
		t.Errorf("an ordinary day after a second: %v", err)
	}
}

// warmUp brings s to an ordinary day, in pieces.
func warmUp(t *testing.T, s *overlay.Simulation) {
	t.Helper()
	for range 100 {
		if ok, err := s.WarmUp(10 * time.Second); err != nil {
			t.Fatal(err)
		} else if ok {
			return
		}
	}
	t.Fatal("no ordinary day:", s.Census())
}

// TestPartitionOfASimulation: both sides of a cut go on, and when it is mended and the
// login servers are back all are attached as one network.
func TestPartitionOfASimulation(t *testing.T) {
	s, err := overlay.NewSimulation(3)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Add(60); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RunUntilAttached(2 * time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(time.Minute); err != nil {
		t.Fatal(err)
	}
	s.StopLogin()
	s.ResetCensus()
	s.Partition(0.5)
	if err := s.Run(5 * time.Minute); err != nil {
		t.Fatal(err)
	}
	if c := s.Census(); c.MinAttached == 1 {
		t.Error("nobody lost an attachment: nothing was cut")
	}
	s.Mend()
	s.StartLogin()
	if err := s.Run(time.Minute); err != nil {
		t.Fatal(err)
	}
	if c := s.Census(); c.Running != 60 || c.Attached != 60 || c.Supernodes < 5 {
		t.Errorf("a minute after it was mended: %v", c)
	}
}
