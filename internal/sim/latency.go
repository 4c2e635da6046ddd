package sim

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/ada420b6/overlay/internal/vtime"
)

// Latency says how far two hosts are from each other: the round trip between them,
// which is the same in both directions and at all times. Jitter is the network's.
type Latency struct {
	// rows x rows round trips in microseconds when measured, else one quantile table
	// from which every pair draws.
	micros []uint32
	rows   uint32
}

// MaxRows is the largest latency matrix that is read: 4096 rows are 64 MiB.
const MaxRows = 4096

// sameSite is the round trip of two hosts that share a row of a matrix: they are at
// one place, and the matrix says 0.
const sameSite = 1000 // microseconds

// ErrLatency is the error of ReadLatency: what it wraps names the file, the line and
// the rule that was broken.
var ErrLatency = errors.New("overlay/sim: bad latency matrix")

// roundTrips holds the quantiles i/16 of the default distribution in milliseconds:
// log-normal with a median of 90 ms and a sigma of 0.7, cut to [10, 300] ms. It is a
// table of integers because an exponential may differ in its last bit between machines.
var roundTrips = [17]uint32{10, 31, 40, 48, 56, 64, 72, 81, 90, 100, 113, 127, 144, 167, 201, 264, 300}

// DefaultLatency returns the distribution used when nothing was measured: round trips
// between 10 and 300 ms with p5/p50/p95 = 27/90/271 ms, about two thirds of what
// PlanetLab shows, because most users of a network live on one continent.
func DefaultLatency() *Latency {
	const steps = 64 // between two quantiles
	l := &Latency{}
	for i := range uint32(16 * steps) {
		lo, hi := roundTrips[i/steps]*1000, roundTrips[i/steps+1]*1000
		l.micros = append(l.micros, lo+(hi-lo)*(i%steps)/steps)
	}
	return l
}

// ConstantLatency returns a network in which every round trip is d.
func ConstantLatency(d vtime.Duration) *Latency {
	return &Latency{micros: []uint32{uint32(d / vtime.Microsecond)}}
}

// LoadLatency reads the matrix in the file at path: see ReadLatency.
func LoadLatency(path string) (*Latency, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLatency, err)
	}
	defer f.Close()
	return ReadLatency(path, f)
}

// ReadLatency reads a square matrix of round trips in milliseconds, one row a line,
// tabs between the columns. name stands in errors, each of which is an ErrLatency.
// Hosts are placed on rows by their hash; two on one row are 1 ms apart.
func ReadLatency(name string, r io.Reader) (*Latency, error) {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 1<<16), MaxRows*16)
	l, line := &Latency{}, 0
	for in.Scan() {
		line++
		if err := l.addRow(in.Text(), line); err != nil {
			return nil, fmt.Errorf("%w: %s:%d: %w", ErrLatency, name, line, err)
		}
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("%w: %s:%d: %w", ErrLatency, name, line+1, err)
	}
	if line == 0 || uint32(line) != l.rows {
		return nil, fmt.Errorf("%w: %s:%d: %d rows of %d columns, the matrix must be square", ErrLatency, name, line, line, l.rows)
	}
	return l, nil
}

func (l *Latency) addRow(text string, line int) error {
	fields := strings.Split(text, "\t")
	if line == 1 {
		l.rows = uint32(len(fields))
		if len(fields) > MaxRows {
			return fmt.Errorf("%d columns, at most %d are allowed", len(fields), MaxRows)
		}
	}
	if line > int(l.rows) {
		return fmt.Errorf("row %d of a matrix with %d columns, the matrix must be square", line, l.rows)
	}
	if uint32(len(fields)) != l.rows {
		return fmt.Errorf("%d columns, the first row has %d", len(fields), l.rows)
	}
	for i, s := range fields {
		ms, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return fmt.Errorf("column %d: %q is not a number", i+1, s)
		}
		if !(ms >= 0 && ms <= 60_000) {
			return fmt.Errorf("column %d: %v ms, allowed are 0 to 60000", i+1, s)
		}
		if i == line-1 {
			ms = sameSite / 1000
		}
		l.micros = append(l.micros, uint32(ms*1000))
	}
	return nil
}

// RTT returns the round trip between two hosts, given a hash of each.
func (l *Latency) RTT(a, b uint64) vtime.Duration {
	if a > b {
		a, b = b, a
	}
	var i uint32
	if l.rows != 0 {
		i = l.row(a)*l.rows + l.row(b)
	} else {
		i = scale(mix(a^mix(b)), uint32(len(l.micros)))
	}
	return vtime.Duration(l.micros[i]) * vtime.Microsecond
}

// Median returns the round trip that half of all pairs exceed.
func (l *Latency) Median() vtime.Duration {
	all := slices.Clone(l.micros)
	slices.Sort(all)
	return vtime.Duration(all[len(all)/2]) * vtime.Microsecond
}

func (l *Latency) row(hash uint64) uint32 { return scale(hash, l.rows) }

// bytes returns how much memory the table holds.
func (l *Latency) bytes() int { return len(l.micros) * 4 }
