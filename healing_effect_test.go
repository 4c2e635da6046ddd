package overlay

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/sim"
	"github.com/ada420b6/overlay/internal/vtime"
)

// history is what happens to a small network under a policy. It returns the hash of all
// that did, messages included.
type history func(testing.TB, core.Policy) uint64

// rehearse runs a history of n nodes.
func rehearse(t testing.TB, n int, p core.Policy, shape func(*sim.Config), happen func(*sim.Sim)) uint64 {
	t.Helper()
	c := sim.DefaultConfig(n)
	c.Policy = p
	shape(&c)
	s, err := sim.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(n); err != nil {
		t.Fatal(err)
	}
	happen(s)
	return s.TraceHash()
}

// run lets d pass. That a policy breaks a rule is no matter here: then the hash is that of
// what happened until then.
func run(s *sim.Sim, d vtime.Duration) { _ = s.Run(d) }

// disaster: half of 40 nodes reboot, then half of the supernodes are gone for good.
func disaster(t testing.TB, p core.Policy) uint64 {
	return rehearse(t, 40, p, func(c *sim.Config) { c.Loss = 0.05 }, func(s *sim.Sim) {
		s.StartAll(5 * vtime.Second)
		run(s, 2*vtime.Minute)
		s.RebootShare(0.5, 20*vtime.Second, 5*vtime.Second)
		run(s, 30*vtime.Second)
		s.CrashSupernodes(0.5)
		for i := range 20 {
			s.Ask(i, s.Name(39-i), func(sim.Answer) {})
		}
		run(s, 3*vtime.Minute)
	})
}

// crowd: 80 nodes of two address groups have one supernode; half of them come, and come
// again together with the others. Then it leaves, and there is no other.
func crowd(t testing.TB, p core.Policy) uint64 {
	return rehearse(t, 81, p, func(c *sim.Config) { c.Reachable, c.Groups = 0, 2 }, func(s *sim.Sim) {
		s.Start(0)
		run(s, 5*vtime.Second)
		for i := 1; i <= 40; i++ {
			s.Start(i)
		}
		run(s, 2*vtime.Minute)
		for i := 1; i <= 40; i++ {
			s.Reboot(i, vtime.Second)
		}
		s.StartAll(5 * vtime.Second)
		run(s, 2*vtime.Minute)
		s.Leave(0)
		run(s, 20*vtime.Second)
	})
}

// growth: 60 nodes that can all serve need more supernodes than they have, and later
// fewer.
func growth(t testing.TB, p core.Policy) uint64 {
	return rehearse(t, 60, p, func(c *sim.Config) { c.Reachable = 1 }, func(s *sim.Sim) {
		s.StartAll(30 * vtime.Second)
		run(s, 3*vtime.Minute)
		for i := range 60 {
			if !s.Serving(i) {
				s.Leave(i)
			}
		}
		run(s, 5*vtime.Minute)
	})
}

// dark: everything reboots while the login servers are dead, and the supernodes stay away.
func dark(t testing.TB, p core.Policy) uint64 {
	return rehearse(t, 20, p, func(*sim.Config) {}, func(s *sim.Sim) {
		s.StartAll(5 * vtime.Second)
		run(s, 2*vtime.Minute)
		s.StopLogin()
		s.RebootShare(1, 5*vtime.Second, 5*vtime.Second)
		run(s, 2*vtime.Minute)
		s.CrashSupernodes(1)
		run(s, 3*vtime.Minute)
	})
}

// rush: 150 nodes without certificates come to a login server that decides two a second.
func rush(t testing.TB, p core.Policy) uint64 {
	return rehearse(t, 150, p, func(c *sim.Config) { c.Uncertified, c.LoginRate, c.Logins = 1, 2, 1 }, func(s *sim.Sim) {
		s.StartAll(vtime.Second)
		run(s, 2*vtime.Minute)
	})
}

// alone: one node, nobody to attach to, and a certificate that runs out.
func alone(t testing.TB, p core.Policy) uint64 {
	return rehearse(t, 1, p, func(*sim.Config) {}, func(s *sim.Sim) {
		s.StopLogin()
		s.Start(0)
		run(s, 23*vtime.Day)
	})
}

