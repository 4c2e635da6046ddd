package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
	"time"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{"clock": clock, "pt": point}).Parse(pageText))

// HTML writes the report as one page: charts, figures and timelines, no script and
// nothing from elsewhere. Whatever it was given is escaped.
func (r *Report) HTML(w io.Writer) error {
	end := r.end()
	charts := []chart{
		r.chart("Share of the running nodes that is attached", end, r.floor(), 1, Sample.Share, percent),
		r.chart("Supernodes", end, 0, 0, func(s Sample) float64 { return float64(s.Supernodes) }, whole),
	}
	if r.logsIn() {
		charts = append(charts, r.chart("How long a log-in waits", end, 0, 0, func(s Sample) float64 { return s.LoginWait.Seconds() },
			func(v float64) string { return clock(time.Duration(v * float64(time.Second))) }))
	}
	return page.Execute(w, struct {
		*Report
		Charts []chart
	}{r, charts})
}

// logsIn reports whether any run had log-ins.
func (r *Report) logsIn() bool {
	for _, run := range r.Runs {
		for _, s := range run.Samples {
			if s.Logins > 0 || s.LoginWait > 0 {
				return true
			}
		}
	}
	return false
}

// point is a coordinate: a tenth of a unit is less than can be seen.
func point(v float64) string { return fmt.Sprintf("%.1f", v) }

func whole(v float64) string { return fmt.Sprintf("%.0f", v) }

// chart is a drawing of 720 x 200 units with its axes.
type chart struct {
	Title        string
	Lines        []line
	Ticks, Hours []tick
}

// line is one run's.
type line struct {
	Name  string
	Class int // of the style sheet
	Path  string
	Last  float64 // where the last machine came up, -1 for nowhere
	End   string
}

type tick struct {
	At    float64
	Label string
}

const (
	chartX, chartY = 720.0, 200.0
	points         = 360 // a line has at most twice as many: more can't be seen
	classes        = 4   // colours in the style sheet
)

// chart draws one value of all runs over time, from lo to hi; hi 0 is what it needs.
func (r *Report) chart(title string, end time.Duration, lo, hi float64, value func(Sample) float64, say func(float64) string) chart {
	c := chart{Title: title}
	if hi == 0 {
		hi = 1
		for _, run := range r.Runs {
			for _, s := range run.Samples {
				hi = max(hi, value(s))
			}
		}
		hi = round(hi)
	}
	x := func(at time.Duration) float64 { return chartX * at.Seconds() / max(end.Seconds(), 1) }
	y := func(v float64) float64 { return chartY * (1 - (v-lo)/(hi-lo)) }
	for i := range r.Runs {
		run := &r.Runs[i]
		l := line{Name: run.Name, Class: i % classes, Path: run.path(x, y, value), Last: -1}
		if run.LastFault >= 0 {
			l.Last = x(run.LastFault)
		}
		if n := len(run.Samples); n > 0 {
			l.End = say(value(run.Samples[n-1]))
		}
		c.Lines = append(c.Lines, l)
	}
	for k := range 5 {
		v := lo + (hi-lo)*float64(k)/4
		c.Ticks = append(c.Ticks, tick{y(v), say(v)})
		at := end * time.Duration(k) / 4
		c.Hours = append(c.Hours, tick{x(at), clock(at)})
	}
	return c
}

// path draws a run: of the samples that share a point of the axis the lowest and the
// highest, in their order, so that no dip is lost.
func (r *Run) path(x func(time.Duration) float64, y func(float64) float64, value func(Sample) float64) string {
	var b strings.Builder
	draw := func(s *Sample) {
		verb := "L"
		if b.Len() == 0 {
			verb = "M"
		}
		b.WriteString(verb + point(x(s.At)) + " " + point(y(value(*s))))
	}
	column := func(s *Sample) int { return int(x(s.At) / chartX * points) }
	all := r.Samples
	for from := 0; from < len(all); {
		to, low, high := from, from, from
		for ; to < len(all) && column(&all[to]) == column(&all[from]); to++ {
			if value(all[to]) < value(all[low]) {
				low = to
			}
			if value(all[to]) > value(all[high]) {
				high = to
			}
		}
		draw(&all[min(low, high)])
		if low != high {
			draw(&all[max(low, high)])
		}
		from = to
	}
	return b.String()
}

// round is the next number with one digit that is not less.
func round(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	return math.Ceil(v/unit) * unit
}
