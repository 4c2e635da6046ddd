package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// progress tells how far the runs are: one line that is overwritten on a terminal, else
// a line now and then.
type progress struct {
	out   io.Writer
	tty   bool
	every time.Duration
	last  map[*run]pace
}

// pace is how far a run was at a moment, and how fast it had come there.
type pace struct {
	at     time.Time
	events uint64
	time   time.Duration // simulated
	text   string
}

// lineEvery is how often a line is written where none can be overwritten.
var lineEvery = 5 * time.Second

func newProgress(out io.Writer) *progress {
	p := &progress{out: out, every: lineEvery, last: make(map[*run]pace)}
	if f, ok := out.(*os.File); ok {
		fi, err := f.Stat()
		p.tty = err == nil && fi.Mode()&os.ModeCharDevice != 0
	}
	if p.tty {
		p.every = 200 * time.Millisecond
	}
	return p
}

// until tells until done is closed.
func (p *progress) until(done <-chan struct{}, runs []*run) {
	begin := time.Now()
	tick := time.NewTicker(p.every)
	defer tick.Stop()
	for {
		p.say(begin, runs)
		select {
		case <-tick.C:
		case <-done:
			p.say(begin, runs)
			if p.tty {
				fmt.Fprintln(p.out)
			}
			return
		}
	}
}

func (p *progress) say(begin time.Time, runs []*run) {
	var parts []string
	for _, r := range runs {
		parts = append(parts, r.progress()+p.pace(r))
	}
	line := fmt.Sprintf("%4.0f s  %s", time.Since(begin).Seconds(), strings.Join(parts, "  |  "))
	if p.tty {
		fmt.Fprintf(p.out, "\r%s\x1b[K", line)
	} else {
		fmt.Fprintln(p.out, line)
	}
}

// paceOver is over what time a pace is told: shorter ones jump.
const paceOver = 5 * time.Second

// pace is how many events a run does in a second, and about how long it will go on at the
// pace of the last seconds: a storm is slow, and the hour after it fast.
func (p *progress) pace(r *run) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, now := p.last[r], pace{at: time.Now(), events: r.events + r.now.Events, time: r.now.Time}
	wall := now.at.Sub(last.at)
	switch {
	case r.stage == done:
		return ""
	case wall < paceOver && !last.at.IsZero():
		return last.text
	case !last.at.IsZero() && now.events > last.events:
		now.text = fmt.Sprintf(", %.1f M events/s", float64(now.events-last.events)/1e6/wall.Seconds())
		if came := now.time - last.time; r.until > 0 && came > 0 {
			now.text += fmt.Sprintf(", about %.0f s left", max(0, (r.until-now.time).Seconds()/came.Seconds()*wall.Seconds()))
		}
	}
	p.last[r] = now
	return now.text
}

// progress is the state of a run in a few words.
func (r *run) progress() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now.Running == 0 {
		return r.name + " " + r.stage
	}
	share := float64(r.now.Attached) / float64(r.now.Running)
	return fmt.Sprintf("%s %s: %v, %.1f %% attached, %d serve", r.name, r.stage, r.now.Time.Round(time.Second), 100*share, r.now.Supernodes)
}
