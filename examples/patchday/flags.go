package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/ada420b6/overlay"
)

// config is what the command line says, checked.
type config struct {
	nodes      int
	policy     string
	fraction   float64
	over, down time.Duration
	loss       float64
	online     float64
	night      float64
	daily      bool // -night is given
	superOnly  bool
	loginDead  bool
	waves      int
	every      time.Duration
	zones      bool
	rings      rings
	stop       float64
	rtt, trace string
	seed       uint64
	duration   time.Duration
	json       bool
	html       string
}

// Limits of the flags. The nodes are those that a simulation can have, 2^24; a wave is a
// draw of as many machines, and ten thousand waves are enough for a fortnight of them.
const (
	maxNodes    = 1 << 24
	maxWaves    = 10_000
	maxDown     = 24 * time.Hour
	maxDuration = 365 * 24 * time.Hour
)

// parse reads the command line. Its error says in one line which flag is wrong and why.
func parse(args []string, usage io.Writer) (config, error) {
	var c config
	fs := flag.NewFlagSet("patchday", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // an error is one line; the flags are for who asks for them
	fs.IntVar(&c.nodes, "nodes", 200_000, "how many machines there are")
	fs.StringVar(&c.policy, "policy", "both", "`both`, default or naive2007")
	fs.Float64Var(&c.fraction, "fraction", 0.3, "share of the running machines that reboots, 0 to 1; 0 by default with -trace")
	fs.DurationVar(&c.over, "over", 5*time.Minute, "the time within which they go down")
	fs.DurationVar(&c.down, "down", 2*time.Minute, "how long one is down, 0.5 to 1.5 times this; 0 is for good")
	fs.Float64Var(&c.loss, "loss", 0.03, "share of the messages that is lost, 0 to 0.9")
	fs.Float64Var(&c.online, "online", 1, "share of the machines whose user is there, 0 to 1: 1 is the busiest hour")
	fs.Float64Var(&c.night, "night", 1, "users come and go by the hour, in three time zones: the share that is there at 4 in the night; -online is that of 4 in the afternoon")
	fs.BoolVar(&c.superOnly, "supernodes-only", false, "only supernodes reboot")
	fs.BoolVar(&c.loginDead, "login-dead", false, "the login servers are down from the first reboot on")
	fs.IntVar(&c.waves, "waves", 1, "how often it happens")
	fs.DurationVar(&c.every, "every", 2*time.Minute, "from the start of a wave, or ring, to the start of the next; 1h by default with -rings")
	fs.BoolVar(&c.zones, "zones", false, "it happens at 3 in the morning in each of three time zones: around the world in a day")
	fs.Var(&c.rings, "rings", "roll the patch out in rings of these `shares` of all machines, like 0.01,0.1,0.3,1, in place of -fraction")
	fs.Float64Var(&c.stop, "stop", 0.99, "with -rings: end with a ring in which a smaller share was attached, 0 to 1; 0 never ends")
	fs.StringVar(&c.rtt, "rtt", "", "place the machines by the round trips in this `file`: a square matrix of milliseconds, separated by tabs")
	fs.StringVar(&c.trace, "trace", "", "let machines come and go as the hosts in this `file.avt` did: id TAB n TAB start end start end ...")
	fs.Uint64Var(&c.seed, "seed", 1, "seed of everything that is drawn: equal seeds, equal runs")
	fs.DurationVar(&c.duration, "duration", time.Hour, "how long to watch after the last machine is up; with -trace or -night, after the disaster")
	fs.BoolVar(&c.json, "json", false, "the last line of stdout is an array with an object for each policy")
	fs.StringVar(&c.html, "html", "", "write the report to this `file` too")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fs.SetOutput(usage)
		fs.PrintDefaults()
		return c, flag.ErrHelp
	case err != nil:
		return c, err
	case fs.NArg() > 0:
		return c, fmt.Errorf("argument %q is not a flag", fs.Arg(0))
	}
	given := make(map[string]bool)
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if c.trace != "" && !given["fraction"] {
		c.fraction = 0
	}
	if len(c.rings) > 0 && !given["every"] {
		c.every = time.Hour
	}
	c.daily = given["night"]
	return c, c.check(given)
}

func (c *config) check(given map[string]bool) error {
	share := func(name string, v, most float64) error {
		if !(v >= 0 && v <= most) {
			return fmt.Errorf("-%s is %g, 0 to %g is possible", name, v, most)
		}
		return nil
	}
	span := func(name string, v, least, most time.Duration) error {
		if v < least || v > most {
			return fmt.Errorf("-%s is %v, %v to %v is possible", name, v, least, most)
		}
		return nil
	}
	switch {
	case c.nodes < 1 || c.nodes > maxNodes:
		return fmt.Errorf("-nodes is %d, 1 to %d are possible", c.nodes, maxNodes)
	case c.waves < 1 || c.waves > maxWaves:
		return fmt.Errorf("-waves is %d, 1 to %d are possible", c.waves, maxWaves)
	case len(policies[c.policy]) == 0:
		return fmt.Errorf("-policy is %q, both, default and naive2007 are possible", c.policy)
	case c.trace != "" && given["online"]:
		return errors.New("-online means nothing with -trace: the trace says who is there")
	case c.trace != "" && c.daily:
		return errors.New("-night means nothing with -trace: the trace says who is there")
	case c.daily && !(c.night <= c.online):
		return fmt.Errorf("-night is %g, 0 to -online, %g, is possible", c.night, c.online)
	case c.zones && (len(c.rings) > 0 || given["waves"] || c.superOnly):
		return errors.New("-zones means nothing with -rings, -waves or -supernodes-only")
	case len(c.rings) > 0 && (given["fraction"] || given["waves"] || c.superOnly):
		return errors.New("-rings means nothing with -fraction, -waves or -supernodes-only")
	case given["stop"] && len(c.rings) == 0:
		return errors.New("-stop means nothing without -rings")
	case c.online*float64(c.nodes) < 0.5:
		return fmt.Errorf("-online is %g: nobody is there", c.online)
	}
	for _, err := range []error{
		share("fraction", c.fraction, 1), share("loss", c.loss, 0.9), share("online", c.online, 1),
		share("night", c.night, 1), share("stop", c.stop, 1),
		span("over", c.over, 0, maxDown), span("down", c.down, 0, maxDown),
		span("every", c.every, time.Second, maxDown), span("duration", c.duration, time.Second, maxDuration),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// policies are the values of -policy.
var policies = map[string][]policy{
	"both":      {healing, naive},
	"default":   {healing},
	"naive2007": {naive},
}

// policy is a healing policy by its name.
type policy struct {
	name string
	make func() overlay.HealingPolicy
}

var (
	healing = policy{"default", overlay.DefaultHealing}
	naive   = policy{"naive2007", overlay.Naive2007}
)

// openPage makes sure before an hour is simulated that the page can be written; nil when
// none is wanted. What the file holds stays until there is something to put in its place.
func openPage(name string) (*os.File, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, fmt.Errorf("-html: %w", err)
	}
	return f, nil
}
