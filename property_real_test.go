package overlay_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/ada420b6/overlay"
	"github.com/ada420b6/overlay/internal/runtime/memnet"
)

var realHistories = flag.Int("histories", 2, "how many histories of real nodes TestRealHistory lives through")

// TestRealHistory is TestAnyHistory with what programs run: nodes, sessions, QUIC and
// disks are real, the network and the time are not. Each seed is a history of 20 to 60
// nodes; `-run TestRealHistory/seed=7 -histories 8` runs one of them again.
func TestRealHistory(t *testing.T) {
	histories := *realHistories
	if testing.Short() {
		histories = 1
	}
	for seed := range uint64(histories) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			inWorld(t, memnet.Config{Seed: seed, Jitter: 5 * time.Millisecond}, func(t *testing.T, w *world) {
				h := &realHistory{w: w, r: rand.New(rand.NewPCG(seed, 0x6f7665726c6179))}
				h.live()
			})
		})
	}
}

// realHistory is one life of a network of real nodes.
type realHistory struct {
	w *world
	r *rand.Rand
}

// live brings the network up, lets things happen to it, and checks that it recovers.
func (h *realHistory) live() {
	w := h.w
	for i := range 20 + h.r.IntN(41) {
		m := w.machine(fmt.Sprintf("n%d", i))
		m.start()
	}
	for _, m := range w.machines {
		m.wait(healBound(len(w.machines)))
	}
	for range 4 + h.r.IntN(5) {
		what := h.strike()
		pause := time.Duration(h.r.IntN(30)) * time.Second
		w.t.Logf("%s, then %v", what, pause)
		w.pass(pause)
	}
	h.recover()
}

// some draws machines: few, half of them, or all.
func (h *realHistory) some() (drawn []*machine) {
	share := []float64{0.1, 0.5, 1}[h.r.IntN(3)]
	for _, m := range h.w.machines {
		if h.r.Float64() < share {
			drawn = append(drawn, m)
		}
	}
	return drawn
}

// supernodes are the machines that serve, as they say.
func (h *realHistory) supernodes() (serving []*machine) {
	for _, m := range h.w.machines {
		if m.running() && m.node.Status().Supernode {
			serving = append(serving, m)
		}
	}
	return serving
}

// running reports whether the machine's node has joined and was not stopped.
func (m *machine) running() bool {
	if m.joined == nil {
		return false
	}
	select {
	case <-m.joined:
		return m.err == nil
	default:
		return false
	}
}

// strike lets one thing happen and says what.
func (h *realHistory) strike() string {
	w := h.w
	switch h.r.IntN(8) {
	case 0:
		ms := h.some()
		stopAll(ms, false)
		return fmt.Sprintf("%d crash", len(ms))
	case 1:
		ms := h.supernodes()
		stopAll(ms, false)
		return fmt.Sprintf("all %d supernodes crash", len(ms))
	case 2:
		ms := h.some()
		stopAll(ms, true)
		return fmt.Sprintf("%d leave", len(ms))
	case 3:
		ms := h.some()
		stopAll(ms, false)
		for _, m := range ms {
			m.start()
		}
		return fmt.Sprintf("%d reboot", len(ms))
	case 4:
		for _, m := range w.machines {
			m.start()
		}
		return "all come back"
	case 5:
		ms := h.some()
		for _, m := range ms {
			w.net.Cut(m.addr, true)
		}
		return fmt.Sprintf("%d are cut off", len(ms))
	case 6:
		w.closeLogin()
		return "the login server closes"
	}
	w.net.SetLoss(0.1)
	return "a tenth is lost"
}

// stopAll ends machines side by side.
func stopAll(ms []*machine, goodbye bool) {
	var wg sync.WaitGroup
	for _, m := range ms {
		wg.Go(func() { m.stop(goodbye) })
	}
	wg.Wait()
}

// recover ends all faults but that the login server stays as it is (rule R4), and checks
// that within the bound everybody is attached and can be called.
func (h *realHistory) recover() {
	w := h.w
	w.net.SetLoss(0)
	for _, m := range w.machines {
		w.net.Cut(m.addr, false)
		m.start()
	}
	over := time.Now()
	p := overlay.DefaultHealing()
	w.pass(p.KeepaliveThin*11/10 + 6*p.CheckStep) // the longest that a dead supernode is believed in
	bound := healBound(len(w.machines))
	for _, m := range w.machines {
		n := m.wait(bound - time.Since(over))
		ctx, cancel := context.WithDeadline(w.t.Context(), over.Add(bound))
		if err := n.Attached(ctx); err != nil {
			w.t.Fatalf("%s, %v after the last fault: %v\n%+v", m.name, time.Since(over), err, n.Status())
		}
		cancel()
	}
	for _, m := range w.machines {
		ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
		from := w.machines[h.r.IntN(len(w.machines))]
		if err := talk(ctx, from.node, m.name); err != nil {
			w.t.Fatalf("%s calls %s: %v\n%+v\n%+v", from.name, m.name, err, from.node.Status(), m.node.Status())
		}
		cancel()
	}
	serving := len(h.supernodes())
	w.t.Logf("%d nodes, %d supernodes", len(w.machines), serving)
	if serving < p.MinTier || serving > len(w.machines)/2+p.MinTier {
		w.t.Errorf("%d of %d nodes serve, at least %d ought to, and not half of them", serving, len(w.machines), p.MinTier)
	}
}

// healBound is bound of property_sim_test.go, for the default policy: what a node that
// believes in a dead supernode needs to find out, the longest sleep, the rounds until the
// login servers are asked, the start of the tier, and everybody's turn at one supernode.
func healBound(nodes int) time.Duration {
	p := overlay.DefaultHealing()
	return p.KeepaliveThin*11/10 + 6*p.CheckStep + time.Minute +
		time.Duration(p.LoginRounds)*(p.BackoffMax+p.Patience) + 2*p.ScalePeriod +
		time.Duration(nodes)*time.Second/time.Duration(p.AttachRate)
}
