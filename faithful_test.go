package overlay

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ada420b6/overlay/internal/sim"
	"github.com/ada420b6/overlay/internal/vtime"
)

// The experiment that makes the simulator worth believing: one schedule of reboots, carried
// out by real nodes on real sockets and disks, and by simulated ones.

// reboots is a schedule: which nodes go down, when, and for how long.
type reboots struct {
	seed   uint64
	nodes  int
	share  float64       // of the nodes goes down
	spared int           // supernodes that do not, at most half of them
	over   time.Duration // within this
	starts time.Duration // the nodes come up within this
	calm   time.Duration // then this passes, and the login servers die
	watch  time.Duration // how long is watched from then on

	at   []time.Duration // for each node, from then on; negative for never
	down []time.Duration
}

// draw fills the schedule in, when it is known who serves. How many of these survive, when the
// others go down, and for how long, is the same in each run: it matters more than all else.
func (p *reboots) draw(serves func(i int) bool) {
	r := rand.New(rand.NewPCG(p.seed, 0x666169746866756c))
	p.at, p.down = nil, nil
	supers, k := 0, 0
	for i := range p.nodes {
		supers += b2i(serves(i))
	}
	const least, most = 3 * time.Second, 7 * time.Second
	falls := supers - min(p.spared, supers/2)
	for i := range p.nodes {
		at, down := time.Duration(r.Int64N(int64(p.over))), least+time.Duration(r.Int64N(int64(most-least)))
		hit := r.Float64() < p.share
		if serves(i) {
			hit = k < falls
			part := (float64(k) + 0.5) / float64(falls)
			at, down = time.Duration(part*float64(p.over)), least+time.Duration(part*float64(most-least))
			k++
		}
		if !hit {
			at = -1
		}
		p.at, p.down = append(p.at, at), append(p.down, down)
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// away is how many machines are down at a moment.
func (p *reboots) away(now time.Duration) (n int) {
	for i, at := range p.at {
		if at >= 0 && at <= now && now < at+p.down[i] {
			n++
		}
	}
	return n
}

// tick is how often is looked who is attached.
const tick = 200 * time.Millisecond

// outcome is what became of a schedule: means over all nodes.
type outcome struct {
	missing  []float64 // share of all nodes that runs and is not attached, for each tick
	healing  float64   // packets sent to become attached, for each node that rebooted
	messages float64   // control messages for each node
	tier     []float64 // supernodes, for each tick
}

// lost is how long a node was not attached, on average, in seconds.
func (o *outcome) lost() (sum float64) {
	for _, x := range o.missing {
		sum += x * tick.Seconds()
	}
	return sum
}

// simulated carries the schedule out in virtual time.
func simulated(t *testing.T, p *reboots, seed uint64) (o outcome) {
	cfg := sim.DefaultConfig(p.nodes)
	cfg.Seed, cfg.Loss, cfg.Dup, cfg.Reorder, cfg.Jitter = seed, 0, 0, 0, 0
	cfg.Latency = sim.ConstantLatency(200 * vtime.Microsecond)
	cfg.Reachable, cfg.Uncertified, cfg.Foretold = 1, 1, false
	s, err := sim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(p.nodes); err != nil {
		t.Fatal(err)
	}
	run := func(d time.Duration) {
		if err := s.Run(vtime.Duration(d)); err != nil {
			t.Fatal(err)
		}
	}
	s.StartAll(vtime.Duration(p.starts))
	run(p.starts + p.calm)
	s.StopLogin()
	s.ResetCensus()
	p.draw(s.Serving)
	for now := time.Duration(0); now < p.watch; now += tick {
		for i, at := range p.at {
			if at >= now && at < now+tick {
				s.Reboot(i, vtime.Duration(p.down[i]))
			}
		}
		run(tick)
		gone, serve := -p.away(now+tick), 0
		for i := range p.nodes {
			if s.Running(i) && s.Serving(i) {
				serve++
			}
			if !s.Running(i) || !s.Attached(i) {
				gone++
			}
		}
		o.missing = append(o.missing, float64(gone)/float64(p.nodes))
		o.tier = append(o.tier, float64(serve))
	}
	rebooted := 0
	for i, at := range p.at {
		if at >= 0 {
			rebooted++
			o.healing += float64(s.Healing(i))
		}
	}
	o.healing /= float64(rebooted)
	for _, n := range s.Census().Sent {
		o.messages += float64(n) / float64(p.nodes)
	}
	return o
}

// real carries the schedule out with nodes of this process, on UDP and disk.
func real(t *testing.T, p *reboots) (o outcome) {
	dir := t.TempDir()
	login, err := ListenLogin("127.0.0.1:0", WithStateDir(filepath.Join(dir, "login")))
	if err != nil {
		t.Fatal(err)
	}
	defer login.Close()
	network, err := New(WithInvite(login.Invite()), WithStateDir(filepath.Join(dir, "nodes")))
	if err != nil {
		t.Fatal(err)
	}
	defer network.Close()
	ctx, cancel := context.WithTimeout(t.Context(), p.starts+p.calm+p.watch+time.Minute)
	defer cancel()

	var mu sync.Mutex
	nodes := make([]*Node, p.nodes)
	sent := make([]uint64, p.nodes) // by former lives
	var work sync.WaitGroup
	join := func(i int) {
		work.Go(func() {
			n, err := network.Join(ctx, fmt.Sprintf("n%d", i), WithListenAddress("127.0.0.1:0"))
			if err != nil {
				if ctx.Err() == nil {
					t.Error(err)
				}
				return
			}
			mu.Lock()
			defer mu.Unlock()
			nodes[i] = n
		})
	}
	r := rand.New(rand.NewPCG(1, 2))
	begin := time.Now()
	for _, up := range starts(r, p) {
		until(begin.Add(up.when))
		join(up.node)
	}
	until(begin.Add(p.starts + p.calm))
	if err := login.Close(); err != nil {
		t.Fatal(err)
	}
	messages := func(i int) uint64 {
		if nodes[i] == nil {
			return 0
		}
		return nodes[i].runtime.Status().Messages
	}
	mu.Lock()
	before := uint64(0)
	p.draw(func(i int) bool { return nodes[i] != nil && nodes[i].Status().Supernode })
	for i := range nodes {
		if nodes[i] == nil {
			t.Errorf("node %d was not attached before the disaster", i)
		}
		before += messages(i)
	}
	mu.Unlock()
	begin = time.Now()
	for now := time.Duration(0); now < p.watch; now += tick {
		for i, at := range p.at {
			if at >= now && at < now+tick {
				mu.Lock()
				n := nodes[i]
				sent[i] += messages(i)
				nodes[i] = nil
				mu.Unlock()
				work.Go(func() {
					_ = n.Close()
					until(begin.Add(now + p.down[i]))
					join(i)
				})
			}
		}
		until(begin.Add(now + tick))
		gone, serve := -p.away(now+tick), 0
		mu.Lock()
		for _, n := range nodes {
			if n == nil {
				gone++
				continue
			}
			s := n.Status()
			if !s.Attached {
				gone++
			}
			if s.Supernode {
				serve++
			}
		}
		mu.Unlock()
		o.missing = append(o.missing, float64(gone)/float64(p.nodes))
		o.tier = append(o.tier, float64(serve))
	}
	rebooted, after := 0, uint64(0)
	mu.Lock()
	for i, n := range nodes {
		after += messages(i) + sent[i]
		if p.at[i] >= 0 && n != nil {
			rebooted++
			o.healing += float64(n.Status().HealingPackets)
		}
	}
	mu.Unlock()
	o.healing /= float64(rebooted)
	o.messages = float64(after-before) / float64(p.nodes)
	cancel()
	if err := network.Close(); err != nil {
		t.Fatal(err)
	}
	work.Wait()
	return o
}

// until waits for a moment of the schedule: this is an experiment in real time.
func until(moment time.Time) { <-time.After(time.Until(moment)) }

type start struct {
	node int
	when time.Duration
}

// starts is when the nodes come up for the first time, in order.
func starts(r *rand.Rand, p *reboots) (all []start) {
	for i := range p.nodes {
		all = append(all, start{i, time.Duration(r.Int64N(int64(p.starts)))})
	}
	slices.SortFunc(all, func(a, b start) int { return int(a.when - b.when) })
	return all
}

// TestFaithful: 300 nodes reboot, half of them, nearly all, or all at once, with the login
// server dead. How long those that run are without an attachment, what they send to become
// attached, and all that is sent must be the same, within 15 %, on real sockets and in
// simulation.
func TestFaithful(t *testing.T) {
	if os.Getenv("OVERLAY_LONG") == "" {
		t.Skip("a minute and a half of real time for each schedule, on a machine that is idle: set OVERLAY_LONG=1")
	}
	const schedules, seeds = 3, 10
	for _, kind := range []struct {
		what   string
		share  float64
		spared int
		over   time.Duration
	}{{"half in 10 s", 0.5, 2, 10 * time.Second}, {"90 % in 2 s", 0.9, 1, 2 * time.Second}, {"all in 1 s", 1, 0, time.Second}} {
		t.Run(kind.what, func(t *testing.T) {
			var did, said outcome
			for k := range uint64(schedules) {
				p := reboots{
					seed: k, nodes: 300, share: kind.share, spared: kind.spared, over: kind.over,
					starts: 10 * time.Second, calm: 30 * time.Second, watch: 40 * time.Second,
				}
				add(&did, real(t, &p), 1./schedules)
				for seed := range uint64(seeds) {
					add(&said, simulated(t, &p, seed), 1./(schedules*seeds))
				}
			}
			t.Log("share of the nodes that runs and is not attached, real and simulated:\n" + curves(&did, &said))
			for _, x := range []struct {
				what      string
				did, said float64
			}{
				{"seconds without an attachment", did.lost(), said.lost()},
				{"packets to become attached", did.healing, said.healing},
				{"messages", did.messages, said.messages},
			} {
				t.Logf("%-30s for each node: real %.2f, simulated %.2f: %.2f", x.what, x.did, x.said, x.did/x.said)
				if math.Abs(x.did/x.said-1) > 0.15 {
					t.Errorf("%s: %.2f in reality and %.2f in simulation", x.what, x.did, x.said)
				}
			}
		})
	}
}

func add(sum *outcome, o outcome, share float64) {
	if sum.missing == nil {
		sum.missing, sum.tier = make([]float64, len(o.missing)), make([]float64, len(o.tier))
	}
	for k := range o.missing {
		sum.missing[k] += o.missing[k] * share
		sum.tier[k] += o.tier[k] * share
	}
	sum.healing += o.healing * share
	sum.messages += o.messages * share
}

// curves draws both, a line a second.
func curves(did, said *outcome) string {
	var b strings.Builder
	bar := func(x float64) string { return strings.Repeat("#", max(0, int(x*30+0.5))) }
	end := 0 // of healing
	for k := range did.missing {
		if max(did.missing[k], said.missing[k]) > 0.001 {
			end = k + 1
		}
	}
	for k := 0; k < end; k += int(time.Second / tick) {
		a, s := did.missing[k], said.missing[k]
		fmt.Fprintf(&b, "%3.0f s  %5.1f %% %-30s %5.1f %% %-30s %4.1f and %4.1f serve\n", float64(k)*tick.Seconds(), 100*a, bar(a), 100*s, bar(s), did.tier[k], said.tier[k])
	}
	return b.String()
}
