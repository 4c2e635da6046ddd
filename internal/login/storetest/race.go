package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ada420b6/overlay/internal/login"
)

const (
	raceNames   = 8 // claimed at once
	raceClaims  = 8 // identities that want each of them, over both handles
	raceOwners  = 3 // rounds: claim by all, release
	raceMembers = raceNames * raceClaims
)

// testRace has many identities claim the same names at the same moment over the handles
// a and b: each name must have exactly one winner, the others must be told, and the
// store must remember the winner. Then the names are released, and all happens again.
func testRace(t *testing.T, prefix string, a, b login.Store) {
	stores := [2]login.Store{a, b}
	for round := range raceOwners {
		var winners [raceNames]atomic.Int64  // how many
		var identity [raceNames]atomic.Int64 // who
		together(raceMembers, func(i int) {
			n, name := i%raceNames, fmt.Sprintf("%s-%d", prefix, i%raceNames)
			who := round*raceMembers + i // a new identity in every round
			generation, err := stores[i/raceNames%2].Claim(t.Context(), name, Identity(who), Session(who), now)
			switch {
			case err == nil:
				winners[n].Add(1)
				identity[n].Store(int64(who))
				if int(generation) != round+1 {
					t.Errorf("round %d: %s has generation %d", round, name, generation)
				}
			case !errors.Is(err, login.ErrTaken):
				t.Errorf("round %d: claim of %s: %v", round, name, err)
			}
		})
		for n := range raceNames {
			name := fmt.Sprintf("%s-%d", prefix, n)
			if got := winners[n].Load(); got != 1 {
				t.Fatalf("round %d: %s has %d winners", round, name, got)
			}
			for _, s := range stores {
				if got, err := s.Lookup(t.Context(), name); err != nil || got.Identity != Identity(int(identity[n].Load())) {
					t.Fatalf("round %d: %s is kept for somebody else than the winner, %v", round, name, err)
				}
			}
			if err := stores[round%2].Release(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// together runs do(0) to do(n-1) at the same moment and returns when all have ended.
func together(n int, do func(i int)) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			do(i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
}
