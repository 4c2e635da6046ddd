package report

import (
	_ "embed"
	"encoding/json"
	"html/template"
	"io"
	"time"
)

// What a page is made of; uplot/README.md says where the library is from.
var (
	//go:embed page.html
	pageText string
	//go:embed page.js
	pageScript string
	//go:embed uplot/uPlot.iife.min.js
	plotScript string
	//go:embed uplot/uPlot.min.css
	plotStyle string
)

var page = template.Must(template.New("page").Funcs(template.FuncMap{"clock": clock}).Parse(pageText))

// HTML writes the report as one page: charts, figures and timelines, with all that it
// needs in it and nothing from elsewhere. Whatever it was given is escaped.
func (r *Report) HTML(w io.Writer) error {
	charts := r.charts()
	data, err := json.Marshal(charts) // escapes what could end the element that it stands in
	if err != nil {
		return err
	}
	return page.Execute(w, struct {
		*Report
		Charts []chart
		Data   template.JS
		Script template.JS
		Plot   template.JS
		Style  template.CSS
	}{r, charts, template.JS(data), template.JS(pageScript), template.JS(plotScript), template.CSS(plotStyle)})
}

// charts are what a page shows.
func (r *Report) charts() []chart {
	value := func(title, unit string, of func(Sample) float64) chart {
		return r.chart(chart{Title: title, Unit: unit, Axis: "clock"}, steady(of))
	}
	attached := value("Share of the running nodes that is attached", "percent", Sample.Share)
	attached.Low, attached.High = r.floor(), 1
	storm := value("Storm level that supernodes tell, on average", "level", func(s Sample) float64 { return s.Storm })
	storm.High = 3
	all := []chart{attached, storm,
		value("Supernodes", "whole", func(s Sample) float64 { return float64(s.Supernodes) }),
		r.chart(chart{
			Title: "Attaches a second", Unit: "whole", Axis: "clock", Note: "solid: taken in; dashed: that came to a supernode",
		}, rate(func(s Sample) float64 { return float64(s.Accepted) }), rate(func(s Sample) float64 { return float64(s.Offered) })),
		r.waits(),
	}
	if r.logsIn() {
		all = append(all, value("How long a log-in waits", "clock", func(s Sample) float64 { return s.LoginWait.Seconds() }))
	}
	return all
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

// chart is what page.js draws, in its words.
type chart struct {
	Title string  `json:"title"`
	Note  string  `json:"note,omitempty"`
	Unit  string  `json:"unit"` // of the values: percent, whole, level or clock
	Axis  string  `json:"axis"` // clock, or log for seconds on a logarithmic axis
	Low   float64 `json:"low"`
	High  float64 `json:"high"` // 0 is what the values need
	Lines []line  `json:"lines"`
	Marks []mark  `json:"marks"`
}

// line is one value of one run.
type line struct {
	Name   string       `json:"name"`
	Class  int          `json:"class"` // of the style sheet
	Dashed bool         `json:"dashed,omitempty"`
	Points [][2]float64 `json:"points"` // seconds and value
}

// mark is when the last machine of a run is up again.
type mark struct {
	At    float64 `json:"at"`
	Class int     `json:"class"`
}

const (
	columns = 360 // a line has at most twice as many points: more can't be seen
	classes = 4   // colours in the style sheet
)

// series is a value of a run over time.
type series func(samples []Sample) [][2]float64

// steady is a value that each sample has.
func steady(value func(Sample) float64) series {
	return func(samples []Sample) (points [][2]float64) {
		for _, s := range samples {
			points = append(points, [2]float64{s.At.Seconds(), value(s)})
		}
		return points
	}
}

// rate is how much a counter rises in a second, between one sample and the next.
func rate(count func(Sample) float64) series {
	return func(samples []Sample) (points [][2]float64) {
		for k := 1; k < len(samples); k++ {
			before, s := samples[k-1], samples[k]
			if d := (s.At - before.At).Seconds(); d > 0 {
				points = append(points, [2]float64{s.At.Seconds(), (count(s) - count(before)) / d})
			}
		}
		return points
	}
}

// chart draws values of all runs over time, the first solid and the others dashed.
func (r *Report) chart(c chart, values ...series) chart {
	for i := range r.Runs {
		run := &r.Runs[i]
		for k, v := range values {
			c.Lines = append(c.Lines, line{Name: run.Name, Class: i % classes, Dashed: k > 0, Points: reduce(v(run.Samples), r.end())})
		}
		if run.LastFault >= 0 {
			c.Marks = append(c.Marks, mark{run.LastFault.Seconds(), i % classes})
		}
	}
	return c
}

// waits draws how many nodes were without an attachment for how long.
func (r *Report) waits() chart {
	c := chart{Title: "Share of all waits for an attachment that took longer", Unit: "percent", Axis: "log", High: 1}
	for i := range r.Runs {
		l := line{Name: r.Runs[i].Name, Class: i % classes, Points: [][2]float64{}}
		for _, w := range r.Runs[i].Waits {
			l.Points = append(l.Points, [2]float64{max(w.Wait, time.Millisecond).Seconds(), w.Longer})
		}
		c.Lines = append(c.Lines, l)
	}
	return c
}

// reduce keeps, of the points that share a column of the axis, the lowest and the highest,
// in their order, so that no dip is lost.
func reduce(all [][2]float64, end time.Duration) [][2]float64 {
	kept := [][2]float64{}
	column := func(p [2]float64) int { return int(p[0] / max(end.Seconds(), 1) * columns) }
	for from := 0; from < len(all); {
		to, low, high := from, from, from
		for ; to < len(all) && column(all[to]) == column(all[from]); to++ {
			if all[to][1] < all[low][1] {
				low = to
			}
			if all[to][1] > all[high][1] {
				high = to
			}
		}
		kept = append(kept, all[min(low, high)])
		if low != high {
			kept = append(kept, all[max(low, high)])
		}
		from = to
	}
	return kept
}
