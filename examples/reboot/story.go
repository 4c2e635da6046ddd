package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

const (
	defaultDown    = 5 * time.Second
	growPatience   = 60 * time.Second // for all nodes to join and the tier to form
	secondPatience = 10 * time.Second // for second attachments
	healPatience   = 60 * time.Second
	reportEvery    = 200 * time.Millisecond

	// believed is for how long after the kill a node may think that it is attached to one
	// that is dead: 22 s of silence and 6 s of checks (PROTOCOL.md section 4). Whether it
	// is attached for good is known after that.
	believed = 28 * time.Second
)

type config struct {
	processes, each, kill int
	down                  time.Duration
	watch                 time.Duration // after the kill, at least
	json                  bool
}

func (c config) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case c.processes < 2 || c.processes > 16:
		return fmt.Errorf("-processes is %d, 2 to 16 are possible", c.processes)
	case c.each < 2 || c.each > 100:
		return fmt.Errorf("-each is %d, 2 to 100 are possible", c.each)
	case c.kill < 1 || c.kill >= c.processes:
		return fmt.Errorf("-kill is %d, 1 to %d are possible", c.kill, c.processes-1)
	case c.down < 0 || c.down > time.Minute:
		return fmt.Errorf("-down is %v, 0 to 1m are possible", c.down)
	}
	return nil
}

func (c config) nodes() int { return c.processes * c.each }

// story is a run: all that it knows comes from what the processes say.
type story struct {
	config config
	tell   *teller
	dir    string
	invite string
	words  chan heard
	login  *process
	hosts  []*process        // the one that runs now, or ran last
	ran    []*process        // all that were ever started
	dead   map[*process]bool // killed on purpose, or ended
	asked  map[*process]bool // a report is under way

	nodes  map[string]*nodeView
	peaks  []int64   // the most memory of any process of that host
	killed time.Time // the moment of the disaster
	start  time.Time // of the last process that came back
}

// nodeView is what is known of a node.
type nodeView struct {
	host   int
	up     bool // it has joined, and its process was not killed since
	state  nodeState
	before int       // packets sent before the disaster by the process that runs now
	back   time.Time // when it was attached after it had last been heard not to be
	called time.Time // when it answered
}

// run is the whole story. What it returns is true as far as it came.
func run(ctx context.Context, c config, tell *teller) (r result, err error) {
	r = result{Nodes: c.nodes(), Processes: c.processes}
	dir, err := os.MkdirTemp("", "overlay-reboot-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	s := &story{
		config: c, tell: tell, dir: dir, words: make(chan heard), hosts: make([]*process, c.processes),
		dead: make(map[*process]bool), asked: make(map[*process]bool), nodes: make(map[string]*nodeView), peaks: make([]int64, c.processes),
	}
	defer s.end()
	for i := range c.nodes() {
		s.nodes[nodeName(i)] = &nodeView{host: i / c.each}
	}
	for _, chapter := range []func(context.Context, *result) error{s.grow, s.cut, s.comeBack, s.heal} {
		if err := chapter(ctx, &r); err != nil {
			return r, err
		}
	}
	s.measure(&r)
	r.print(tell)
	return r, r.missed()
}

// launch starts a process of this story.
func (s *story) launch(host int, args ...string) (*process, error) {
	p, err := launch(host, s.words, args...)
	if err == nil {
		s.ran = append(s.ran, p)
	}
	return p, err
}

func (s *story) launchHost(i int) (err error) {
	s.hosts[i], err = s.launch(i, verbHost, "-invite", s.invite, "-state", filepath.Join(s.dir, "nodes"),
		"-first", strconv.Itoa(i*s.config.each), "-count", strconv.Itoa(s.config.each))
	return err
}

// end kills what still runs and hears it out.
func (s *story) end() {
	for _, p := range s.ran {
		p.kill()
	}
	left := 0
	for _, p := range s.ran {
		if !p.silent {
			left++
		}
	}
	for left > 0 {
		if h := <-s.words; h.ended != nil {
			left--
		}
	}
}

