package overlay_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ada420b6/overlay"
)

// impatient is a run that fails: nobody is attached within a second.
func impatient(t *testing.T, seed uint64) (*overlay.Simulation, error) {
	t.Helper()
	s, err := overlay.NewSimulation(seed)
	if err != nil {
		t.Fatal(err)
	}
	s.Add(20)
	if err := s.Run(2 * time.Second); err != nil {
		t.Fatal(err)
	}
	_, err = s.RunUntilAttached(time.Second)
	return s, err
}

// TestRepeat: an error tells the one command that shows it again, from the test itself and
// from one within it, and OVERLAY_SEED does what the command counts on.
func TestRepeat(t *testing.T) {
	const command = "OVERLAY_SEED=7 go test -run '^TestRepeat$' github.com/ada420b6/overlay"
	s, err := impatient(t, 7)
	if err == nil || !strings.HasPrefix(err.Error(), "overlay: R1 violated at t=") || !strings.HasSuffix(err.Error(), "(seed 7)\n\tagain: "+command) {
		t.Errorf("%v", err)
	}
	if again := s.Run(time.Second); again != err {
		t.Errorf("it went on: %v", again)
	}
	t.Run("within", func(t *testing.T) {
		if got := s.Repeat(); got != command {
			t.Error(got)
		}
	})
	outside := make(chan string)
	go func() { outside <- s.Repeat() }() // ends when it is read
	if got := <-outside; got != command { // the function is this test's still
		t.Error(got)
	}
	t.Setenv("OVERLAY_SEED", "7")
	other, again := impatient(t, 1)
	if again == nil || again.Error() != err.Error() || other.TraceHash() != s.TraceHash() {
		t.Errorf("%v, want %v", again, err)
	}
	t.Setenv("OVERLAY_SEED", "seven")
	if _, err := overlay.NewSimulation(1); err == nil || !strings.Contains(err.Error(), `OVERLAY_SEED is "seven"`) {
		t.Error(err)
	}
}