// The policies under which small networks come to where a field matters.
var (
	// tight: a supernode takes one node a second and holds 4, thinly 16 more.
	tight = func(h *HealingPolicy) {
		h.AttachRate, h.AttachBurst, h.NormalSlots, h.ThinSlots = 1, 2, 4, 16
	}
	// roomy: one node a second, but room for all.
	roomy = func(h *HealingPolicy) { h.AttachRate, h.AttachBurst = 1, 2 }
	// nimble: the tier changes its size within seconds.
	nimble = func(h *HealingPolicy) {
		h.NormalSlots, h.MinTier, h.ScalePeriod, h.TierGain = 10, 2, time.Second, 1
		h.DemoteTenure, h.DemoteCalm = 0, 0
	}
	// stormy: and every attach is a little storm.
	stormy = func(h *HealingPolicy) { nimble(h); roomy(h); h.StormFrom = time.Second / 2 }
	// wide: many supernodes.
	wide = func(h *HealingPolicy) { h.MinTier = 15 }
	// slow: a node alone does next to nothing for days.
	slow = func(h *HealingPolicy) { h.BackoffMin, h.BackoffMax = time.Hour, 24*time.Hour }
	// old: the queue of 2007.
	old = func(h *HealingPolicy) { h.AttachRate, h.AttachBurst, h.Queue = 1, 2, 60 }
	// quitting: and the overload protection of 2010.
	quitting = func(h *HealingPolicy) { old(h); h.QuitOverload = 5 * time.Second }
	usual    = func(*HealingPolicy) {}
)

// effects says for every field how to see that it does something: in which history,
// under which policy, and to what it is changed.
var effects = map[string]struct {
	history history
	with    func(*HealingPolicy)
	to      any
}{
	"Attachments":   {disaster, usual, 1},
	"StartSpread":   {disaster, usual, time.Second},
	"Patience":      {disaster, usual, 2 * time.Second},
	"ProbeWidth":    {disaster, usual, 3},
	"ProbeMax":      {dark, usual, 4},
	"OfferTie":      {growth, tight, time.Duration(0)},
	"JoinTries":     {disaster, usual, 2},
	"QuickRounds":   {dark, usual, 1},
	"LoginRounds":   {dark, usual, 1},
	"ResumeRounds":  {dark, usual, 1},
	"BackoffMin":    {disaster, usual, 2 * time.Second},
	"BackoffMax":    {alone, slow, 20 * time.Hour},
	"PacketBudget":  {dark, usual, 20},
	"HostCache":     {disaster, usual, 2},
	"Anchors":       {disaster, usual, 1},
	"SecondWait":    {growth, roomy, 5 * time.Second},
	"SecondBelow":   {growth, tight, 0.3},
	"SecondRetry":   {growth, tight, 2 * time.Minute},
	"AttachRate":    {crowd, roomy, 2},
	"AttachBurst":   {crowd, roomy, 3},
	"NormalSlots":   {crowd, tight, 5},
	"ThinSlots":     {crowd, tight, 20},
	"SlotHorizon":   {crowd, roomy, 50 * time.Second},
	"SlotGrace":     {disaster, usual, 100 * time.Millisecond},
	"FullWait":      {crowd, roomy, 20 * time.Second},
	"TicketSlots":   {crowd, roomy, 0},
	"LoadedAfter":   {crowd, roomy, 30 * time.Second},
	"GroupShare":    {crowd, roomy, 0.5},
	"StormFrom":     {crowd, roomy, 2 * time.Second},
	"LeavePatience": {crowd, roomy, time.Second},

	"Keepalive":     {disaster, usual, 15 * time.Second},
	"KeepaliveThin": {crowd, tight, 30 * time.Second},
	"CheckStep":     {disaster, usual, 2 * time.Second},

	"PingPeriod":   {disaster, usual, 3 * time.Second},
	"PingTimeout":  {disaster, usual, 400 * time.Millisecond},
	"SuspicionMin": {disaster, wide, 4 * time.Second},
	"SuspicionMax": {disaster, usual, 10 * time.Second},
	"GossipPeriod": {disaster, usual, 100 * time.Millisecond},
	"GossipFanout": {disaster, usual, 2},
	"GossipBytes":  {disaster, wide, 1 << 10},
	"AntiEntropy":  {disaster, usual, 10 * time.Second},
	"AskDead":      {disaster, usual, 5 * time.Second},
	"Tombstone":    {disaster, usual, time.Minute},
	"Announce":     {disaster, usual, time.Second},

	"MinTier":      {disaster, usual, 6},
	"Standbys":     {dark, usual, 0},
	"ScalePeriod":  {growth, nimble, 5 * time.Second},
	"TierTarget":   {growth, nimble, 0.6},
	"TierGain":     {growth, nimble, 0.2},
	"PromoteAbove": {growth, nimble, 0.8},
	"DemoteBelow":  {growth, nimble, 0.1},
	"DemoteTenure": {growth, nimble, time.Hour},
	"DemoteCalm":   {growth, stormy, time.Hour},
	"DialBacks":    {disaster, usual, 1},

	"Replicas":      {disaster, usual, 4},
	"RecordRefresh": {disaster, usual, time.Minute},
	"LookupHedge":   {disaster, usual, 20 * time.Millisecond},
	"LookupTimeout": {disaster, usual, 500 * time.Millisecond},
	"PutRetry":      {disaster, usual, 400 * time.Millisecond},

	"LoginPatience": {rush, usual, 5 * time.Second},
	"LoginQueue":    {rush, usual, 3},
	"LoginLife":     {rush, usual, time.Second},
	"RenewRetry":    {alone, slow, 2 * time.Hour},

	"LoginFirst":      {disaster, usual, true},
	"Queue":           {crowd, old, 5},
	"QueueLife":       {crowd, old, 3 * time.Second},
	"QueueKeepalives": {crowd, old, true},
	"RetryPause":      {dark, usual, time.Second},
	"ServeDelay":      {dark, usual, time.Minute},
	"QuitOverload":    {crowd, old, 5 * time.Second},
	"QuitBacklog":     {crowd, quitting, 5 * time.Second},
}

