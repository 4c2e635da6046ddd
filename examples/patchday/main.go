// Patchday rehearses August 2007 in virtual time:
//
//	go run ./examples/patchday
//
// At a busy hour 30 % of 200 000 machines reboot within five minutes, supernodes among
// them, and 3 % of all messages are lost. It happens twice at once, on the same seed: to a
// network whose nodes do as those of 2007 did, and to one with the policy that heals. How
// far it is stands on standard error; then come a table, a chart of the share that is
// attached, and what happened and why. -html writes all of that as a page.
//
// A network begins with an ordinary day: all machines run and are attached, and the tier
// of supernodes has formed by itself. Times count from the moment the last machine is up
// again, and -duration says how long is watched after it.
//
//	-online 0.3        a quiet hour: the same network, 30 % of its users
//	-fraction 0.1      a usual patch day
//	-supernodes-only   only supernodes reboot
//	-login-dead        the login servers are gone
//	-waves 10          again and again, one wave every two minutes
//	-rings 0.01,0.1,0.3,1
//	                   a patch that is rolled out with care, an hour between two rings, and
//	                   ends with one that does harm (-stop 0.99)
//	-zones             at 3 in the morning, in each time zone: around the world in a day
//	-night 0.5         users come and go by the hour: how many are there at 4 in the night
//	-trace hosts.avt   the comings and goings of real hosts instead of a patch day
//	-rtt matrix.tsv    measured round trips
//
// With -trace or -night users come and go all the time: then -duration counts from the end of
// the disaster, and the times of healing from the last machine that happened to come or go.
//
// Interrupted (Ctrl-C) it tells what had happened by then, and ends with 130. What would not
// fit into the memory of the machine does not begin.
//
// The exit code is 0 however the policies fare, 1 when a rule of the protocol was broken,
// 2 when a flag is wrong or a file can't be read.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

// Exit codes.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as of a program that SIGINT has ended
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code := patchday(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// patchday is the whole program; it returns the exit code.
func patchday(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fail := func(code int, err error) int {
		fmt.Fprintln(stderr, "patchday:", err)
		return code
	}
	c, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return fail(exitUsage, err)
	}
	runs, err := prepare(c)
	if err != nil {
		return fail(exitUsage, err)
	}
	page, err := openPage(c.html)
	if err != nil {
		return fail(exitUsage, err)
	}
	defer page.Close()
	err = rehearse(ctx, runs, newProgress(stderr))
	cut := ctx.Err() != nil
	if runs = slices.DeleteFunc(runs, func(r *run) bool { return len(r.samples) == 0 }); cut && len(runs) == 0 {
		return fail(exitInterrupted, errors.New("interrupted before anything happened"))
	}
	if err != nil && !cut {
		return fail(exitFailed, err)
	}
	if err := tell(c, runs, stdout, page); err != nil {
		return fail(exitFailed, err)
	}
	for _, r := range runs {
		if r.broken != nil {
			return fail(exitFailed, fmt.Errorf("%s: %w", r.name, r.broken))
		}
	}
	if cut {
		return fail(exitInterrupted, errors.New("interrupted: what is told is what had happened by then"))
	}
	return 0
}
