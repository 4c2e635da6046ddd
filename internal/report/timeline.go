package report

import (
	"fmt"
	"sort"
	"time"
)

// Moment is something that happened, and why.
type Moment struct {
	At        time.Duration
	What, Why string
}

// Timeline tells a run in words. What it says of causes is what the samples bear out: a
// queue of log-ins that is longer than nodes wait, a tier that has lost some of its
// supernodes, an attach load above what one can take.
func (r *Run) Timeline() []Moment {
	if len(r.Samples) == 0 {
		return nil
	}
	first, last := r.Samples[0], r.Samples[len(r.Samples)-1]
	t := teller{run: r, first: first, seen: make(map[string]bool)}
	t.say(first.At, fmt.Sprintf("an ordinary day: %d of %d nodes are attached, %d serve", first.Attached, first.Running, first.Supernodes), "")
	for k := 1; k < len(r.Samples); k++ {
		t.watch(&r.Samples[k-1], &r.Samples[k])
	}
	t.healed()
	t.ends(&last)
	sort.SliceStable(t.moments, func(i, j int) bool { return t.moments[i].At < t.moments[j].At })
	return t.moments
}

// teller writes a timeline.
type teller struct {
	run     *Run
	first   Sample
	seen    map[string]bool
	moments []Moment
}

func (t *teller) say(at time.Duration, what, why string) {
	t.moments = append(t.moments, Moment{at, what, why})
}

// once says something the first time that it holds.
func (t *teller) once(key string, holds bool, at time.Duration, what, why string) {
	if holds && !t.seen[key] {
		t.seen[key] = true
		t.say(at, what, why)
	}
}

// falls are the shares whose loss is worth a line.
var falls = []float64{0.995, 0.95, 0.9, 0.8, 0.5, 0.1, 0.01}

// watch tells what is new in a sample.
func (t *teller) watch(before, s *Sample) {
	t.once("down", s.Running < before.Running, s.At, "the first machines go down", "")
	t.once("lost", s.Lost > 0 && before.Lost == 0, s.At, "the first supernode goes down",
		"the nodes that it held notice when it does not answer their keepalive")
	half := t.first.Supernodes > 1 && 2*s.Lost >= t.first.Supernodes
	t.once("half", half, s.At, fmt.Sprintf("%d supernodes have been lost, half of what there were", s.Lost), "")
	t.once("queue", t.stale(s), s.At, fmt.Sprintf("a log-in waits %s, longer than the %.0f s that nodes wait", clock(s.LoginWait), t.run.LoginPatience.Seconds()),
		"nodes ask again and the queue grows by it; from here on answers come for those who have left")
	t.once("grow", s.Promotions > 0, s.At, "the tier grows", "those that are left are fuller than they want to be, so nodes become supernodes")
	t.once("overload", s.PeakOverload > 1, s.At, "a supernode is asked for more attaches than it can take", fmt.Sprintf("%.1f times its rate over 5 s", s.PeakOverload))
	for k := len(falls) - 1; k >= 0; k-- { // the deepest of a fall past several
		if f := falls[k]; s.Lowest < f && before.Lowest >= f {
			t.say(s.At, fmt.Sprintf("fewer than %s are attached", percent(f)), t.why(s))
			break
		}
	}
	if s.Broken != "" {
		t.say(s.At, "a rule of the protocol is broken, and the rehearsal ends", s.Broken)
	}
}

// stale reports whether log-ins are answered too late.
func (t *teller) stale(s *Sample) bool {
	return t.run.LoginPatience > 0 && s.LoginWait > t.run.LoginPatience
}

// why says why nodes are not attached.
func (t *teller) why(s *Sample) string {
	missing := s.Running - s.Attached
	switch {
	case t.stale(s):
		return fmt.Sprintf("%d nodes wait; of %d log-ins so far %d came in time, and the next will take %s", missing, s.Logins, s.LoginsInTime, clock(s.LoginWait))
	case t.run.LoginPatience > 0 && s.LoginWait > 0:
		return fmt.Sprintf("%d nodes wait, for a log-in or a supernode", missing)
	case s.Supernodes == 0:
		return fmt.Sprintf("%d nodes find no supernode", missing)
	case s.PeakOverload > 2:
		return fmt.Sprintf("%d nodes wait; supernodes were asked for up to %.0f times what they can take, %d serve", missing, s.PeakOverload, s.Supernodes)
	}
	return fmt.Sprintf("%d nodes wait for a slot or look for a supernode that lives; %d serve", missing, s.Supernodes)
}

// healed tells the turn: the lowest point, the last machine, and the end of it.
func (t *teller) healed() {
	r := t.run
	low := &r.Samples[0]
	for k := range r.Samples {
		if s := &r.Samples[k]; s.Lowest < low.Lowest {
			low = s
		}
	}
	if low.Lowest < 0.9995 {
		t.say(low.At, fmt.Sprintf("the lowest point: %s are attached", percent(low.Lowest)), t.why(low))
	}
	if r.LastFault < 0 {
		return
	}
	last, what := t.from(r.LastFault), "the last machine is up"
	if !t.up(last) {
		what = "the last machine goes down"
	}
	if r.Cut {
		what += ", of those until the interruption"
	}
	t.say(r.LastFault, what, fmt.Sprintf("%d of %d supernodes went down on the way, %d nodes became supernodes", last.Lost, t.first.Supernodes, last.Promotions))
	if r.To999 >= 0 {
		t.say(r.LastFault+r.To999, "99.9 % are attached", "")
	}
	if r.ToAll >= 0 {
		t.say(r.LastFault+r.ToAll, "all are attached", "")
	}
}

// from is the first sample that shows a moment.
func (t *teller) from(when time.Duration) *Sample {
	all := t.run.Samples
	k := sort.Search(len(all), func(k int) bool { return all[k].At >= when })
	for k+1 < len(all) && all[k+1].At == when { // of several at one moment the last
		k++
	}
	return &all[min(k, len(all)-1)]
}

// up reports whether the last machine came up: more run than ever before it, but at the
// start.
func (t *teller) up(last *Sample) bool {
	least := t.first.Running
	for k := range t.run.Samples {
		if s := &t.run.Samples[k]; s.At < last.At {
			least = min(least, s.Running)
		}
	}
	return last.Running > least || last.Running == t.first.Running
}

// ends tells how things stand when the rehearsal ends.
func (t *teller) ends(s *Sample) {
	if s.Broken != "" {
		return
	}
	end := "the rehearsal ends"
	if t.run.Cut {
		end = "the rehearsal is interrupted"
	}
	what := fmt.Sprintf(end+": %s are attached, %d serve", percent(s.Share()), s.Supernodes)
	why := ""
	if s.Share() < 0.999 {
		why = t.why(s)
		if t.run.LastFault >= 0 && !t.run.Cut {
			why = fmt.Sprintf("it stays down, %s after the last machine: %s", clock(s.At-t.run.LastFault), why)
		}
	}
	t.say(s.At, what, why)
}
