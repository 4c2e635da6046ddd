package sim

import (
	"errors"
	"testing"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// settled returns a network of n nodes that has come to rest.
func settled(t *testing.T, n int) *Sim {
	t.Helper()
	s := newRun(t, DefaultConfig(n), vtime.Second)
	if _, err := s.Settle(2 * vtime.Minute); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(vtime.Minute); err != nil {
		t.Fatal(err)
	}
	return s
}

// drop loses every message of a kind, as if the machine had not sent it.
func drop(kinds ...wire.Kind) func(uint32, *core.Effect, []byte) bool {
	return func(_ uint32, f *core.Effect, b []byte) bool {
		for _, k := range kinds {
			if f.Kind == core.EffectSend && wire.KindOf(b) == k {
				return false
			}
		}
		return true
	}
}

// breaches breaks each rule on purpose. R10 has a test of its own.
var breaches = []struct {
	rule, how string
	breakIt   func(s *Sim) error
}{
	{"R1", "an orphan's timer is lost", func(s *Sim) error {
		n := ordinary(s)
		s.deaf = func(i uint32) bool { return i == uint32(n) }
		s.Reboot(n, vtime.Second)
		return s.Run(vtime.Minute)
	}},
	{"R1", "an orphan is never answered", func(s *Sim) error {
		s.mutate = drop(wire.KindOffer, wire.KindList)
		s.Reboot(ordinary(s), vtime.Second)
		_, err := s.Settle(vtime.Minute)
		return err
	}},
	{"R2", "a node has a larger budget than the rule", func(s *Sim) error {
		p := &s.cfg.Policy
		p.PacketBudget, p.BackoffMax, p.BackoffMin = 1000, vtime.Second, vtime.Second
		s.mutate = drop(wire.KindOffer)
		s.Reboot(ordinary(s), vtime.Second)
		return s.Run(2 * vtime.Minute)
	}},
	{"R2", "every message is sent two hundred times", func(s *Sim) error {
		s.mutate = func(i uint32, f *core.Effect, b []byte) bool {
			for range 200 {
				s.oracle.effect(i, f, b)
			}
			return true
		}
		return s.Run(2 * vtime.Minute)
	}},
	{"R2", "a machine goes in circles", func(s *Sim) error {
		m := s.machines
		s.machines = circling{m, s}
		return s.Run(vtime.Minute)
	}},
	{"R3", "a supernode steps down at once", func(s *Sim) error {
		s.mutate = func(_ uint32, f *core.Effect, b []byte) bool {
			if f.Kind == core.EffectSend && wire.KindOf(b) == wire.KindKeepaliveAck {
				f.Kind = core.EffectDemoted
			}
			return true
		}
		return s.Run(vtime.Minute)
	}},
	{"R4", "nobody is attached without a login server", func(s *Sim) error {
		s.StopLogin()
		s.mutate = drop(wire.KindAccept)
		s.oracle.full = false // else R5 is first
		s.Reboot(ordinary(s), vtime.Second)
		_, err := s.Settle(vtime.Minute)
		return err
	}},
	{"R5", "who comes in its slot is not answered", func(s *Sim) error {
		s.mutate = drop(wire.KindAccept, wire.KindRefuse)
		s.Reboot(ordinary(s), vtime.Second)
		return s.Run(vtime.Minute)
	}},
	{"R5", "who comes in its slot is refused", func(s *Sim) error {
		s.tamper = func(_ uint32, in *core.Input) {
			if wire.KindOf(in.Bytes) == wire.KindAttach {
				in.Origin++ // the supernode sees another address than it gave the slot to
			}
		}
		s.Reboot(ordinary(s), vtime.Second)
		return s.Run(vtime.Minute)
	}},
	{"R6", "keepalives are not answered", func(s *Sim) error {
		s.mutate = drop(wire.KindKeepaliveAck)
		return s.Run(vtime.Minute)
	}},
	{"R7", "a supernode leaves without a word", func(s *Sim) error {
		s.mutate = drop(wire.KindGoodbye)
		s.Leave(busiest(s))
		return s.Run(3 * vtime.Minute)
	}},
	{"R7", "a supernode leaves and names nobody", func(s *Sim) error {
		s.mutate = func(i uint32, f *core.Effect, b []byte) bool {
			if wire.KindOf(b) == wire.KindGoodbye {
				s.oracle.kept.goodbye(i, f.Peer, 0)
				return false // it gets lost as well, so that the node is still there in the end
			}
			return true
		}
		if err := s.Run(vtime.Minute); err != nil {
			return err
		}
		s.Leave(busiest(s))
		return s.Run(3 * vtime.Minute)
	}},
	{"R8", "an answer is forged", func(s *Sim) error {
		s.mutate = func(_ uint32, f *core.Effect, _ []byte) bool {
			if f.Kind == core.EffectFound {
				f.Record.At[1] = handle(1)
				f.Record.Seq += 7
			}
			return true
		}
		_, err := s.Lookup(3, s.Name(4))
		return err
	}},
	{"R8", "an answer is older than the one before", func(s *Sim) error {
		var old *wire.Record
		s.mutate = func(_ uint32, f *core.Effect, _ []byte) bool {
			if f.Kind == core.EffectFound && old == nil {
				r := f.Record
				old = &r
			} else if f.Kind == core.EffectFound {
				f.Record = *old
			}
			return true
		}
		_, _ = s.Lookup(3, s.Name(4))
		s.Reboot(4, vtime.Second)
		_ = s.Run(vtime.Minute)
		clear(s.floors)
		s.oracle.names.seen[[2]uint64{3, uint64(old.Name)}]++ // as if the second had come first
		_, err := s.Lookup(3, s.Name(4))
		return err
	}},
	{"R9", "a stranger gets two answers", func(s *Sim) error {
		s.mutate = func(i uint32, f *core.Effect, b []byte) bool {
			if wire.KindOf(b) == wire.KindOffer {
				s.oracle.effect(i, f, b)
			}
			return true
		}
		s.Reboot(ordinary(s), vtime.Second)
		return s.Run(vtime.Minute)
	}},
	{"R11", "rosters are not compared", func(s *Sim) error {
		s.mutate = drop(wire.KindSummary, wire.KindNews, wire.KindWant)
		s.PartitionFunc(func(i int) int { return i % 2 })
		if err := s.Run(2 * vtime.Minute); err != nil {
			return err
		}
		s.Mend()
		_, err := s.Merged(5 * vtime.Minute)
		return err
	}},
	{"book", "a record is altered on the way", func(s *Sim) error {
		s.mutate = func(i uint32, f *core.Effect, b []byte) bool {
			if wire.KindOf(b) == wire.KindPut {
				b[20] ^= 1
			}
			return true
		}
		s.Reboot(ordinary(s), vtime.Second)
		return s.Run(vtime.Minute)
	}},
}

// TestOracleSees checks that the oracle notices each breach, and calls the rule by its
// name.
func TestOracleSees(t *testing.T) {
	for _, tc := range breaches {
		t.Run(tc.rule+" "+tc.how, func(t *testing.T) {
			t.Parallel()
			s := settled(t, 60)
			err := tc.breakIt(s)
			var v *Violation
			if !errors.As(err, &v) || v.Rule != tc.rule {
				t.Fatalf("got %v, want a violation of %s", err, tc.rule)
			}
			t.Log(err)
			if again := s.Run(vtime.Second); again != err {
				t.Errorf("the simulation went on after a violation: %v", again)
			}
		})
	}
}

// busiest returns the supernode with the most nodes.
func busiest(s *Sim) int {
	held := make([]int, s.Nodes())
	best := 0
	for i := range held {
		for _, at := range s.Attachments(i) {
			if held[at]++; held[at] > held[best] {
				best = at
			}
		}
	}
	return best
}

// ordinary returns the first node that does not serve.
func ordinary(s *Sim) int {
	for i := range s.Nodes() {
		if !s.Serving(i) {
			return i
		}
	}
	panic("everybody serves")
}

// circling is machines whose deadline has always just passed.
type circling struct {
	machines
	s *Sim
}

func (c circling) next(uint32, *core.Env) vtime.Time { return c.s.now }
