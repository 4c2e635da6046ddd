// Package report tells what happened in a rehearsal, and why: from samples over time it
// makes a timeline in words, a chart for a terminal, and a page that needs nothing but
// itself.
//
// It knows neither the simulator nor the protocol: a Sample is all that it is told, so
// that whoever can count can have a report.
package report

import (
	"fmt"
	"time"
)

// Report is one rehearsal of one or several policies.
type Report struct {
	Title string
	About string // what was done, in a sentence
	Runs  []Run
	Table []Row
}

// Run is what happened under one policy.
type Run struct {
	Name    string
	Samples []Sample // in order of time

	// LoginPatience is how long a node that must log in waits for the answer; 0 when
	// nobody must.
	LoginPatience time.Duration
	// LastFault is when the last machine went down or came up, and To999 and ToAll how
	// long after it 99.9 % and all were attached; -1 for never.
	LastFault, To999, ToAll time.Duration
	// Cut says that it was ended before its time, so that nothing is known of what would have
	// come.
	Cut bool
	// Waits is how long nodes were without an attachment, the shortest first.
	Waits []Wait
}

// Wait says which share of all waits for an attachment took longer.
type Wait struct {
	Wait   time.Duration
	Longer float64
}

// Row is one figure of all runs.
type Row struct {
	What   string
	Values []string // in the order of the runs
}

// Sample is one moment of a run. What is counted, counts from the first sample.
type Sample struct {
	At                   time.Duration // since the disaster began
	Running, Attached    int           // nodes
	Lowest               float64       // smallest share attached so far
	Supernodes, Lost     int
	Promotions           int
	Logins, LoginsInTime int
	LoginWait            time.Duration // of a log-in that begins now
	PeakOverload         float64
	Offered, Accepted    uint64  // attaches that came to a supernode, and that were taken in
	Storm                float64 // storm level that supernodes tell, on average
	Broken               string  // the rule that was broken here, if one was
}

// Share is the share of the running nodes that is attached, 1 when none runs: nobody is
// missing.
func (s Sample) Share() float64 {
	if s.Running == 0 {
		return 1
	}
	return float64(s.Attached) / float64(s.Running)
}

// least returns the smallest share in each of n equal spans of time up to end; a span
// without a sample has that of the one before.
func (r *Run) least(n int, end time.Duration) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = -1
	}
	for _, s := range r.Samples {
		i := 0
		if end > 0 {
			i = min(int(float64(s.At)/float64(end)*float64(n)), n-1)
		}
		if i >= 0 && (out[i] < 0 || s.Share() < out[i]) {
			out[i] = s.Share()
		}
	}
	last := 1.0
	for i := range out {
		if out[i] < 0 {
			out[i] = last
		}
		last = out[i]
	}
	return out
}

// end is when the last run ends.
func (r *Report) end() (end time.Duration) {
	for _, run := range r.Runs {
		if n := len(run.Samples); n > 0 {
			end = max(end, run.Samples[n-1].At)
		}
	}
	return end
}

// floor is where the axis of shares begins: below everything that is to be seen, at a
// multiple of 10 %, and so low that a small dip looks small.
func (r *Report) floor() float64 {
	lowest := 0.9
	for _, run := range r.Runs {
		for _, s := range run.Samples {
			lowest = min(lowest, s.Share())
		}
	}
	return float64(max(0, int(lowest*10-0.5))) / 10
}

// clock is a time as a clock says it: 8:05, or 1:08:05.
func clock(d time.Duration) string {
	s := int(d.Round(time.Second) / time.Second)
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// percent rounds towards what is worse, so that 100 % is all.
func percent(share float64) string {
	return fmt.Sprintf("%.1f %%", float64(int(share*1000+1e-9))/10)
}
