package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/ada420b6/overlay/internal/report"
)

// result is what -json prints for a policy. Times are in seconds from the moment the
// last machine is up; one that was never reached, or that nothing can be said of, is null.
type result struct {
	Policy           string   `json:"policy"`
	Nodes            int      `json:"nodes"`
	Seed             uint64   `json:"seed"`
	SupernodesBefore int      `json:"supernodes_before"`
	SupernodesLost   int      `json:"supernodes_lost"`
	MinAttached      float64  `json:"min_attached"`
	AttachedEnd      float64  `json:"attached_end"`
	TimeTo999S       *float64 `json:"time_to_99_9_s"`
	TimeToAllS       *float64 `json:"time_to_all_s"`
	BoundS           *float64 `json:"bound_s"`
	RatioP999        *float64 `json:"ratio_p999"` // both from the first machine that went down
	WaitP50S         float64  `json:"wait_p50_s"`
	WaitP99S         float64  `json:"wait_p99_s"`
	WaitP999S        float64  `json:"wait_p999_s"`
	AttemptsMean     float64  `json:"attempts_mean"`
	AttemptsP999     int      `json:"attempts_p999"`
	PeakOverload     float64  `json:"peak_overload"`
	Logins           uint64   `json:"logins"`
	Promotions       uint64   `json:"promotions"`
	Demotions        uint64   `json:"demotions"`
	Rings            int      `json:"rings"`            // of -rings, that were patched
	Patched          int      `json:"machines_patched"` // in them
	Interrupted      bool     `json:"interrupted"`
	Violations       int      `json:"violations"`
	TraceHash        string   `json:"trace_hash"`
	VirtualS         float64  `json:"virtual_s"` // of the ordinary day too, like events and wall_s
	WallS            float64  `json:"wall_s"`
	Events           uint64   `json:"events"`
	EventsPerS       float64  `json:"events_per_s"`
	PeakRSSBytes     *int64   `json:"peak_rss_bytes"` // of the whole process
}

func (r *run) result() result {
	c := &r.end
	out := result{
		Policy: r.name, Nodes: r.config.nodes, Seed: r.config.seed,
		SupernodesBefore: r.before.Supernodes, SupernodesLost: c.SupernodesLost,
		MinAttached: c.MinAttached, AttachedEnd: share(c.Attached, c.Running),
		TimeTo999S: seconds(c.TimeTo999), TimeToAllS: seconds(c.TimeToAll), BoundS: seconds(c.Bound),
		WaitP50S: c.WaitP50.Seconds(), WaitP99S: c.WaitP99.Seconds(), WaitP999S: c.WaitP999.Seconds(),
		AttemptsMean: c.AttemptsMean, AttemptsP999: c.AttemptsP999, PeakOverload: c.PeakOverload,
		Logins: c.Logins, Promotions: c.Promotions, Demotions: c.Demotions,
		Rings: r.rings, Patched: r.patched, Interrupted: r.cut,
		TraceHash: fmt.Sprintf("%016x", r.sim.TraceHash()),
		VirtualS:  c.Time.Seconds(), WallS: r.wall.Seconds(), Events: r.events + r.end.Events,
	}
	if ratio, ok := c.Ratio(); ok {
		out.RatioP999 = &ratio
	}
	if r.broken != nil {
		out.Violations = 1 // the first ends the simulation
	}
	if out.WallS > 0 {
		out.EventsPerS = float64(out.Events) / out.WallS
	}
	if rss, err := peakRSS(); err == nil {
		out.PeakRSSBytes = &rss
	}
	return out
}

func share(part, all int) float64 {
	if all == 0 {
		return 1
	}
	return float64(part) / float64(all)
}

// seconds is null for what never was.
func seconds(d time.Duration) *float64 {
	if d < 0 {
		return nil
	}
	s := d.Seconds()
	return &s
}

// tell writes the table, the chart and the story, the page, and the line of JSON.
func tell(c config, runs []*run, stdout io.Writer, page *os.File) error {
	rep := report.Report{Title: "Patch day", About: c.about()}
	var results []result
	for _, r := range runs {
		rep.Runs = append(rep.Runs, r.story())
		results = append(results, r.result())
	}
	rep.Table = table(results)
	if slices.ContainsFunc(runs, func(r *run) bool { return r.cut }) {
		rep.About += " Interrupted: what is told had happened by then."
	}
	fmt.Fprintf(stdout, "%s\n\n", rep.About)
	err := rep.Figures(stdout)
	fmt.Fprintln(stdout, "\nshare of the running nodes that is attached; lowest in each column")
	err = errors.Join(err, rep.Chart(stdout))
	fmt.Fprintln(stdout)
	err = errors.Join(err, rep.Story(stdout))
	if page != nil {
		err = errors.Join(err, page.Truncate(0), rep.HTML(page))
	}
	if c.json {
		line, bad := json.Marshal(results)
		err = errors.Join(err, bad)
		fmt.Fprintln(stdout, string(line))
	}
	return err
}

