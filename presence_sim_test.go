package overlay_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/sim"
	"github.com/ada420b6/overlay/internal/vtime"
)

// contacts is how many names a watcher of these tests watches, as far as there are so many.
const contacts = 100

// watchEverybody has every third node watch the names of others.
func watchEverybody(h *history) func(*sim.Sim) {
	return func(s *sim.Sim) {
		for i := 0; i < h.Nodes; i += 3 {
			for k := range min(contacts, h.Nodes) {
				s.WatchNames(i, nil, s.Name((i+k*7)%h.Nodes))
			}
		}
	}
}

// told is how long after the last fault every watcher has heard the truth, when everybody
// is attached already: a node notices a dead supernode, and a supernode a dead node, by
// then; 28 s. What was not told for want of packets is, in 30 s; and what got lost on the
// last stretch is asked for after the next keepalive, 22 s, for which there may be a
// packet 30 s later.
func told(p *core.Policy) vtime.Duration {
	return p.Keepalive*11/10 + 6*p.CheckStep + 30*vtime.Second + late(p)
}

// late is how long after everybody else one hears to whom a word got lost.
func late(p *core.Policy) vtime.Duration { return p.Keepalive*11/10 + 30*vtime.Second }

// truthful checks that every watcher sees each of its contacts as it is.
func truthful(s *sim.Sim, h *history) error {
	for i := 0; i < h.Nodes; i += 3 {
		for k := range min(contacts, h.Nodes) {
			j := (i + k*7) % h.Nodes
			want := core.PresenceGone
			switch {
			case !s.Running(i):
				continue
			case !s.Attached(i):
				want = core.PresenceUnknown
			case s.Attached(j):
				want = core.PresenceHere
			}
			if got := s.Seen(i, s.Name(j)); got != want {
				return fmt.Errorf("node %d (at %v, serves: %t) sees node %d (at %v, serves: %t) as %d, want %d, at %.1f s",
					i, s.Attachments(i), s.Serving(i), j, s.Attachments(j), s.Serving(j), got, want, vtime.Duration(s.Now()).Seconds())
			}
		}
		if n := s.PresencePackets(i); n > 30 {
			return fmt.Errorf("node %d has sent and received %d packets about presence in a minute", i, n)
		}
	}
	return nil
}

// TestAnyPresence is presence for any history: when the faults have stopped, every watcher
// sees the truth within the bound; and at no time has one more than 30 packets a minute.
func TestAnyPresence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t)
		s, err := liveAs(h, watchEverybody(&h))
		if err == nil {
			p := core.DefaultPolicy()
			if err = s.Run(told(&p)); err == nil {
				// The tier goes on to change its size, of which a word may get lost as well.
				_, err = s.RunUntil(func() bool { return truthful(s, &h) == nil }, 10*vtime.Second+late(&p))
			}
			if err == nil {
				err = truthful(s, &h)
			}
		}
		if err != nil {
			t.Fatalf("%v\n%#v", err, h)
		}
	})
}
