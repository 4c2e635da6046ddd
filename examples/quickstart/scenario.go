package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/ada420b6/overlay"
)

const (
	joinPatience     = 45 * time.Second // for all nodes to join, at most
	tierPatience     = 15 * time.Second // for the tier to form
	secondPatience   = 10 * time.Second // for second attachments
	transferPatience = 60 * time.Second
	healPatience     = 90 * time.Second
	callPatience     = 3 * time.Second // for one call by name
	downMin, downMax = 2 * time.Second, 4 * time.Second
	callers          = 8 // calls at a time while the network heals
)

// world is everything that runs in this process.
type world struct {
	config  config
	tell    *timeline
	rng     *rand.Rand
	network *overlay.Network
	file    *file
	server  int // who serves the file
	client  int // who downloads it

	mu    sync.Mutex
	nodes []*overlay.Node // nil while it is cut off
}

func name(i int) string { return fmt.Sprintf("node-%03d", i) }

// run is the whole story. What it returns is true as far as it came.
func run(ctx context.Context, c config, tell *timeline) (r result, err error) {
	r = result{Nodes: c.nodes, Seed: c.seed}
	dir, err := os.MkdirTemp("", "overlay-quickstart-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	login, err := overlay.ListenLogin("127.0.0.1:0", overlay.WithStateDir(dir+"/login"))
	if err != nil {
		return r, err
	}
	defer login.Close()
	w := &world{config: c, tell: tell, rng: rand.New(rand.NewPCG(c.seed, 0)), nodes: make([]*overlay.Node, c.nodes)}
	w.file = newFile(c.seed)
	tell.say("a login server runs at the address in its invite:")
	tell.say("  %s", login.Invite())
	w.network, err = overlay.New(overlay.WithInvite(login.Invite()), overlay.WithStateDir(dir+"/nodes"))
	if err != nil {
		return r, err
	}
	defer w.network.Close()
	for _, chapter := range []func(context.Context, *result) error{
		w.join, w.transfer,
		func(_ context.Context, r *result) error {
			r.LoginDeadDuringHeal = true
			tell.say("the login server is stopped, for good")
			return login.Close()
		},
		w.disaster, w.transferAgain,
	} {
		if err := chapter(ctx, &r); err != nil {
			return r, err
		}
	}
	w.summary(&r)
	return r, nil
}

// join lets all nodes join and waits until the tier has formed.
func (w *world) join(ctx context.Context, r *result) error {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, joinPatience)
	defer cancel()
	w.tell.say("%d nodes join, each with a UDP socket of its own", w.config.nodes)
	errs := make(chan error, w.config.nodes)
	for i := range w.config.nodes {
		go func() { errs <- w.start(ctx, i) }() // ends with ctx
	}
	for range w.config.nodes {
		if err := <-errs; err != nil {
			return fmt.Errorf("after %d of %d nodes had joined: %w", r.Joined, w.config.nodes, err)
		}
		r.Joined++
		w.tell.progress("%d of %d nodes are attached", r.Joined, w.config.nodes)
	}
	r.JoinS = seconds(begin)
	w.tell.say("all %d nodes are attached", r.Joined)
	want := min(5, w.config.nodes)
	err := w.until(ctx, tierPatience, func() bool {
		r.Supernodes = len(w.supernodes())
		w.tell.progress("%d supernodes", r.Supernodes)
		return r.Supernodes >= want
	})
	if err != nil {
		return fmt.Errorf("the tier has %d supernodes, %d are wanted: %w", r.Supernodes, want, err)
	}
	w.tell.say("%d of them have become supernodes, by themselves", r.Supernodes)
	var two int
	_ = w.until(ctx, secondPatience, func() bool { // not everybody has to have a second one
		two = w.twice()
		w.tell.progress("%d nodes are attached to two supernodes", two)
		return two >= r.Joined-r.Supernodes
	})
	w.tell.say("%d nodes are attached to two of them", two)
	return nil
}

// twice counts the nodes that are attached to two supernodes.
func (w *world) twice() (n int) {
	for i := range w.nodes {
		if w.node(i).Status().Supernodes == 2 {
			n++
		}
	}
	return n
}

// start lets node i join, or come back.
func (w *world) start(ctx context.Context, i int) error {
	node, err := w.network.Join(ctx, name(i), overlay.WithListenAddress("127.0.0.1:0"))
	if err != nil {
		return err
	}
	if err := answer(node); err != nil {
		return err
	}
	if i == w.server {
		if err := w.file.serve(node); err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nodes[i] = node
	return nil
}

func (w *world) node(i int) *overlay.Node {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.nodes[i]
}

// supernodes returns who serves now.
func (w *world) supernodes() (is []int) {
	for i := range w.nodes {
		if n := w.node(i); n != nil && n.Status().Supernode {
			is = append(is, i)
		}
	}
	return is
}

// transfer downloads the file, from one ordinary node to another if there are two.
func (w *world) transfer(ctx context.Context, r *result) (err error) {
	super := make(map[int]bool)
	for _, i := range w.supernodes() {
		super[i] = true
	}
	w.client = w.config.nodes - 1
	for i := range w.config.nodes {
		if !super[i] && i != w.server {
			w.client = i
			break
		}
	}
	r.TransferBytes, r.TransferS, err = w.download(ctx)
	r.TransferOK = err == nil
	return err
}

func (w *world) transferAgain(ctx context.Context, r *result) error {
	_, _, err := w.download(ctx)
	r.TransferAfterOK = err == nil
	return err
}

func (w *world) download(ctx context.Context) (n int64, took float64, err error) {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, transferPatience)
	defer cancel()
	from, to := name(w.server), name(w.client)
	n, err = w.file.download(ctx, w.node(w.client), from, func(n int64) {
		w.tell.progress("%s downloads http://%s/file: %d of %d MiB", to, from, n>>20, fileSize>>20)
	})
	if err != nil {
		return n, seconds(begin), fmt.Errorf("%s downloads http://%s/file: %w", to, from, err)
	}
	took = seconds(begin)
	w.tell.say("%s has downloaded http://%s/file: %d MiB, %.0f MB/s, the hash is right", to, from, n>>20, float64(n)/1e6/took)
	return n, took, nil
}