// about says in a sentence what was done.
func (c *config) about() string {
	who := fmt.Sprintf("%d machines", c.nodes)
	if c.online < 1 {
		who = fmt.Sprintf("%d machines of which %.0f %% are on", c.nodes, 100*c.online)
	}
	if c.daily {
		who = fmt.Sprintf("%d machines of which %.0f %% are on by night and %.0f %% by day", c.nodes, 100*c.night, 100*c.online)
	}
	what := "Nothing happens to " + who
	kind := ""
	if c.superOnly {
		kind = "the supernodes of "
	}
	switch {
	case len(c.rings) > 0 || c.zones && c.fraction > 0:
		what = c.rollsOut(who)
	case c.fraction > 0:
		what = fmt.Sprintf("%.0f %% of %s%s reboot within %v and are down for about %v", 100*c.fraction, kind, who, c.over, c.down)
		if c.down == 0 {
			what = fmt.Sprintf("%.0f %% of %s%s go down within %v, for good", 100*c.fraction, kind, who, c.over)
		}
		if c.waves > 1 {
			what += fmt.Sprintf(", %d times, every %v", c.waves, c.every)
		}
	}
	if c.trace != "" {
		what += "; they come and go as in " + c.trace
	}
	if c.loginDead {
		what += "; the login servers are dead"
	}
	return what + fmt.Sprintf(". %.0f %% of the messages are lost. Seed %d.", 100*c.loss, c.seed)
}

// table is what a reader wants to compare.
func table(results []result) (rows []report.Row) {
	row := func(what string, value func(r *result) string) {
		x := report.Row{What: what}
		for i := range results {
			x.Values = append(x.Values, value(&results[i]))
		}
		rows = append(rows, x)
	}
	number := func(what, format string, value func(r *result) any) {
		row(what, func(r *result) string { return fmt.Sprintf(format, value(r)) })
	}
	maybe := func(what, format string, value func(r *result) *float64) {
		row(what, func(r *result) string {
			if v := value(r); v != nil {
				return fmt.Sprintf(format, *v)
			}
			if r.Interrupted {
				return "not yet"
			}
			return "never"
		})
	}
	row("supernodes before, of these lost", func(r *result) string { return fmt.Sprintf("%d, %d", r.SupernodesBefore, r.SupernodesLost) })
	number("lowest share attached", "%.2f %%", func(r *result) any { return 100 * r.MinAttached })
	number("share attached at the end", "%.2f %%", func(r *result) any { return 100 * r.AttachedEnd })
	maybe("99.9 % attached, after the last machine", "%.1f s", func(r *result) *float64 { return r.TimeTo999S })
	maybe("all attached", "%.1f s", func(r *result) *float64 { return r.TimeToAllS })
	maybe("the soonest that is possible", "%.1f s", func(r *result) *float64 { return r.BoundS })
	maybe("99.9 %, to what is possible, from the first machine", "%.2f", func(r *result) *float64 { return r.RatioP999 })
	row("wait for an attachment: p50, p99, p99.9", func(r *result) string {
		return fmt.Sprintf("%.1f, %.1f, %.1f s", r.WaitP50S, r.WaitP99S, r.WaitP999S)
	})
	row("attempts for that: mean, p99.9", func(r *result) string { return fmt.Sprintf("%.1f, %d", r.AttemptsMean, r.AttemptsP999) })
	number("highest attach load of a supernode, in its rate", "%.2f", func(r *result) any { return r.PeakOverload })
	number("log-ins", "%d", func(r *result) any { return r.Logins })
	if slices.ContainsFunc(results, func(r result) bool { return r.Rings > 0 }) {
		row("rings patched, machines in them", func(r *result) string { return fmt.Sprintf("%d, %d", r.Rings, r.Patched) })
	}
	row("promotions, demotions", func(r *result) string { return fmt.Sprintf("%d, %d", r.Promotions, r.Demotions) })
	number("rules broken", "%d", func(r *result) any { return r.Violations })
	number("trace", "%s", func(r *result) any { return r.TraceHash })
	row("simulated, in", func(r *result) string {
		return fmt.Sprintf("%v, %.1f s", (time.Duration(r.VirtualS) * time.Second), r.WallS)
	})
	number("million events a second", "%.2f", func(r *result) any { return r.EventsPerS / 1e6 })
	return rows
}
