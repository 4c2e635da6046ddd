package overlay_test

import (
	"fmt"
	"log"
	"time"

	"github.com/ada420b6/overlay"
)

// rehearse is an ordinary day of n nodes with a policy, and then a patch day: a share of all
// machines reboots within five minutes.
func rehearse(p overlay.HealingPolicy, n int, share float64) (*overlay.Simulation, error) {
	s, err := overlay.NewSimulation(1, overlay.WithHealing(p))
	if err != nil {
		return nil, err
	}
	s.Add(n)
	if ordinary, err := s.WarmUp(15 * time.Minute); !ordinary {
		return nil, fmt.Errorf("no ordinary day: %v, %w", s.Census(), err)
	}
	s.ResetCensus()
	s.Reboot(share, 5*time.Minute, 2*time.Minute)
	return s, s.Run(15 * time.Minute)
}

// Your own policy, tested: the same lines with a *testing.T are a test. An error of Run is a
// rule that was broken, and says how to see it again; your own conditions can say so too.
func ExampleHealingPolicy_test() {
	mine := overlay.DefaultHealing()
	mine.AttachRate, mine.AttachBurst = 10, 20 // half the burden for users' machines

	s, err := overlay.NewSimulation(1, overlay.WithHealing(mine))
	if err != nil {
		log.Fatal(err)
	}
	s.Add(300)
	if ordinary, err := s.WarmUp(15 * time.Minute); !ordinary {
		log.Fatal(s.Census(), err)
	}
	s.ResetCensus() // from here on
	s.RebootSupernodes(0.5, time.Minute, time.Minute)
	if err := s.Run(5 * time.Minute); err != nil {
		log.Fatal(err)
	}
	if c := s.Census(); c.Attached < c.Running || c.MinAttached < 0.9 || c.WaitP99 > 10*time.Second {
		log.Fatalf("%v, p99 of the waits %v\n%s", c, c.WaitP99, s.Repeat())
	}
	fmt.Println("it heals")
	// Output: it heals
}

