package sim

import (
	"os"
	"testing"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// applicants is a network of members that are attached, and many more nodes that apply
// to its one login server.
type applicants struct {
	s       *Sim
	members int
	login   uint32
	came    map[ident.Handle]vtime.Time // when each one's last application came
	oldest  vtime.Duration              // of those that were handed to be decided
	decided int
	useful  int // certificates that the applicant was still waiting for
}

func newApplicants(t *testing.T, policy core.Policy, rate float64, members, more int) *applicants {
	t.Helper()
	cfg := quiet(members + more)
	cfg.Uncertified, cfg.Logins, cfg.LoginRate, cfg.Cache = 1, 1, rate, 16
	cfg.LoginService = Service{Rate: 1 << 20, Handshake: 1 << 20, Queue: 1 << 20} // all reach the machine
	policy.NormalSlots, policy.AttachRate, policy.AttachBurst = 1<<18, 5000, 10_000
	policy.Queue = min(policy.Queue, 1) * 1 << 20
	cfg.Policy = policy
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(members + more); err != nil {
		t.Fatal(err)
	}
	a := &applicants{s: s, members: members, login: uint32(members + more), came: make(map[ident.Handle]vtime.Time)}
	for i := range members + more {
		s.SetRole(i, core.RoleNode, 0)
	}
	for i := range members {
		if i < 3 {
			s.SetRole(i, core.RoleSupernode, 0)
		}
		s.hosts[i].certified = 1
		s.Start(i)
	}
	if err := s.Run(2 * vtime.Minute); err != nil {
		t.Fatal(err)
	}
	s.tamper, s.mutate = a.input, a.effect
	return a
}

func (a *applicants) input(i uint32, in *core.Input) {
	switch {
	case i != a.login:
	case in.Kind == core.InputIssued:
		a.decided++
	case in.Kind == core.InputMessage && wire.KindOf(in.Bytes) == wire.KindLoginRequest:
		a.came[in.From] = a.s.now
	}
}

func (a *applicants) effect(i uint32, f *core.Effect, _ []byte) bool {
	switch f.Kind {
	case core.EffectApplication:
		a.oldest = max(a.oldest, a.s.now.Sub(a.came[f.Peer]))
	case core.EffectCertified:
		a.useful++
	}
	return true
}

// run lets d pass, and returns how many applications waited at most.
func (a *applicants) run(t *testing.T, d vtime.Duration) (waiting int) {
	t.Helper()
	for end := a.s.now.Add(d); a.s.now < end; {
		if err := a.s.Run(vtime.Second); err != nil {
			t.Fatal(err)
		}
		waiting = max(waiting, a.s.machines.(*protocol).logins[0].Waiting())
		for i := range a.members {
			if !a.s.Attached(i) {
				t.Fatalf("%v: member %d lost its place", vtime.Duration(a.s.now).Seconds(), i)
			}
		}
	}
	return waiting
}

// TestFloodOfApplications: 100 000 nodes apply at once to a login server that decides 100
// a second. It works without a pause, for those who wait. With the queue of 2007 it works
// as hard for those who have left, and its memory grows with every retry.
func TestFloodOfApplications(t *testing.T) {
	if testing.Short() {
		t.Skip("a million events")
	}
	const rate, members = 100, 200
	more := 30_000
	if os.Getenv("OVERLAY_LONG") != "" {
		more = 100_000
	}
	for _, tc := range []struct {
		name   string
		policy core.Policy
		secs   int
	}{{"default", core.DefaultPolicy(), 60}, {"2007", core.NaivePolicy(), 120}} {
		t.Run(tc.name, func(t *testing.T) {
			a := newApplicants(t, tc.policy, rate, members, more)
			a.s.StartFrom(members, vtime.Second)
			waiting := a.run(t, vtime.Duration(tc.secs)*vtime.Second)
			share := float64(a.useful) / float64(a.decided)
			t.Logf("%d decided, %d useful (%.1f %%), up to %d waited, the oldest for %.1f s; %d applications",
				a.decided, a.useful, 100*share, waiting, a.oldest.Seconds(), a.s.Census().Sent[wire.KindLoginRequest])
			if a.decided < rate*(tc.secs-2) {
				t.Errorf("%d decided in %d s", a.decided, tc.secs)
			}
			if tc.policy.LoginFirst {
				if share > 0.35 || waiting < 3*more {
					t.Errorf("the disease does not show: %.0f %% useful, %d waited", 100*share, waiting)
				}
				return
			}
			if sent := a.s.Census().Sent[wire.KindLoginRequest]; sent > uint64(more)*15 {
				t.Errorf("%d applications of %d nodes in a minute", sent, more)
			}
			if share < 0.9 || waiting > tc.policy.LoginQueue || a.oldest > tc.policy.LoginLife {
				t.Errorf("%.1f %% useful, %d waited, the oldest for %.1f s", 100*share, waiting, a.oldest.Seconds())
			}
		})
	}
}

// TestLateAnswers: a login server that decides one application a second answers most of 90
// a minute late. Every answer is taken, and nobody asks in a loop.
func TestLateAnswers(t *testing.T) {
	a := newApplicants(t, core.DefaultPolicy(), 1, 20, 90)
	a.s.ResetCensus()
	a.s.StartFrom(20, vtime.Second)
	a.run(t, 4*vtime.Minute)
	sent := a.s.Census().Sent[wire.KindLoginRequest]
	t.Logf("%d decided, %d useful, %d applications", a.decided, a.useful, sent)
	if a.useful != 90 || a.decided > 99 {
		t.Errorf("%d certificates for 90 nodes by %d decisions", a.useful, a.decided)
	}
	if sent > 90*20 {
		t.Errorf("%d applications of 90 nodes", sent)
	}
}
