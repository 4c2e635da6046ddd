package session

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/vtime"
)

// The window must agree with a set and a maximum.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w window
		seen := make(map[uint64]bool)
		newest := uint64(0)
		step := rapid.OneOf(
			rapid.Int64Range(-70, 70),
			rapid.Int64Range(-windowSize-3, windowSize+3),
			rapid.Int64Range(-3*windowSize, 3*windowSize),
			rapid.Int64Range(0, 1<<40),
		)
		for range rapid.IntRange(1, 300).Draw(t, "packets") {
			c := uint64(max(0, int64(newest)+step.Draw(t, "step")))
			want := !seen[c] && newest < c+windowSize
			if got := w.fresh(c); got != want {
				t.Fatalf("fresh(%d) = %v with %d the newest", c, got, newest)
			}
			if !want {
				continue
			}
			if got := w.mark(c); got != (c > newest || len(seen) == 0) {
				t.Fatalf("mark(%d) = %v with %d the newest", c, got, newest)
			}
			seen[c] = true
			newest = max(newest, c)
		}
	})
}

func TestReplayAndReorder(t *testing.T) {
	w := newWorld(t, 40)
	a, b := w.pair()
	for range windowSize + 10 {
		a.say(b, "x", false)
	}
	packets := w.flight
	w.flight = nil
	w.arrive(packets[len(packets)-1])
	for i := len(packets) - 2; i >= 0; i-- {
		w.arrive(packets[i])
	}
	if n := len(w.texts(b)); n != windowSize || b.Counters().ReplayedPacket != 10 {
		t.Fatalf("%d of %d packets delivered in reverse order, want %d", n, len(packets), windowSize)
	}
	for _, p := range packets {
		w.arrive(p)
	}
	if n := len(w.texts(b)); n != 0 {
		t.Fatalf("%d packets delivered twice", n)
	}
}

func TestMeter(t *testing.T) {
	var m meter
	now := vtime.Time(5 * vtime.Second)
	for range 100 {
		m.add(now)
		now = now.Add(10 * vtime.Millisecond)
	}
	for _, c := range []struct {
		after vtime.Duration
		want  int
	}{{0, 100}, {vtime.Second / 2, 50}, {vtime.Second * 9 / 10, 10}, {vtime.Second, 0}, {vtime.Hour, 0}} {
		n := m
		if got := n.rate(now.Add(c.after)); got != c.want {
			t.Errorf("rate after %v s = %d, want %d", c.after.Seconds(), got, c.want)
		}
	}
}