// hear takes in what a process says. An error ends the story.
func (s *story) hear(h heard) error {
	switch {
	case h.ended != nil:
		h.from.silent = true
		if s.dead[h.from] {
			return nil
		}
		return fmt.Errorf("%s: %w", h.from, h.ended)
	case s.dead[h.from]: // its last words: they are about a time that is over
	case h.Error != "":
		return fmt.Errorf("%s: %s", h.from, h.Error)
	case h.Invite != "":
		s.invite = h.Invite
	case h.Joined != "":
		v := s.nodes[h.Joined]
		v.up, v.back = true, time.Now()
	case h.Called != "":
		s.nodes[h.Called].called = time.Now()
	default:
		s.asked[h.from] = false
		for _, x := range h.Report {
			v := s.nodes[x.Name]
			v.state = x
			if !x.Attached {
				v.back = time.Time{}
			} else if v.back.IsZero() {
				v.back = time.Now()
			}
		}
	}
	return nil
}

// until hears the processes, and has them report, until done.
func (s *story) until(ctx context.Context, patience time.Duration, what string, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	again := time.NewTicker(reportEvery)
	defer again.Stop()
	for !done() {
		select {
		case h := <-s.words:
			if err := s.hear(h); err != nil {
				return err
			}
		case <-again.C:
			if err := s.askAll(); err != nil {
				return err
			}
		case <-ctx.Done():
			return fmt.Errorf("%s: %w after %v", what, ctx.Err(), patience)
		}
	}
	return nil
}

// askAll asks every host for a report, but for those that owe one already.
func (s *story) askAll() error {
	for _, p := range s.hosts {
		if p == nil || s.dead[p] || s.asked[p] {
			continue
		}
		s.asked[p] = true
		if err := p.order(order{Do: doReport}); err != nil {
			return err
		}
	}
	return nil
}

// count counts the nodes for which is holds.
func (s *story) count(is func(*nodeView) bool) (n int) {
	for _, v := range s.nodes {
		if is(v) {
			n++
		}
	}
	return n
}

func (s *story) supernodes() int {
	return s.count(func(v *nodeView) bool { return v.up && v.state.Supernode })
}

// grow starts everything and waits until the network stands.
func (s *story) grow(ctx context.Context, r *result) (err error) {
	if s.login, err = s.launch(-1, verbLogin, "-state", filepath.Join(s.dir, "login")); err != nil {
		return err
	}
	if err := s.until(ctx, growPatience, "the login server", func() bool { return s.invite != "" }); err != nil {
		return err
	}
	begin := time.Now()
	for i := range s.hosts {
		if err := s.launchHost(i); err != nil {
			return err
		}
	}
	s.tell.say("a login server and %d processes of %d nodes each are started", len(s.hosts), s.config.each)
	up := func(v *nodeView) bool { return v.up && v.state.Attached }
	err = s.until(ctx, growPatience, "the nodes join", func() bool { return s.count(up) == r.Nodes && s.supernodes() >= 5 })
	if err != nil {
		return fmt.Errorf("%d of %d nodes, %d supernodes: %w", s.count(up), r.Nodes, s.supernodes(), err)
	}
	r.JoinS = time.Since(begin).Seconds()
	s.tell.say("all %d nodes are attached", r.Nodes)
	twice := func(v *nodeView) bool { return v.state.Supernodes == 2 || v.state.Supernode }
	err = s.until(ctx, secondPatience, "second attachments", func() bool { return s.count(twice) == r.Nodes })
	if ctx.Err() != nil {
		return err // else it is no condition: a node that has one is attached
	}
	r.Supernodes = s.supernodes()
	s.tell.say("%d of them serve; %d of the others are attached to two", r.Supernodes, s.count(twice)-r.Supernodes)
	return nil
}

