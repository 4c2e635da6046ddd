package sim

import (
	"testing"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

// watched makes a network of n nodes that stands, with measured or given loss.
func watched(t *testing.T, n int, seed uint64, change func(*Config)) *Sim {
	t.Helper()
	cfg := DefaultConfig(n)
	cfg.Seed, cfg.Check = seed, CheckFull
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(n); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		s.SetReachable(i, i < n/2)
	}
	s.StartAll(vtime.Second)
	if _, err := s.Settle(5 * vtime.Minute); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(3 * vtime.Minute); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestPresenceInTime: who watches a name hears within 5 s that its owner has attached, and
// within 30 s that it died without a word, whatever node it is and whoever holds it.
func TestPresenceInTime(t *testing.T) {
	const n = 60
	for seed := range uint64(5) {
		s := watched(t, n, seed, nil)
		var watcher int
		for watcher = range n {
			if !s.Serving(watcher) {
				break
			}
		}
		changed := make(map[ident.NameID]vtime.Time)
		tell := func(name ident.NameID, _ core.Presence) { changed[name] = s.Now() }
		for i := range n {
			s.WatchNames(watcher, tell, s.Name(i))
		}
		if err := s.Run(5 * vtime.Second); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if got := s.Seen(watcher, s.Name(i)); got != core.PresenceHere {
				t.Fatalf("seed %d: node %d is there, and seen as %d", seed, i, got)
			}
		}
		var slowest, latest vtime.Duration
		for i := range n {
			if i == watcher {
				continue
			}
			name := s.Name(i)
			if err := s.Run(vtime.Duration(seed+uint64(i)*7%20) * vtime.Second); err != nil {
				t.Fatal(err)
			}
			died := s.Now()
			s.Crash(i)
			if _, err := s.RunUntil(func() bool { return s.Seen(watcher, name) == core.PresenceGone }, 40*vtime.Second); err != nil {
				t.Fatal(err)
			}
			slowest = max(slowest, s.Now().Sub(died))
			if err := s.Run(vtime.Minute); err != nil {
				t.Fatal(err)
			}
			s.Start(i)
			if _, err := s.RunUntil(func() bool { return s.Attached(i) }, vtime.Minute); err != nil {
				t.Fatal(err)
			}
			came := s.Now()
			if _, err := s.RunUntil(func() bool { return s.Seen(watcher, name) == core.PresenceHere }, 40*vtime.Second); err != nil {
				t.Fatal(err)
			}
			latest = max(latest, s.Now().Sub(came))
		}
		t.Logf("seed %d: a death is told after %.1f s at worst, an attach after %.1f s", seed, slowest.Seconds(), latest.Seconds())
		if slowest > 30*vtime.Second || latest > 5*vtime.Second {
			t.Errorf("seed %d: a death is told after %.1f s, an attach after %.1f s", seed, slowest.Seconds(), latest.Seconds())
		}
		if most := s.PresencePackets(watcher); most > 30 {
			t.Errorf("seed %d: %d packets in a minute", seed, most)
		}
	}
}

// TestPresenceInAStorm: a node with 100 contacts sends and receives at most 30 packets about
// them in any minute, while nine of ten machines reboot every 40 s, and hears the truth when
// it is over.
func TestPresenceInAStorm(t *testing.T) {
	const n = 300
	s := watched(t, n, 1, func(c *Config) { c.Loss = 0.03 })
	watchers := []int{}
	for i := 0; i < n; i += 10 {
		watchers = append(watchers, i)
		for k := range 100 {
			s.WatchNames(i, nil, s.Name((i+3*k)%n))
		}
	}
	for range 15 {
		s.RebootShare(0.9, 20*vtime.Second, 5*vtime.Second)
		if err := s.Run(40 * vtime.Second); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Run(4 * vtime.Minute); err != nil {
		t.Fatal(err)
	}
	most := 0
	for _, i := range watchers {
		most = max(most, s.PresencePackets(i))
		for k := range 100 {
			if j := (i + 3*k) % n; s.Attached(j) && s.Seen(i, s.Name(j)) != core.PresenceHere {
				t.Fatalf("node %d is there, and node %d sees it as %d", j, i, s.Seen(i, s.Name(j)))
			}
		}
	}
	t.Logf("%d packets in the worst minute", most)
	if most > 30 || most < 10 {
		t.Errorf("%d packets in the worst minute", most)
	}
}

// TestPresenceSurvives: one of a watcher's supernodes dies without a word; who attaches in
// the next moment is told of in 5 s all the same.
func TestPresenceSurvives(t *testing.T) {
	const n = 60
	for seed := range uint64(4) {
		s := watched(t, n, seed, func(c *Config) { c.Policy.MinTier = 9 })
		watcher, peer := -1, -1
		for i := n - 1; i >= 0; i-- {
			switch {
			case s.Serving(i):
			case watcher < 0:
				watcher = i
			case peer < 0:
				peer = i
			}
		}
		s.WatchNames(watcher, nil, s.Name(peer))
		s.Leave(peer)
		if err := s.Run(vtime.Minute); err != nil {
			t.Fatal(err)
		}
		if got := s.Seen(watcher, s.Name(peer)); got != core.PresenceGone {
			t.Fatalf("seed %d: who has left is seen as %d", seed, got)
		}
		s.Crash(s.Attachments(watcher)[seed%2])
		s.Start(peer)
		if _, err := s.RunUntil(func() bool { return s.Attached(peer) }, vtime.Minute); err != nil {
			t.Fatal(err)
		}
		came := s.Now()
		ok, err := s.RunUntil(func() bool { return s.Seen(watcher, s.Name(peer)) == core.PresenceHere }, vtime.Minute)
		if took := s.Now().Sub(came); err != nil || !ok || took > 5*vtime.Second {
			t.Errorf("seed %d: told after %.1f s, %t, %v", seed, took.Seconds(), ok, err)
		}
	}
}
