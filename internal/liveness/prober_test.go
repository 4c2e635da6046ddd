package liveness

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

const ms = vtime.Time(vtime.Millisecond)

// The policy that core.DefaultPolicy hands down.
var (
	usualProber    = ProberParams{Period: vtime.Second, Timeout: 500 * vtime.Millisecond, DeadPeriod: 10 * vtime.Second}
	usualKeepalive = KeepaliveParams{Interval: 20 * vtime.Second, Step: vtime.Second}
	usualThin      = KeepaliveParams{Interval: 60 * vtime.Second, Step: vtime.Second}
)

func newProber() *Prober {
	p := new(Prober)
	p.Init(usualProber, 1000, 0, 0)
	return p
}

func via(target ident.Handle) Candidates {
	return Candidates{Target: target, Via: [4]ident.Handle{2, 3, 4, 5}}
}

func wantActions(t *testing.T, got []Action, want ...Action) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("action %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}

// One silent target, moment by moment.
func TestProbeOfSilentTarget(t *testing.T) {
	p := newProber()
	wantActions(t, p.Tick(0, via(3), nil), Action{ActPing, 1001, 3, 3})
	if p.Next() != 500*ms {
		t.Fatalf("next at %d", p.Next())
	}
	wantActions(t, p.Tick(500*ms, via(9), nil), Action{ActPing, 1001, 3, 3}, // it may be the packet that was lost
		Action{ActPingRequest, 1001, 2, 3}, Action{ActPingRequest, 1001, 4, 3}, Action{ActPingRequest, 1001, 5, 3})
	p.Nack(1001, 4)
	wantActions(t, p.Tick(1000*ms, Candidates{}, nil), Action{ActSuspect, 0, 0, 3})
	if p.Health() != 0 {
		t.Fatalf("a helper was heard, and yet health is %d", p.Health())
	}
	if s := p.Stats(); s.Probes != 1 || s.Suspected != 1 || s.Skipped != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestAcks(t *testing.T) {
	for name, from := range map[string]ident.Handle{"the target": 9, "a helper": 3} {
		p := newProber()
		p.Tick(0, via(9), nil)
		p.Tick(500*ms, via(9), nil)
		p.Ack(1001, 77, nil) // a stranger
		p.Ack(1002, from, nil)
		if s := p.Stats(); s.Acked != 0 || s.Unknown != 2 {
			t.Fatalf("%s: %+v", name, s)
		}
		wantActions(t, p.Ack(1001, from, nil))
		wantActions(t, p.Tick(1000*ms, Candidates{}, nil))
		if s := p.Stats(); s.Acked != 1 || s.Suspected != 0 {
			t.Fatalf("%s: %+v", name, s)
		}
	}
}

func TestRelay(t *testing.T) {
	p := newProber()
	p.Tick(0, Candidates{}, nil)
	wantActions(t, p.Relay(5, 7, 9, 0, nil), Action{ActPing, 1001, 9, 9})
	wantActions(t, p.Relay(6, 8, 9, 0, nil), Action{ActPing, 1002, 9, 9})
	wantActions(t, p.Ack(1001, 8, nil)) // not the target
	wantActions(t, p.Ack(1001, 9, nil), Action{ActAck, 5, 7, 9})
	if p.Next() != 400*ms {
		t.Fatalf("next at %d", p.Next())
	}
	wantActions(t, p.Tick(400*ms, Candidates{}, nil), Action{ActNack, 6, 8, 9})
	for i := range ident.Handle(40) {
		for j := range uint32(MaxRelaysEach + 3) {
			p.Relay(j, 100+i, 9, 401*ms, nil)
		}
	}
	if p.relayed != MaxRelays || p.Stats().RelaysFull != 40*(MaxRelaysEach+3)-MaxRelays {
		t.Fatalf("%d relays, %+v", p.relayed, p.Stats())
	}
	if n := len(p.Tick(900*ms, Candidates{}, nil)); n != MaxRelays || p.relayed != 0 {
		t.Fatalf("%d nacks, %d relays left", n, p.relayed)
	}
}

// A member believed dead is asked again in its own rhythm, and no verdict hangs on it.
func TestAskDead(t *testing.T) {
	p := newProber()
	asked := 0
	for now := vtime.Time(0); now <= 60*sec; now = p.Next() {
		for _, a := range p.Tick(now, Candidates{Dead: 6}, nil) {
			if a.Act != ActPing || a.To != 6 {
				t.Fatalf("%+v", a)
			}
			asked++
		}
	}
	if asked != 6 {
		t.Fatalf("asked %d times in 60 s", asked)
	}
}

// A node that nobody answers doubts itself: it slows down, up to 8 times, and recovers.
func TestDeafNodeSlowsDown(t *testing.T) {
	p := newProber()
	suspects, target := 0, ident.Handle(10)
	for now := vtime.Time(0); now < 120*sec; now = p.Next() {
		target++
		for _, a := range p.Tick(now, via(target), nil) {
			if a.Act == ActSuspect {
				suspects++
			}
		}
	}
	if p.Health() != MaxHealth || suspects > 65 {
		t.Fatalf("deaf for 2 min: health %d, %d suspects", p.Health(), suspects)
	}
	for now := p.Next(); now < 150*sec; now = p.Next() {
		target++
		for _, a := range p.Tick(now, via(target), nil) {
			if a.Act == ActPing {
				p.Ack(a.Seq, a.To, nil)
			}
		}
	}
	if p.Health() != 0 {
		t.Fatalf("health %d after 30 s of answers", p.Health())
	}
}

// A node whose timers come seconds late gives no verdict: the answers may be waiting.
func TestLateNodeAccusesNobody(t *testing.T) {
	p := newProber()
	target := ident.Handle(10)
	for now := vtime.Time(0); now < 300*sec; now += 9 * sec {
		target++
		for _, a := range p.Tick(now, via(target), nil) {
			if a.Act == ActSuspect {
				t.Fatalf("accused %d", a.Target)
			}
		}
	}
	if p.Health() == 0 || p.Stats().Late == 0 {
		t.Fatalf("health %d, %+v", p.Health(), p.Stats())
	}
}

// Whatever arrives: bounded state, a next moment, no verdict about a target that answered.
func TestProberSafety(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newProber()
		var now vtime.Time
		acked := map[uint32]bool{}
		asked := map[ident.Handle]uint32{}
		for range 80 {
			h := ident.Handle(rapid.IntRange(1, 9).Draw(t, "peer"))
			seq := uint32(rapid.IntRange(995, 1060).Draw(t, "seq"))
			switch rapid.IntRange(0, 4).Draw(t, "verb") {
			case 0:
				p.Relay(seq, h, h+1, now, nil)
			case 1:
				p.Ack(seq, h, nil)
				acked[seq] = acked[seq] || asked[h] == seq
			case 2:
				p.Nack(seq, h)
			default:
				now = vtime.Later(now, p.Next())
				for _, a := range p.Tick(now, via(h), nil) {
					switch {
					case a.Act == ActPing:
						asked[a.To] = a.Seq
					case a.Act == ActSuspect && acked[asked[a.Target]]:
						t.Fatalf("%d answered and is accused", a.Target)
					}
				}
			}
			if p.relayed > MaxRelays || p.health > MaxHealth {
				t.Fatalf("%d relays, health %d", p.relayed, p.health)
			}
			if next := p.Next(); next == vtime.Never || next > now.Add(10*vtime.Second) {
				t.Fatalf("the next moment is %d", next)
			}
		}
	})
}

func TestProberAllocs(t *testing.T) {
	p := newProber()
	out := make([]Action, 0, 16)
	target := ident.Handle(10)
	if n := testing.AllocsPerRun(1000, func() {
		target++
		out = p.Tick(p.Next(), via(target), out[:0])
		out = p.Relay(1, 7, 9, p.Next(), out[:0])
		out = p.Ack(p.seq, 9, out[:0])
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func BenchmarkProberTick(b *testing.B) {
	p := newProber()
	out := make([]Action, 0, 16)
	for i := range b.N {
		out = p.Tick(p.Next(), via(ident.Handle(10+i%1000)), out[:0])
		if len(out) > 0 {
			p.Ack(out[0].Seq, out[0].To, nil)
		}
	}
}
