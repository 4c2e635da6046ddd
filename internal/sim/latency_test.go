package sim

import (
	"errors"
	"math"
	"os"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/ada420b6/overlay/internal/vtime"
)

// planetLab is the measured matrix, kept beside the repository because it is large.
const planetLab = "../../../shared/data/netlatency/planetlab-490.tsv"

// percentiles returns p5, p25, p50, p75, p95 and p99 of ms.
func percentiles(ms []float64) (p [6]float64) {
	sort.Float64s(ms)
	for i, q := range []float64{0.05, 0.25, 0.5, 0.75, 0.95, 0.99} {
		p[i] = ms[int(q*float64(len(ms)))]
	}
	return p
}

// drawn returns the percentiles of what pairs of simulated hosts see.
func drawn(l *Latency) [6]float64 {
	cfg := DefaultConfig(2000)
	b := newBook(&cfg, 42)
	var ms []float64
	for i := range 100_000 {
		x, y := ident2(i)
		rtt := l.RTT(b.hash(handle(x), labelPlace), b.hash(handle(y), labelPlace))
		ms = append(ms, float64(rtt)/float64(vtime.Millisecond))
	}
	return percentiles(ms)
}

func ident2(i int) (uint32, uint32) {
	r := mix(uint64(i))
	return uint32(r % 2000), uint32(r >> 32 % 2000)
}

// TestPlanetLab compares the round trips between simulated hosts with the file that
// they are placed by.
func TestPlanetLab(t *testing.T) {
	text, err := os.ReadFile(planetLab)
	if err != nil {
		t.Skipf("the measured matrix is not here: %v", err)
	}
	l, err := LoadLatency(planetLab)
	if err != nil {
		t.Fatal(err)
	}
	var ms []float64
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		for j, f := range strings.Split(line, "\t") {
			v, err := strconv.ParseFloat(f, 64)
			if err != nil {
				t.Fatal(err)
			}
			if i != j {
				ms = append(ms, v)
			}
		}
	}
	want, got := percentiles(ms), drawn(l)
	for i := range want {
		if math.Abs(got[i]-want[i]) > 0.05*want[i] {
			t.Errorf("percentile %d: %.1f ms drawn, %.1f ms in the file", i, got[i], want[i])
		}
	}
	t.Logf("p5/p25/p50/p75/p95/p99: drawn %.0f, file %.0f ms", got, want)
}

// TestDefaultLatency pins the distribution that the documentation promises.
func TestDefaultLatency(t *testing.T) {
	got := drawn(DefaultLatency())
	want := [6]float64{27, 56, 90, 144, 271, 295}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 0.05*want[i] {
			t.Errorf("percentile %d: %.1f ms, want %.1f", i, got[i], want[i])
		}
	}
}

// TestReadLatency checks what is refused, and that the error says where and why.
func TestReadLatency(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"empty", "", "x.tsv:0: 0 rows of 0 columns, the matrix must be square"},
		{"not a number", "0\t1\n1\tzero\n", `x.tsv:2: column 2: "zero" is not a number`},
		{"ragged", "0\t1\n1\n", "x.tsv:2: 1 columns, the first row has 2"},
		{"negative", "0\t-1\n1\t0\n", "x.tsv:1: column 2: -1 ms, allowed are 0 to 60000"},
		{"not finite", "0\tNaN\n1\t0\n", "x.tsv:1: column 2: NaN ms, allowed are 0 to 60000"},
		{"too few rows", "0\t1\n", "x.tsv:1: 1 rows of 2 columns, the matrix must be square"},
		{"too many rows", "0\n0\n", "x.tsv:2: row 2 of a matrix with 1 columns, the matrix must be square"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ReadLatency("x.tsv", strings.NewReader(tc.text))
			if !errors.Is(err, ErrLatency) || !strings.HasSuffix(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
	l, err := ReadLatency("x.tsv", strings.NewReader("0\t10.5\n10.5\t0\n"))
	if err != nil {
		t.Fatal(err)
	}
	if d := l.RTT(0, 1<<63); d != 10500*vtime.Microsecond {
		t.Errorf("round trip %d, want 10.5 ms", d)
	}
	if d := l.RTT(1, 2); d != vtime.Millisecond {
		t.Errorf("round trip at one site %d, want 1 ms", d)
	}
}

// FuzzReadLatency: whatever is in the file, there is a square matrix or an ErrLatency.
func FuzzReadLatency(f *testing.F) {
	f.Add("0\t1\n1\t0\n")
	f.Add("0\t1e9\n")
	f.Add("\n\t\n")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ReadLatency("x.tsv", strings.NewReader(text))
		if err != nil {
			if !errors.Is(err, ErrLatency) {
				t.Fatalf("%v is not an ErrLatency", err)
			}
			return
		}
		if len(l.micros) != int(l.rows*l.rows) || l.rows == 0 {
			t.Fatalf("%d entries in %d rows", len(l.micros), l.rows)
		}
		l.RTT(mix(1), mix(2))
	})
}