// disaster cuts nodes off, brings them back, and waits until every node answers a call
// by its name: nobody's word is taken for it.
func (w *world) disaster(ctx context.Context, r *result) error {
	victims := w.victims(r)
	if len(victims) == 0 {
		w.tell.say("nobody is cut off")
	} else {
		w.tell.say("%d nodes are cut off at once without a goodbye, %d of %d supernodes among them", len(victims), r.SupernodesKilled, r.Supernodes)
	}
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, healPatience)
	defer cancel()
	if err := w.cut(victims); err != nil {
		return err
	}
	errs := make(chan error, len(victims))
	for _, i := range victims {
		away := downMin + time.Duration(w.rng.Int64N(int64(downMax-downMin)))
		go func() { // ends with ctx
			select {
			case <-time.After(away):
				errs <- w.start(ctx, i)
			case <-ctx.Done():
				errs <- ctx.Err()
			}
		}()
	}
	healed := make(chan error, 1)
	go func() { healed <- w.callAll(ctx) }() // ends with ctx
	for range victims {
		if err := <-errs; err != nil {
			return fmt.Errorf("a node that came back: %w", err)
		}
	}
	w.tell.say("all of them are back and attached, without a login server")
	if err := <-healed; err != nil {
		return err
	}
	r.HealS = seconds(begin)
	for i := range w.nodes {
		s := w.node(i).Status()
		if s.Attached {
			r.AttachedAfter++
		}
		r.HealingPacketsMax = max(r.HealingPacketsMax, s.HealingPackets)
	}
	r.SupernodesAfter = len(w.supernodes())
	w.tell.say("every node answers a call by its name, %.1f s after the cut; there are %d supernodes", r.HealS, r.SupernodesAfter)
	return nil
}

// victims draws who is cut off: four of five supernodes, then others, up to the share.
func (w *world) victims(r *result) []int {
	n := int(w.config.reboot*float64(w.config.nodes) + 0.5)
	supers := w.supernodes()
	w.rng.Shuffle(len(supers), func(i, j int) { supers[i], supers[j] = supers[j], supers[i] })
	victims := supers[:min(n, (len(supers)*4+4)/5)]
	r.SupernodesKilled, r.Rebooted = len(victims), n
	chosen := make(map[int]bool)
	for _, i := range supers {
		chosen[i] = true
	}
	victims = append([]int(nil), victims...)
	for _, i := range w.rng.Perm(w.config.nodes) {
		if len(victims) < n && !chosen[i] {
			victims = append(victims, i)
		}
	}
	r.Rebooted = len(victims)
	return victims
}

// cut closes nodes at once, as when the power fails.
func (w *world) cut(victims []int) error {
	errs := make([]error, len(victims))
	var wg sync.WaitGroup
	for k, i := range victims {
		node := w.node(i)
		w.mu.Lock()
		w.nodes[i] = nil
		w.mu.Unlock()
		wg.Go(func() { errs[k] = node.Close() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// callAll calls every node by its name, from another one, until each has answered.
func (w *world) callAll(ctx context.Context) error {
	todo := make(chan int, w.config.nodes)
	for i := range w.config.nodes {
		todo <- i
	}
	var wg sync.WaitGroup
	var left sync.WaitGroup
	left.Add(w.config.nodes)
	for range callers {
		wg.Go(func() { // ends when todo is closed or ctx ends
			for i := range todo {
				if err := w.callOne(ctx, i); err == nil || ctx.Err() != nil {
					left.Done()
				} else {
					todo <- i
				}
			}
		})
	}
	left.Wait()
	close(todo)
	wg.Wait()
	if ctx.Err() != nil {
		return fmt.Errorf("not every node answers a call by its name: %w", ctx.Err())
	}
	return nil
}

func (w *world) callOne(ctx context.Context, i int) error {
	from := w.node(rand.IntN(w.config.nodes))
	if from == nil || w.node(i) == nil || from.Name() == name(i) {
		select {
		case <-time.After(50 * time.Millisecond): // it is away: others first
		case <-ctx.Done():
		}
		return errors.New("away")
	}
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	return call(ctx, from, name(i))
}

// until waits for a condition.
func (w *world) until(ctx context.Context, patience time.Duration, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for !done() {
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (w *world) summary(r *result) {
	w.tell.end()
	fmt.Fprintf(w.tell.out, `
%d nodes joined in %.1f s; %d became supernodes
%d MiB by name in %.1f s
%d nodes and %d supernodes cut off, no login server: healed in %.1f s, then %d MiB again
no node sent more than %d packets to get attached
`, r.Joined, r.JoinS, r.Supernodes, fileSize>>20, r.TransferS, r.Rebooted, r.SupernodesKilled, r.HealS, fileSize>>20, r.HealingPacketsMax)
}

func seconds(since time.Time) float64 { return time.Since(since).Seconds() }