// TestPolicyHasEffect: a field that changes nothing in a network in which it should
// matter is an option that does nothing. What stays the same gives the same hash, so a
// difference is the field's doing.
func TestPolicyHasEffect(t *testing.T) {
	if testing.Short() {
		t.Skip("a simulation for each field")
	}
	type setting struct {
		history uintptr
		policy  HealingPolicy
	}
	hashes := map[setting]uint64{}
	unchanged := func(t *testing.T, run history, h HealingPolicy) uint64 {
		k := setting{reflect.ValueOf(run).Pointer(), h}
		if _, ok := hashes[k]; !ok {
			hashes[k] = run(t, h.core())
			if again := run(t, h.core()); again != hashes[k] {
				t.Fatal("the same policy gives another trace")
			}
		}
		return hashes[k]
	}
	policyFields(t, func(t *testing.T, f reflect.StructField) {
		e, ok := effects[f.Name]
		if !ok {
			t.Fatal("the table of effects does not have it")
		}
		h := DefaultHealing()
		e.with(&h)
		changed := set(h, f.Name, e.to)
		if changed == h {
			t.Fatalf("%v is what it is anyway", e.to)
		}
		if err := changed.validate(); err != nil {
			t.Fatal(err)
		}
		if e.history(t, changed.core()) == unchanged(t, e.history, h) {
			t.Errorf("%v instead of %v changes nothing", e.to, reflect.ValueOf(h).FieldByName(f.Name))
		}
	})
}

// TestPolicyAtItsLimits: no value that is allowed makes a machine do what an assertion
// forbids. Whether the network heals as well with it is another matter.
func TestPolicyAtItsLimits(t *testing.T) {
	if testing.Short() {
		t.Skip("a simulation for each field")
	}
	h := DefaultHealing()
	var p core.Policy
	for _, f := range h.fields(&p) {
		for _, v := range []any{f.lo, f.hi} {
			changed := set(h, f.name, v)
			if changed.validate() != nil {
				continue // at odds with another field: there is no such policy
			}
			t.Run(fmt.Sprintf("%s=%v", f.name, v), func(t *testing.T) { disaster(t, changed.core()) })
		}
	}
}
