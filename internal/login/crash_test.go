package login_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/ada420b6/overlay/internal/login"
	"github.com/ada420b6/overlay/internal/login/storetest"
)

// crashDir tells a child process that it is to claim names in this directory until it
// is killed.
const crashDir = "OVERLAY_LOGIN_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		claimUntilKilled(dir)
	}
	os.Exit(m.Run())
}

// claimUntilKilled claims names from many goroutines and prints each when it was
// acknowledged.
func claimUntilKilled(dir string) {
	s, err := login.OpenEmbedded(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	const claimers = 16
	var done sync.WaitGroup
	for c := range claimers {
		done.Go(func() {
			for i := c; ; i += claimers {
				name := fmt.Sprintf("%d-%d", os.Getpid(), i)
				if _, err := s.Claim(context.Background(), name, storetest.Identity(i), storetest.Session(i), epoch); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Printf("%s %d\n", name, i) // one write to a pipe, so lines stay whole
			}
		})
	}
	done.Wait()
}

// A server is killed in the middle of claims, several times over on one directory, each
// time at another moment: what it has acknowledged is there afterwards.
func TestCrashKeepsWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acknowledged := map[string]int{}
	for _, lines := range []int{1, 10, 100, 317, 1000} {
		claimAndKill(t, dir, lines, acknowledged)
	}
	if len(acknowledged) < 1428 {
		t.Fatalf("only %d claims were acknowledged", len(acknowledged))
	}
	s := open(t, dir)
	for name, i := range acknowledged {
		a, err := s.Lookup(t.Context(), name)
		if err != nil || a.Identity != storetest.Identity(i) || a.Session != storetest.Session(i) {
			t.Fatalf("%s was acknowledged, and after the crash: %+v, %v", name, a, err)
		}
	}
}

// claimAndKill starts a server, kills it after so many acknowledged claims, and adds
// them, with those that were on their way, to acknowledged.
func claimAndKill(t *testing.T, dir string, lines int, acknowledged map[string]int) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), crashDir+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(out)
	for n := 1; in.Scan(); n++ {
		var name string
		var i int
		if _, err := fmt.Sscanf(in.Text(), "%s %d", &name, &i); err != nil {
			t.Fatalf("%q: %v", in.Text(), err)
		}
		acknowledged[name] = i
		if n == lines {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil || child.ProcessState.ExitCode() != -1 {
		t.Fatalf("the server was not killed: %v", err)
	}
}
