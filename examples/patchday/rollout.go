package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ada420b6/overlay"
)

// How a patch comes to the machines: in waves, ring by ring, or by the time of day.

// patchHour is when machines are patched that nobody uses, and zonesBegin when -zones
// begins: two hours before it is so late in the first zone, in UTC.
const (
	patchHour  = 3 * time.Hour
	zonesBegin = 90 * time.Minute
)

// rings is the value of -rings: shares of all machines.
type rings []float64

func (r *rings) String() string {
	words := make([]string, len(*r))
	for i, share := range *r {
		words[i] = strconv.FormatFloat(share, 'g', -1, 64)
	}
	return strings.Join(words, ",")
}

// maxRings is more than anybody has the patience for.
const maxRings = 100

func (r *rings) Set(text string) error {
	*r = nil
	for _, word := range strings.Split(text, ",") {
		share, err := strconv.ParseFloat(word, 64)
		if err != nil || !(share > 0 && share <= 1) {
			return fmt.Errorf("%q is no share of the machines, more than 0 and at most 1", word)
		}
		if *r = append(*r, share); len(*r) > maxRings {
			return fmt.Errorf("more than %d rings", maxRings)
		}
	}
	return nil
}

// patch lets the machines reboot, until the last of them goes down.
func (r *run) patch(ctx context.Context) error {
	c := r.config
	switch {
	case c.zones:
		if c.fraction > 0 {
			r.sim.RebootByZone(c.fraction, patchHour, c.over, c.down)
		}
		return r.watch(ctx, 24*time.Hour, coarse)
	case len(c.rings) > 0:
		return r.rollOut(ctx)
	}
	strike := r.sim.Reboot
	if c.superOnly {
		strike = r.sim.RebootSupernodes
	}
	for w := range c.waves {
		if c.fraction > 0 {
			strike(c.fraction, c.over, c.down)
			r.sample() // with -over 0 they are down by now
		}
		if w < c.waves-1 {
			if err := r.watch(ctx, c.every, fine); err != nil {
				return err
			}
		}
	}
	return nil
}

// rollOut is the patch ring by ring, up to one that does harm.
func (r *run) rollOut(ctx context.Context) error {
	c := r.config
	for k, ring := range c.rings {
		first := len(r.samples)
		r.patched += r.sim.RebootRing(ring, c.over, c.down)
		r.rings++
		r.set(fmt.Sprintf("patches ring %d", k+1))
		r.sample()
		if k == len(c.rings)-1 {
			return nil
		}
		if err := r.watch(ctx, c.every, fine); err != nil {
			return err
		}
		for _, s := range r.samples[first:] {
			if s.Share() < c.stop {
				return nil // the others are spared
			}
		}
	}
	return nil
}

// rollsOut says how the patch comes, for the first sentence.
func (c *config) rollsOut(who string) string {
	each := fmt.Sprintf("within %v, down for about %v", c.over, c.down)
	if c.down == 0 {
		each = fmt.Sprintf("within %v, for good", c.over)
	}
	if c.zones {
		return fmt.Sprintf("At 3 in the morning %.0f %% of %s reboot in each time zone, %s", 100*c.fraction, who, each)
	}
	var shares []string
	for _, ring := range c.rings {
		shares = append(shares, fmt.Sprintf("%g %%", 100*ring))
	}
	what := fmt.Sprintf("A patch in rings of %s of %s, one every %v, each %s", strings.Join(shares, ", "), who, c.every, each)
	if c.stop > 0 {
		what += fmt.Sprintf("; it ends with a ring in which under %g %% are attached", 100*c.stop)
	}
	return what
}

// clocks are the options that the time of day needs.
func (c *config) clocks() []overlay.Option {
	if !c.zones {
		return nil
	}
	return []overlay.Option{overlay.WithZones(zonesBegin)}
}
