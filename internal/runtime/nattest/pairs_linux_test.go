package nattest

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// attempts is how long two attempts at a direct way take: what is not direct by then stays
// relayed. For what shall be direct there is time, on a machine that does much else.
const attempts = 8 * time.Second

// Every pair of kinds of NAT talks: directly where testdata/pairs.txt says so, else through
// a relay.
func TestPairs(t *testing.T) {
	needs(t)
	t.Parallel()
	want, err := os.ReadFile("testdata/pairs.txt")
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(string(want), "\n")
	w := newWorld(t)
	var ends [2][]*end
	var wg sync.WaitGroup
	for i := range ends {
		ends[i] = make([]*end, len(kinds))
		for k, kind := range kinds {
			s := w.net.site(fmt.Sprintf("%c%d", 'a'+i, k), kind.routers)
			kind.rules(s)
			if strings.HasSuffix(kind.name, "IPv6") {
				w.net.six(s)
			}
			wg.Go(func() { ends[i][k] = w.start(s.host, fmt.Sprintf("%c%d", 'a'+i, k), nil) })
		}
	}
	wg.Wait()
	results := make([][]string, len(kinds))
	slots := make(chan struct{}, 10) // pairs at a time
	for i := range kinds {
		results[i] = make([]string, i+1)
		for j := range i + 1 {
			wg.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				within := attempts
				if i < len(rows) && cell(rows[i], j) == "D" {
					within = patience
				}
				results[i][j] = w.pair(ends[0][i], ends[1][j], kinds[i].name, kinds[j].name, within)
			})
		}
	}
	wg.Wait()
	got := table(results)
	t.Logf("direct (D) or relayed (r):\n%s", got)
	if string(want) != got {
		t.Errorf("testdata/pairs.txt has:\n%s", want)
	}
}

// cell returns a column of a row of the table.
func cell(row string, column int) string {
	if cells := strings.Split(row, "|"); column+2 < len(cells) {
		return strings.TrimSpace(cells[column+2])
	}
	return ""
}

// pair lets two ends talk and says how they do.
func (w *world) pair(a, b *end, first, second string, within time.Duration) string {
	c, err := a.call(b)
	if err != nil {
		w.t.Error(err)
		return "?"
	}
	defer c.Close()
	took, ok := direct(a, b, within)
	if _, err := echoes(c, patience); err != nil {
		w.t.Errorf("%s and %s: %v", first, second, err)
		return "?"
	}
	if !ok {
		return "r"
	}
	w.t.Logf("%s and %s: direct after %v", first, second, took.Round(time.Millisecond))
	return "D"
}

// table writes a triangle of results.
func table(results [][]string) string {
	var b strings.Builder
	for i, row := range results {
		fmt.Fprintf(&b, "| %d %s |", i+1, kinds[i].name)
		for j := range results {
			cell := " "
			if j < len(row) {
				cell = row[j]
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// The table in PROTOCOL.md is the one that the test compares with.
func TestTableInDocument(t *testing.T) {
	document, err := os.ReadFile("../../../PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := os.ReadFile("testdata/pairs.txt")
	if err != nil || len(rows) == 0 || !strings.Contains(string(document), string(rows)) {
		t.Errorf("PROTOCOL.md has another table than testdata/pairs.txt (%v)", err)
	}
}