// The border of a policy, by bisection: up to which share of machines that reboot does the
// network of 2007 heal?
func ExampleHealingPolicy_border() {
	heals := func(share float64) bool {
		s, err := rehearse(overlay.Naive2007(), 300, share)
		if err != nil {
			log.Fatal(err)
		}
		c := s.Census()
		return c.Attached == c.Running
	}
	low, high := 0.0, 1.0 // it heals at low and not at high
	for high-low > 0.05 {
		if middle := (low + high) / 2; heals(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	fmt.Println("the border is at 5 to 25 %:", low >= 0.05 && high <= 0.25)
	// Output: the border is at 5 to 25 %: true
}

// Two policies side by side, under more and more load. With figures instead of words it is
// the table to look at.
func ExampleHealingPolicy_table() {
	fmt.Println("reboot   2007    default")
	for _, share := range []float64{0.05, 0.3, 0.9} {
		fmt.Printf("%4.0f %%", 100*share)
		for _, p := range []overlay.HealingPolicy{overlay.Naive2007(), overlay.DefaultHealing()} {
			s, err := rehearse(p, 200, share)
			if err != nil {
				log.Fatal(err)
			}
			word := "fails"
			if c := s.Census(); c.Attached == c.Running {
				word = "heals"
			}
			fmt.Printf("   %s", word)
		}
		fmt.Println()
	}
	// Output:
	// reboot   2007    default
	//    5 %   heals   heals
	//   30 %   fails   heals
	//   90 %   fails   heals
}

// Why do those who have no attachment have none? In 2007, because they wait for the login
// servers. Printed, an Explanation tells a node's story.
func ExampleSimulation_Explain() {
	s, err := rehearse(overlay.Naive2007(), 200, 0.8)
	if err != nil {
		log.Fatal(err)
	}
	waits, story := make(map[overlay.Wait]int), 0
	for node := range 200 {
		e := s.Explain(node)
		if e.Running && !e.Supernode && len(e.Attached) == 0 {
			waits[e.Wait]++
			story = len(e.History) // fmt.Println(e) tells it
		}
	}
	fmt.Println(waits[overlay.WaitLogin] > waits[overlay.WaitSlot]+waits[overlay.WaitPause], story > 3)
	// Output: true true
}

// What String tells of a node, but for its history: each of its last steps with its moment.
func ExampleExplanation() {
	s, err := overlay.NewSimulation(1)
	if err != nil {
		log.Fatal(err)
	}
	s.Add(30)
	if err := s.Run(time.Minute); err != nil {
		log.Fatal(err)
	}
	s.Reboot(1, 0, 0) // the power is cut, for good
	e := s.Explain(7)
	e.History = nil
	fmt.Print(e)
	// Output:
	// node 7 at 0:01:00.000 is off
	//   waits for power
}

// A network of more than 10 000 machines keeps no histories, but those of the nodes that are
// named. A run with the same seed is the same run, so it can be asked afterwards.
func ExampleWithWatch() {
	s, err := overlay.NewSimulation(1, overlay.WithMaxNodes(20_000), overlay.WithWatch(3))
	if err != nil {
		log.Fatal(err)
	}
	s.Add(50)
	if err := s.Run(time.Minute); err != nil {
		log.Fatal(err)
	}
	for _, node := range []int{3, 4} {
		e := s.Explain(node)
		fmt.Println(e.Watched, len(e.History) > 0, e.Wait)
	}
	fmt.Println("the first step:", s.Explain(3).History[0].What)
	// Output:
	// true true nothing
	// false false nothing
	// the first step: starts
}

// What a test prints when its own condition fails.
func ExampleSimulation_Repeat() {
	s, err := overlay.NewSimulation(42)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(s.Repeat())
	// Output: OVERLAY_SEED=42 go test -run '^ExampleSimulation_Repeat$' github.com/ada420b6/overlay
}

// A morning in one time zone: it is half past five when it begins.
func ExampleSimulation_Daily() {
	s, err := overlay.NewSimulation(1, overlay.WithZones(5*time.Hour+30*time.Minute, overlay.Zone{UTC: 0, Share: 1}))
	if err != nil {
		log.Fatal(err)
	}
	s.Add(60)
	s.Daily(0.2, 0.8)
	if ordinary, err := s.WarmUp(15 * time.Minute); !ordinary {
		log.Fatal(s.Census(), err)
	}
	before := s.Census().Running
	if err := s.Run(4 * time.Hour); err != nil {
		log.Fatal(err)
	}
	fmt.Println("twice as many at ten:", s.Census().Running >= 2*before)
	// Output: twice as many at ten: true
}

// A patch follows the sun. Here it comes to the eastern half ten minutes before the other.
func ExampleSimulation_RebootByZone() {
	s, err := overlay.NewSimulation(1, overlay.WithZones(2*time.Hour+30*time.Minute,
		overlay.Zone{UTC: 10 * time.Minute, Share: 1}, overlay.Zone{UTC: 0, Share: 1}))
	if err != nil {
		log.Fatal(err)
	}
	s.Add(100)
	if ordinary, err := s.WarmUp(15 * time.Minute); !ordinary {
		log.Fatal(s.Census(), err)
	}
	s.RebootByZone(1, 3*time.Hour, 0, 0) // all, at three o'clock, for good
	for _, minute := range []time.Duration{19, 21, 31} {
		if err := s.Run(minute*time.Minute - s.Census().Time); err != nil {
			log.Fatal(err)
		}
		c := s.Census()
		fmt.Println(c.Running == 100, c.Running > 0)
	}
	// Output:
	// true true
	// false true
	// false false
}

// A patch that is rolled out in rings, and stopped when a ring does harm: in the network of
// 2007 the third of them does.
func ExampleSimulation_RebootRing() {
	s, err := overlay.NewSimulation(1, overlay.WithHealing(overlay.Naive2007()))
	if err != nil {
		log.Fatal(err)
	}
	s.Add(300)
	if ordinary, err := s.WarmUp(15 * time.Minute); !ordinary {
		log.Fatal(s.Census(), err)
	}
	for _, ring := range []float64{0.01, 0.05, 0.3, 1} {
		s.ResetCensus()
		n := s.RebootRing(ring, time.Minute, 2*time.Minute)
		if err := s.Run(15 * time.Minute); err != nil {
			log.Fatal(err)
		}
		c := s.Census()
		fmt.Println(n, c.Attached == c.Running)
		if c.Attached < c.Running {
			break // the rest is spared
		}
	}
	// Output:
	// 3 true
	// 15 true
	// 90 false
}
