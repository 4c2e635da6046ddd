package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/ada420b6/overlay"
	"github.com/ada420b6/overlay/internal/report"
)

// How finely a rehearsal is looked at: every second while it is about seconds, then as
// often as a chart can show.
const (
	fine       = time.Second
	fineAfter  = 10 * time.Minute // after the last reboot has ended
	coarse     = 10 * time.Second
	maxSamples = 3000 // coarse ones: more are not to be told apart on any chart
	warmUp     = time.Hour
)

// done is the stage of a run that has come to its end.
const done = "is done"

// run is one policy's rehearsal.
type run struct {
	config config
	name   string
	policy overlay.HealingPolicy
	sim    *overlay.Simulation

	mu    sync.Mutex // of what the progress line shows
	stage string
	now   overlay.Census
	until time.Duration // simulated time of the end, 0 when it depends on what happens
	start time.Duration // and in simulated time
	// events is how many there were before it began.
	events uint64

	end     overlay.Census
	before  overlay.Census
	samples []report.Sample
	rings   int   // of the patch, that were patched
	patched int   // machines in them
	broken  error // the rule that was broken
	cut     bool  // it was interrupted
	wall    time.Duration
}

// prepare makes the simulations, and reads the files that the flags name.
func prepare(c config) (runs []*run, err error) {
	if err := fits(c); err != nil {
		return nil, err
	}
	opts := []overlay.Option{overlay.WithLoss(c.loss), overlay.WithMaxNodes(c.nodes)}
	if c.rtt != "" {
		opts = append(opts, overlay.WithLatencies(c.rtt))
	}
	if c.trace != "" {
		opts = append(opts, overlay.WithAvailability(c.trace))
	}
	opts = append(opts, c.clocks()...)
	for _, p := range policies[c.policy] {
		r := &run{config: c, name: p.name, policy: p.make(), stage: "begins"}
		if r.sim, err = overlay.NewSimulation(c.seed, append(opts, overlay.WithHealing(r.policy))...); err != nil {
			return nil, err
		}
		runs = append(runs, r)
	}
	return runs, nil
}

// rehearse lets all runs happen at once and tells how far they are. The error is that of
// a network that did not even get to an ordinary day, or of ctx.
func rehearse(ctx context.Context, runs []*run, tell *progress) error {
	errs := make([]error, len(runs))
	var wg sync.WaitGroup
	for i, r := range runs {
		wg.Go(func() { errs[i] = r.rehearse(ctx) }) // ends with the rehearsal or ctx
	}
	all := make(chan struct{})
	go func() { wg.Wait(); close(all) }() // ends with them
	tell.until(all, runs)
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("%s: %w", runs[i].name, err)
		}
	}
	return nil
}

// rehearse is the story of one policy: an ordinary day, the disaster, and what becomes
// of it.
func (r *run) rehearse(ctx context.Context) error {
	begin := time.Now()
	defer func() { r.wall = time.Since(begin) }()
	if err := r.ordinary(ctx); err != nil {
		return err
	}
	err := r.disaster(ctx)
	r.cut = errors.Is(err, context.Canceled)
	if !r.cut {
		r.broken = err
	}
	r.look()
	r.end = r.now
	if r.broken != nil && len(r.samples) > 0 {
		r.samples[len(r.samples)-1].Broken = err.Error()
	}
	r.set(done)
	return nil
}

// ordinary brings the network to an ordinary day.
func (r *run) ordinary(ctx context.Context) error {
	r.set("warms up")
	if r.config.daily {
		r.sim.Daily(r.config.night, r.config.online)
	} else {
		r.sim.Online(r.config.online, 0)
	}
	r.sim.Add(r.config.nodes)
	for ordinary := false; !ordinary; r.look() {
		switch c := &r.now; {
		case ctx.Err() != nil:
			return ctx.Err()
		case c.Time >= warmUp:
			return fmt.Errorf("no ordinary day after %v: %d of %d nodes are attached, to %d supernodes", warmUp, c.Attached, c.Running, c.Supernodes)
		}
		var err error
		if ordinary, err = r.sim.WarmUp(fine); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.before, r.start, r.events = r.now, r.now.Time, r.now.Events
	r.now.Events = 0
	r.sim.ResetCensus()
	return ctx.Err()
}

// disaster lets it happen, and watches.
func (r *run) disaster(ctx context.Context) error {
	c := r.config
	if c.loginDead {
		r.sim.StopLogin()
	}
	r.set("has its patch day")
	if c.trace == "" && !c.daily && !c.zones && len(c.rings) == 0 {
		r.ends(time.Duration(c.waves-1)*c.every + c.over + c.down*3/2 + c.duration)
	}
	r.sample()
	if c.trace != "" {
		r.set("replays the trace")
	}
	if err := r.patch(ctx); err != nil {
		return err
	}
	if c.trace == "" { // until the last machine is up, 1.5 times down after the last reboot
		if err := r.watch(ctx, c.over+c.down*3/2, fine); err != nil {
			return err
		}
		r.set("is watched")
	}
	rest := c.duration
	if last := r.now.LastFault; last >= 0 && c.trace == "" && !c.daily { // else there is always one
		rest = max(0, last+c.duration-r.now.Time)
	}
	first := min(rest, fineAfter)
	if err := r.watch(ctx, first, fine); err != nil {
		return err
	}
	return r.watch(ctx, rest-first, max(coarse, (rest-first)/maxSamples))
}

// watch lets d pass and takes a sample in each step.
func (r *run) watch(ctx context.Context, d, step time.Duration) error {
	for d > 0 {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		now := min(d, step)
		err := r.sim.Run(now)
		r.sample()
		if err != nil {
			return err
		}
		d -= now
	}
	return nil
}

// look counts, and lets the progress line know.
func (r *run) look() {
	c := r.sim.Census()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = c
}

func (r *run) set(stage string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stage = stage
}

// ends notes that the rehearsal ends after d.
func (r *run) ends(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.until = r.start + d
}

// sample adds the present moment to the story.
func (r *run) sample() {
	r.look()
	c := &r.now
	r.samples = append(r.samples, report.Sample{
		At: c.Time - r.start, Running: c.Running, Attached: c.Attached, Lowest: c.MinAttached,
		Supernodes: c.Supernodes, Lost: c.SupernodesLost, Promotions: int(c.Promotions),
		Logins: int(c.Logins), LoginsInTime: int(c.LoginsInTime), LoginWait: c.LoginWait, PeakOverload: c.PeakOverload,
		Offered: c.AttachesOffered, Accepted: c.AttachesAccepted, Storm: c.StormMean,
	})
}

// story is the run as the report wants it.
func (r *run) story() report.Run {
	s := report.Run{Name: r.name, Samples: r.samples, LastFault: -1, To999: r.end.TimeTo999, ToAll: r.end.TimeToAll, Cut: r.cut}
	if r.end.LastFault >= 0 {
		s.LastFault = r.end.LastFault - r.start
	}
	if r.policy.LoginFirst {
		s.LoginPatience = r.policy.LoginPatience
	}
	for k := range waitPoints + 1 { // denser towards the longest waits: they are what people feel
		longer := math.Pow(1000, -float64(k)/waitPoints)
		s.Waits = append(s.Waits, report.Wait{Wait: r.sim.WaitQuantile(1 - longer), Longer: longer})
	}
	return s
}

// waitPoints is how many steps the distribution of waits is drawn in, down to 1 in 1000.
const waitPoints = 60
