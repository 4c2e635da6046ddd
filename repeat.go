package overlay

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// How a run that failed is run again.

// seedVariable is the environment variable that takes the place of every simulation's seed.
const seedVariable = "OVERLAY_SEED"

// seedFrom is the seed that the environment asks for, else the program's own.
func seedFrom(own uint64) (uint64, error) {
	text, ok := os.LookupEnv(seedVariable)
	if !ok {
		return own, nil
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("overlay: %s is %q, a number of 0 to 2^64-1 is possible", seedVariable, text)
	}
	return seed, nil
}

// Repeat tells how to run this simulation again: within a test it is the command that does,
// else the seed. Every error of a rule that was broken ends with it; where a test's own
// condition fails, it may say so too:
//
//	t.Fatalf("%v\n%s", s.Census(), s.Repeat())
//
// The command sets OVERLAY_SEED, which takes the place of the seed of every simulation in a
// process, so that it also repeats what had drawn its seed.
func (s *Simulation) Repeat() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		if pkg, name := testIn(f.Function, f.File); name != "" {
			return fmt.Sprintf("%s=%d go test -run '^%s$' %s", seedVariable, s.seed, name, pkg)
		}
	}
	return fmt.Sprintf("%s=%d and the same program", seedVariable, s.seed)
}

// testIn returns the package and the name of the test that a function is, or is a part of;
// no name when it is none.
func testIn(function, file string) (pkg, name string) {
	if !strings.HasSuffix(file, "_test.go") {
		return "", ""
	}
	slash := strings.LastIndexByte(function, '/') + 1
	parts := strings.Split(function[slash:], ".") // package, test, perhaps func1
	if len(parts) < 2 {
		return "", ""
	}
	for _, kind := range []string{"Test", "Example", "Fuzz"} {
		if strings.HasPrefix(parts[1], kind) {
			pkg = strings.ReplaceAll(function[:slash]+parts[0], "%2e", ".") // as the linker writes a dot there
			return strings.TrimSuffix(pkg, "_test"), parts[1]
		}
	}
	return "", ""
}

// failed is the error of something that went wrong in the run, with how to see it again.
func (s *Simulation) failed(err error) error {
	return s.fail(fmt.Errorf("overlay: %w\n\tagain: %s", err, s.Repeat()))
}
