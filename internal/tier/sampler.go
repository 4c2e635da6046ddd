package tier

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
	"github.com/ada420b6/overlay/internal/vtime"
)

// Samples is how many reported loads the estimate is made of. With 8 the tier flaps
// (219 000 promotions a day at 10 million users), with 64 it does not; more would be
// older. 64 x 24 B = 1.5 kB.
const Samples = 64

// MaxAge is how long a sample counts. A supernode hears at least one load a second, from
// the member it probes, so 64 come in well within that.
const MaxAge = 2 * vtime.Minute

// trimShare is the part of the samples that is left out at each end: a tenth, rounded up.
const trimShare = 10

// Sampler estimates the tier's mean utilisation from loads that other supernodes report.
// Reports are hostile input: each supernode has one sample at a time whatever it says how
// often, what it says is clamped, and the tenth at either end does not count. So k liars
// among n samples, k up to n/10, move the mean by no more than the spread of the honest.
//
// Samples are as old as they are, and a tier that grows by half every 15 s would be sized
// for a load that is long shared among more. So each remembers how many supernodes there
// were, and counts that much less when there are more now. When there are fewer nothing
// is done: half a tier that is gone may be half a partition, with its users.
//
// The zero value is empty and ready.
type Sampler struct {
	ring [Samples]sample
	n    int
}

type sample struct {
	at    vtime.Time
	peer  ident.Handle
	alive uint32 // supernodes when it was taken
	load  Load
}

// Report takes the load that a supernode states, with the number of supernodes alive as
// the receiver knows it. It replaces that supernode's earlier report, or else the oldest.
func (s *Sampler) Report(peer ident.Handle, load Load, alive int, now vtime.Time) {
	invariant.Check(alive >= 0, "tier: negative number of supernodes")
	place := 0
	for i := range s.n {
		if s.ring[i].peer == peer {
			place = i
			break
		}
		if s.ring[i].at < s.ring[place].at {
			place = i
		}
	}
	if s.n < Samples && (s.n == 0 || s.ring[place].peer != peer) {
		place = s.n
		s.n++
	}
	s.ring[place] = sample{at: now, peer: peer, alive: uint32(alive), load: Clamp(load)}
}

// Forget drops the sample of a supernode that is no longer one.
func (s *Sampler) Forget(peer ident.Handle) {
	for i := range s.n {
		if s.ring[i].peer == peer {
			s.n--
			s.ring[i] = s.ring[s.n]
			return
		}
	}
}

// Len returns how many samples of at most MaxAge there are.
func (s *Sampler) Len(now vtime.Time) int {
	n := 0
	for i := range s.n {
		if now.Sub(s.ring[i].at) <= MaxAge {
			n++
		}
	}
	return n
}

// Mean returns the trimmed mean of the samples of at most MaxAge and of the own load,
// given the number of supernodes alive now. With fewer samples than Samples it uses what
// there is; alone, that is the own load.
func (s *Sampler) Mean(own Load, alive int, now vtime.Time) Load {
	var count [int(MaxLoad) + 1]uint8
	count[Clamp(own)]++
	n := 1
	for i := range s.n {
		x := &s.ring[i]
		if now.Sub(x.at) > MaxAge {
			continue
		}
		load := uint64(x.load)
		if alive > int(x.alive) {
			load = load * uint64(x.alive) / uint64(alive)
		}
		count[load]++
		n++
	}
	return trimmedMean(&count, n)
}

// trimmedMean leaves out a tenth at each end, at least one where three or more are left
// to speak against it, and rounds to nearest.
func trimmedMean(count *[int(MaxLoad) + 1]uint8, n int) Load {
	trim := (n + trimShare - 1) / trimShare
	if n < 3 {
		trim = 0
	}
	sum, rank, kept := 0, 0, n-2*trim
	for load, c := range count {
		// Of this load's ranks [rank, rank+c), those within [trim, n-trim) count.
		in := min(rank+int(c), n-trim) - max(rank, trim)
		sum += load * max(0, in)
		rank += int(c)
	}
	return Load((sum + kept/2) / kept)
}