// cut kills the login server, and the hosts with the most supernodes.
func (s *story) cut(ctx context.Context, r *result) error {
	super := make([]int, len(s.hosts))
	for _, v := range s.nodes {
		if v.state.Supernode {
			super[v.host]++
		}
	}
	order := make([]int, len(s.hosts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return super[b] - super[a] })
	s.remember()
	victims := order[:s.config.kill]
	for _, i := range victims {
		r.Killed += s.config.each
		r.SupernodesKilled += super[i]
	}
	for _, v := range s.nodes {
		v.before = v.state.Packets
		v.called = time.Time{}
		if slices.Contains(victims, v.host) {
			*v = nodeView{host: v.host}
		}
	}
	s.dead[s.login] = true
	s.login.kill()
	for _, i := range victims {
		s.dead[s.hosts[i]] = true
		s.hosts[i].kill()
	}
	r.KilledProcesses = len(victims)
	s.killed = time.Now()
	s.tell.say("SIGKILL for the login server and %d processes: %d nodes are gone, %d of %d supernodes", len(victims), r.Killed, r.SupernodesKilled, r.Supernodes)
	return nil
}

// comeBack starts the hosts again that were killed.
func (s *story) comeBack(ctx context.Context, r *result) error {
	over := s.killed.Add(s.config.down)
	gone := func() bool { return !time.Now().Before(over) }
	if err := s.until(ctx, 2*time.Minute, "the time that they are away", gone); err != nil {
		return err
	}
	for i, p := range s.hosts {
		if !s.dead[p] {
			continue
		}
		<-p.done // its locks and ports are free
		s.start = time.Now()
		if err := s.launchHost(i); err != nil {
			return err
		}
	}
	s.tell.say("they are started again; the login server is not")
	return nil
}

// heal waits until every node is attached and has answered a call from one that was never
// away, and then for as long as a node can be wrong about it.
func (s *story) heal(ctx context.Context, r *result) error {
	var survivors []*process
	for _, p := range s.hosts {
		if s.ran[1+p.host] == p { // the first of its kind
			survivors = append(survivors, p)
		}
	}
	names := make([][]string, len(survivors))
	for i := range r.Nodes {
		k := i % len(survivors)
		names[k] = append(names[k], nodeName(i))
	}
	for k, p := range survivors {
		if err := p.order(order{Do: doCall, Names: names[k]}); err != nil {
			return err
		}
	}
	well := func(v *nodeView) bool { return v.up && !v.back.IsZero() && !v.called.IsZero() }
	err := s.until(ctx, healPatience, "healing", func() bool { return s.count(well) == r.Nodes })
	if err != nil {
		r.Attached = s.count(func(v *nodeView) bool { return v.up && !v.back.IsZero() })
		return fmt.Errorf("%d of %d nodes are attached, %d answer: %w", r.Attached, r.Nodes, s.count(func(v *nodeView) bool { return !v.called.IsZero() }), err)
	}
	s.tell.say("all nodes are attached and have answered a call by their name")
	known := func() bool { return time.Since(s.killed) > s.config.watch && s.count(well) == r.Nodes }
	err = s.until(ctx, healPatience, "staying attached", known)
	s.remember()
	return errors.Join(err, ctx.Err())
}

// remember notes the memory of all processes that run.
func (s *story) remember() {
	for i, p := range s.hosts {
		s.peaks[i] = max(s.peaks[i], p.peak())
	}
}

func (s *story) measure(r *result) {
	var back, called []float64
	for _, v := range s.nodes {
		back = append(back, max(0, v.back.Sub(s.start).Seconds()))
		called = append(called, max(0, v.called.Sub(s.start).Seconds()))
		sent := v.state.Packets - v.before
		r.PacketsMax = max(r.PacketsMax, sent)
		r.PacketsMean += float64(sent) / float64(r.Nodes)
	}
	r.Attached = s.count(func(v *nodeView) bool { return v.state.Attached })
	r.AttachedP50, r.AttachedP99, r.AttachedMax = quantiles(back)
	r.CalledP50, r.CalledP99, r.CalledMax = quantiles(called)
	r.SupernodesAfter = s.supernodes()
	for _, b := range s.peaks {
		r.PeakMiB = append(r.PeakMiB, float64(b>>18)/4)
	}
}
