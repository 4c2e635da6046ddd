package sim

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/ada420b6/overlay/internal/vtime"
)

// Availability is when the hosts of a real network were up: an availability trace.
type Availability struct {
	sessions []session // of all hosts, one host's after the other's
	ends     []int     // of host k: sessions[ends[k-1]:ends[k]]
	length   vtime.Duration
	blur     vtime.Duration // by how much the copies of a host differ: see replay
}

// session is one time that a host was up, from the start of the trace.
type session struct{ up, down vtime.Duration }

// Limits of a trace.
const (
	MaxSessions  = 1 << 22 // 64 MiB; 2 081 hosts over 29 days had 70 000
	maxLine      = 1 << 24 // characters: 600 000 sessions of one host
	maxTraceTime = 10 * 365 * 86_400
)

// ErrAvailability is the error of ReadAvailability: what it wraps names the file, the
// line and the rule that was broken.
var ErrAvailability = errors.New("overlay/sim: bad availability trace")

// LoadAvailability reads the trace in the file at path: see ReadAvailability.
func LoadAvailability(path string) (*Availability, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAvailability, err)
	}
	defer f.Close()
	return ReadAvailability(path, f)
}

// ReadAvailability reads a trace in the AVT form, a host a line:
//
//	id TAB n TAB start end start end ...
//
// with n sessions in order, in seconds. name stands in errors, each of which is an
// ErrAvailability.
func ReadAvailability(name string, r io.Reader) (*Availability, error) {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 1<<16), maxLine)
	a, line := &Availability{}, 0
	for in.Scan() {
		line++
		if err := a.addHost(in.Text()); err != nil {
			return nil, fmt.Errorf("%w: %s:%d: %w", ErrAvailability, name, line, err)
		}
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("%w: %s:%d: %w", ErrAvailability, name, line+1, err)
	}
	if line == 0 {
		return nil, fmt.Errorf("%w: %s: no hosts", ErrAvailability, name)
	}
	a.blur = min(a.median()/10, maxBlur)
	return a, nil
}

func (a *Availability) addHost(text string) error {
	id, rest, ok := strings.Cut(text, "\t")
	count, times, _ := strings.Cut(rest, "\t") // a host without sessions may end here
	if !ok || id == "" {
		return errors.New("no id and tab: a line is id TAB n TAB and then start and end of each session")
	}
	n, err := strconv.Atoi(strings.TrimSpace(count))
	fields := strings.Fields(times)
	switch {
	case err != nil || n < 0:
		return fmt.Errorf("%q is not a number of sessions", count)
	case len(fields)%2 != 0 || len(fields)/2 != n:
		return fmt.Errorf("%d times, %d sessions have a start and an end each", len(fields), n)
	case len(a.ends) == MaxNodes:
		return fmt.Errorf("more than %d hosts", MaxNodes)
	case len(a.sessions)+n > MaxSessions:
		return fmt.Errorf("more than %d sessions in all", MaxSessions)
	}
	last := vtime.Duration(0)
	for k := 0; k < len(fields); k += 2 {
		up, err := seconds(fields[k], last)
		if err != nil {
			return fmt.Errorf("start of session %d: %w", k/2+1, err)
		}
		down, err := seconds(fields[k+1], up)
		if err != nil {
			return fmt.Errorf("end of session %d: %w", k/2+1, err)
		}
		if up < down { // one of no length was never seen by anybody
			a.sessions = append(a.sessions, session{up, down})
		}
		last = down
	}
	a.ends = append(a.ends, len(a.sessions))
	a.length = max(a.length, last)
	return nil
}

// seconds parses a time that is not before another one.
func seconds(text string, after vtime.Duration) (vtime.Duration, error) {
	v, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a number", text)
	case !(v >= 0 && v <= maxTraceTime):
		return 0, fmt.Errorf("%s s, allowed are 0 to %d", text, maxTraceTime)
	}
	d := vtime.Duration(math.Round(v * float64(vtime.Second)))
	if d < after {
		return 0, fmt.Errorf("%s s is before %.9g s: they must be in order", text, after.Seconds())
	}
	return d, nil
}

// Hosts returns how many hosts there are.
func (a *Availability) Hosts() int { return len(a.ends) }

// Length returns when the last session ends.
func (a *Availability) Length() vtime.Duration { return a.length }

// median returns the length of the median session, 0 without any.
func (a *Availability) median() vtime.Duration {
	if len(a.sessions) == 0 {
		return 0
	}
	lengths := make([]vtime.Duration, len(a.sessions))
	for k, s := range a.sessions {
		lengths[k] = s.down - s.up
	}
	slices.Sort(lengths)
	return lengths[len(lengths)/2]
}

// of returns the sessions of a host.
func (a *Availability) of(host int) []session {
	from := 0
	if host > 0 {
		from = a.ends[host-1]
	}
	return a.sessions[from:a.ends[host]]
}

// next returns the session that is under way at t, or the first one after; nil when
// there is none.
func (a *Availability) next(host int, t vtime.Duration) *session {
	all := a.of(host)
	if k := sort.Search(len(all), func(k int) bool { return all[k].down > t }); k < len(all) {
		return &all[k]
	}
	return nil
}
