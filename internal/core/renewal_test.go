package core

import (
	"container/heap"
	"math"
	"testing"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// renewals is nodes with certificates and one login server that answers at once or is
// dead. Nobody serves: only log-ins are looked at.
type renewals struct {
	nodes  []Node
	env    []Env
	due    []renewalDue // a heap, one entry for each node
	rng    seed.Rand
	dead   bool
	out    Effects
	asked  func(at vtime.Time)
	policy Policy
}

type renewalDue struct {
	at vtime.Time
	i  int
}

func (r *renewals) Len() int           { return len(r.due) }
func (r *renewals) Less(a, b int) bool { return r.due[a].at < r.due[b].at }
func (r *renewals) Swap(a, b int)      { r.due[a], r.due[b] = r.due[b], r.due[a] }
func (r *renewals) Push(x any)         { r.due = append(r.due, x.(renewalDue)) }
func (r *renewals) Pop() any           { return nil } // nobody leaves

// lifeLeft draws when to renew, as cert.RenewAt does.
func (r *renewals) lifeLeft() vtime.Duration {
	return 15*vtime.Day + vtime.Duration(r.rng.Between(0, int64(15*vtime.Day/2)))
}

func newRenewals(n int) *renewals {
	r := &renewals{nodes: make([]Node, n), env: make([]Env, n), rng: seed.New(1), policy: DefaultPolicy()}
	r.policy.LoginRounds, r.policy.BackoffMax = 1000, 60*vtime.Day // who looks for supernodes does so rarely
	r.asked = func(vtime.Time) {}
	for i := range n {
		r.env[i] = Env{Policy: &r.policy, Book: labBook{}, Logins: []ident.Handle{ident.Handle(n + 1)}, Cache: make([]CacheEntry, 1)}
		at := vtime.Time(1 + r.rng.Between(0, int64(vtime.Minute))) // all enrol in one minute
		r.step(i, at, Input{Kind: InputStart, Start: Start{Self: ident.Handle(i + 1), Name: 1, Key: [2]uint64{r.rng.Uint64(), 1}, Role: RoleNode}})
		r.due = append(r.due, renewalDue{r.nodes[i].Next(&r.env[i]), i})
	}
	heap.Init(r)
	return r
}

func (r *renewals) step(i int, at vtime.Time, in Input) {
	r.out.Reset()
	r.nodes[i].Step(&r.env[i], at, &in, &r.out)
	var then []Input
	for k := range r.out.List {
		f := &r.out.List[k]
		switch {
		case f.Kind == EffectCertified:
			then = append(then, Input{Kind: InputCertified, Start: Start{RenewIn: r.lifeLeft()}})
		case f.Kind == EffectSend && wire.KindOf(r.out.Bytes(f)) == wire.KindLoginRequest:
			r.asked(at)
			if r.dead {
				continue
			}
			yes := wire.LoginReply{Nonce: r.nodes[i].login.nonce, Status: wire.LoginGranted}
			then = append(then, Input{Kind: InputMessage, From: f.Peer, Bytes: yes.Append(nil, labBook{}, ident.Handle(i+1))})
		}
	}
	for _, in := range then {
		r.step(i, at, in)
	}
}

// run lets the time until end pass and returns how many asked in each span of it.
func (r *renewals) run(from, end vtime.Time, span vtime.Duration) []int {
	count := make([]int, int(end.Sub(from)/span)+1)
	r.asked = func(at vtime.Time) { count[int(at.Sub(from)/span)]++ }
	for r.due[0].at < end {
		d := &r.due[0]
		r.step(d.i, d.at, Input{Kind: InputTimer})
		d.at = r.nodes[d.i].Next(&r.env[d.i])
		heap.Fix(r, 0)
	}
	return count
}

func sumMax(counts []int) (sum, most int) {
	for _, n := range counts {
		sum, most = sum+n, max(most, n)
	}
	return sum, most
}

// TestRenewalsStayFlat: 10 000 nodes that enrolled within one minute renew evenly, and those
// that could not for a week do not come at once when the login server is back.
func TestRenewalsStayFlat(t *testing.T) {
	const nodes, day = 10_000, vtime.Time(vtime.Day)
	r := newRenewals(nodes)
	if sum, _ := sumMax(r.run(1, 15*day-1, vtime.Hour)); sum != 0 {
		t.Fatalf("%d renewals before half of the life", sum)
	}
	// 7.5 days of 24 hours: 55.6 an hour on average, more than 100 once in 10^6 runs.
	sum, most := sumMax(r.run(15*day-1, 23*day, vtime.Hour))
	if sum != nodes || most > 100 {
		t.Errorf("%d renewals of %d nodes, up to %d an hour", sum, nodes, most)
	}
	r.run(23*day, 33*day, vtime.Hour) // the second renewals lie between days 30 and 45
	r.dead = true
	tries, _ := sumMax(r.run(33*day, 40*day, vtime.Hour))
	overdue := 0
	for i := range r.nodes {
		if r.nodes[i].login.phase != enrolled {
			overdue++
		}
	}
	r.dead = false
	back, storm := sumMax(r.run(40*day, 40*day+vtime.Time(vtime.Hour), vtime.Minute))
	// Each tries every 30 to 60 min, so of n overdue nodes n/45 a minute come at first;
	// the bound is 6 standard deviations above.
	mean := float64(overdue) / 45
	if bound := mean + 6*math.Sqrt(mean); float64(storm) > bound || back < overdue || back > overdue+2*nodes/(7*24) {
		t.Errorf("%d overdue, %d came within an hour, up to %d a minute, even are %.0f", overdue, back, storm, mean)
	}
	if perDay := float64(tries) / 7 / (float64(overdue) / 2); perDay > 34 { // 24 h / 45 min, and the first
		t.Errorf("%.1f requests a day of each overdue node while the login server was dead", perDay)
	}
	t.Logf("up to %d renewals an hour; a week later %d overdue, back within the hour with up to %d a minute", most, overdue, storm)
}
