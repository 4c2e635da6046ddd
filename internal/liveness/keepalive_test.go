package liveness

import (
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
)

const sec = vtime.Time(vtime.Second)

func TestKeepaliveIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Keepalive{}); n > 24 {
		t.Fatalf("a Keepalive takes %d bytes", n)
	}
}

// The schedule of a silent end, from the last packet to the verdict.
func TestKeepaliveSilence(t *testing.T) {
	for name, p := range map[string]KeepaliveParams{"normal": usualKeepalive, "thin": usualThin} {
		rnd := seed.New(7)
		for range 500 {
			var k Keepalive
			k.Start(0, p, &rnd)
			first := k.Next()
			if d := first.Sub(0); d < p.Interval*9/10 || d > p.Interval*11/10 {
				t.Fatalf("%s: first check after %v s", name, d.Seconds())
			}
			if v := k.Due(first-1, p, &rnd); v != Fine {
				t.Fatalf("%s: verdict %d before anything is due", name, v)
			}
			for i, after := range []vtime.Duration{0, 1 * p.Step, 2 * p.Step, 3 * p.Step, 4 * p.Step} {
				if k.Next() != first.Add(after) {
					t.Fatalf("%s: check %d is due at %d", name, i, k.Next())
				}
				if v := k.Due(k.Next(), p, &rnd); v != Send {
					t.Fatalf("%s: check %d: verdict %d", name, i, v)
				}
			}
			end := k.Next()
			if v := k.Due(end, p, &rnd); v != Gone || end != first.Add(6*p.Step) {
				t.Fatalf("%s: verdict %d at %d", name, v, end)
			}
			if k.Next() != vtime.Never || k.Due(end+1, p, &rnd) != Fine {
				t.Fatalf("%s: a stopped watch goes on", name)
			}
			if end.Sub(0) > p.Interval+p.Interval/10+6*p.Step || end.Sub(0) >= Silence(p) {
				t.Fatalf("%s: the verdict takes %v s, the supernode waits %v s", name, end.Sub(0).Seconds(), Silence(p).Seconds())
			}
		}
	}
}

// The mean over a crash at a random moment is what PROTOCOL.md section 5 promises. The
// node's answers are its only traffic: the worst case.
func TestKeepaliveDetection(t *testing.T) {
	p, rnd := usualKeepalive, seed.New(1)
	var sum, worst vtime.Duration
	const runs = 20000
	for range runs {
		crash := vtime.Time(rnd.Between(int64(100*sec), int64(200*sec)))
		var k Keepalive
		k.Start(0, p, &rnd)
		for {
			now := k.Next()
			v := k.Due(now, p, &rnd)
			if v == Gone {
				sum += now.Sub(crash)
				worst = max(worst, now.Sub(crash))
				break
			}
			if now < crash {
				k.Heard(now)
			}
		}
	}
	mean := (sum / runs).Seconds()
	if mean < 15.5 || mean > 16.5 || worst > 28*vtime.Second {
		t.Fatalf("detection takes %.1f s on average, %.1f s at worst", mean, worst.Seconds())
	}
	t.Logf("detection: %.2f s on average, %.2f s at worst", mean, worst.Seconds())
}

// Whatever comes when: nobody is given up who was heard within the interval less 10 %, or who
// was not asked three times, and the watch never stops without saying so.
func TestKeepaliveNeverHasty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, rnd := usualKeepalive, seed.New(rapid.Uint64().Draw(t, "seed"))
		var k Keepalive
		var now, heard vtime.Time
		k.Start(now, p, &rnd)
		asked := 0
		for range 60 {
			now += vtime.Time(rapid.Int64Range(0, int64(40*sec)).Draw(t, "pause"))
			if rapid.Bool().Draw(t, "packet") {
				k.Heard(now)
				heard, asked = now, 0
			}
			switch k.Due(now, p, &rnd) {
			case Send:
				asked++
				if now.Sub(heard) < p.Interval*9/10 {
					t.Fatalf("asked %v s after a packet", now.Sub(heard).Seconds())
				}
			case Gone:
				if asked != checks {
					t.Fatalf("given up after %d checks", asked)
				}
				k.Start(now, p, &rnd)
				heard, asked = now, 0
			}
			if k.Next() <= now || k.Next() > now.Add(22*vtime.Second) {
				t.Fatalf("at %d the next moment is %d", now, k.Next())
			}
		}
	})
}

func TestKeepaliveAllocs(t *testing.T) {
	p, rnd := usualKeepalive, seed.New(1)
	var k Keepalive
	k.Start(0, p, &rnd)
	if n := testing.AllocsPerRun(100, func() {
		k.Due(k.Next(), p, &rnd)
		k.Heard(k.Next())
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func BenchmarkKeepaliveHeard(b *testing.B) {
	p, rnd := usualKeepalive, seed.New(1)
	var k Keepalive
	k.Start(0, p, &rnd)
	for i := range b.N {
		k.Heard(vtime.Time(i))
	}
	_ = k.Next()
}
