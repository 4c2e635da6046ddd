package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// blocks fill a character from below, in eighths.
var blocks = []rune(" ▁▂▃▄▅▆▇█")

// Size of the chart in characters: two runs beside each other fit 80 columns.
const (
	chartWidth = 68 // of all panels together
	chartRows  = 12
)

// Chart draws the share that is attached over time, a panel for each run side by side,
// on one scale. A column shows the lowest share of its time.
func (r *Report) Chart(w io.Writer) error {
	if len(r.Runs) == 0 {
		return nil
	}
	out := bufio.NewWriter(w)
	end, floor := r.end(), r.floor()
	width := chartWidth/len(r.Runs) - 2
	columns := make([][]float64, len(r.Runs))
	fmt.Fprint(out, "       ")
	for i, run := range r.Runs {
		columns[i] = run.least(width, end)
		fmt.Fprint(out, "  ", pad(run.Name, width))
	}
	fmt.Fprintln(out)
	for row := chartRows - 1; row >= 0; row-- {
		label := ""
		if row%4 == 3 || row == 0 {
			top := floor + (1-floor)*float64(row+1)/chartRows
			if row == 0 {
				top = floor
			}
			label = fmt.Sprintf("%.0f %%", 100*top)
		}
		fmt.Fprintf(out, "%6s ", label)
		for i := range r.Runs {
			fmt.Fprint(out, " │")
			for _, share := range columns[i] {
				fmt.Fprint(out, string(block(share, floor, row)))
			}
		}
		fmt.Fprintln(out)
	}
	fmt.Fprint(out, "       ")
	for range r.Runs {
		fmt.Fprint(out, " └", strings.Repeat("─", width))
	}
	fmt.Fprint(out, "\n       ")
	last := clock(end)
	for range r.Runs {
		fmt.Fprint(out, "  0:00", strings.Repeat(" ", max(1, width-4-len(last))), last)
	}
	fmt.Fprintln(out)
	return out.Flush()
}

// block is the character of a column in a row: how much of the row the share fills.
func block(share, floor float64, row int) rune {
	eighths := int((share-floor)/(1-floor)*chartRows*8+1e-9) - row*8
	return blocks[min(max(eighths, 0), 8)]
}

// Figures writes the table: what, and a column for each run.
func (r *Report) Figures(w io.Writer) error {
	out := bufio.NewWriter(w)
	wide := make([]int, len(r.Runs)+1)
	for i, run := range r.Runs {
		wide[i+1] = utf8.RuneCountInString(run.Name)
	}
	for _, row := range r.Table {
		wide[0] = max(wide[0], utf8.RuneCountInString(row.What))
		for i, v := range row.Values {
			wide[i+1] = max(wide[i+1], utf8.RuneCountInString(v))
		}
	}
	fmt.Fprint(out, pad("", wide[0]))
	for i, run := range r.Runs {
		fmt.Fprint(out, "  ", left(run.Name, wide[i+1]))
	}
	fmt.Fprintln(out)
	for _, row := range r.Table {
		fmt.Fprint(out, pad(row.What, wide[0]))
		for i, v := range row.Values {
			fmt.Fprint(out, "  ", left(v, wide[i+1]))
		}
		fmt.Fprintln(out)
	}
	return out.Flush()
}

// Story writes the timeline of every run.
func (r *Report) Story(w io.Writer) error {
	out := bufio.NewWriter(w)
	for i := range r.Runs {
		run := &r.Runs[i]
		fmt.Fprintln(out, run.Name)
		for _, m := range run.Timeline() {
			fmt.Fprintf(out, "%9s  %s\n", clock(m.At), m.What)
			if m.Why != "" {
				fmt.Fprintf(out, "%9s  · %s\n", "", m.Why)
			}
		}
	}
	return out.Flush()
}

// pad fills s up on the right, left on the left.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

func left(s string, width int) string {
	return strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s))) + s
}
