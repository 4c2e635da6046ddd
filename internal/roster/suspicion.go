package roster

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

// suspicion is the time that one suspect has left to refute.
type suspicion struct {
	start    vtime.Time
	deadline vtime.Time
	row      uint32
	accusers [maxAccusers]ident.Handle // different ones, None where there is none
}

// shrink is log(c+1)/log(k+1) in thousandths for c confirmations out of k = 3: how far
// a suspicion has gone from its longest to its shortest time (Lifeguard, section IV-B).
// A table, so that every processor comes to the same deadline.
var shrink = [maxAccusers]vtime.Duration{0, 500, 792, 1000}

// patience returns how long a suspect with c confirmations has to refute. The defaults
// give 22 s, 13.5 s, 8.536 s and 5 s.
func (p *Params) patience(c int) vtime.Duration {
	span := p.SuspicionMax - p.SuspicionMin
	return p.SuspicionMax - span/1000*shrink[c]
}

// confirmations counts the accusers beyond the first.
func (s *suspicion) confirmations() int {
	n := 0
	for _, a := range s.accusers {
		if a != ident.None {
			n++
		}
	}
	return max(n-1, 0)
}

// accuse adds one accuser and reports whether it is a new one that counts. Nobody
// accuses twice, and a fifth adds nothing.
func (s *suspicion) accuse(by ident.Handle) bool {
	if by == ident.None {
		return false
	}
	for i, a := range s.accusers {
		if a == by {
			return false
		}
		if a == ident.None {
			s.accusers[i] = by
			return true
		}
	}
	return false
}

// heap is the suspicions, the earliest deadline first. A suspect's row holds its index
// here, and a suspicion the number of its row.
type heap []suspicion

func (h heap) earlier(i, j int) bool { return h[i].deadline < h[j].deadline }

// suspect begins the suspicion of row i. The caller has seen to it that there is room.
func (t *table) suspect(i int, s suspicion) {
	s.row = uint32(i)
	k := len(t.suspects)
	t.suspects = append(grown(t.suspects), s)
	t.seat(k)
	t.rise(k)
}

// acquit ends the suspicion of row i; the caller gives the row its new note.
func (t *table) acquit(i int) {
	k, last := int(t.rows[i].value()), len(t.suspects)-1
	t.suspects[k] = t.suspects[last]
	t.suspects = t.suspects[:last]
	if k < last {
		t.seat(k)
		t.sink(t.rise(k))
	}
}

// seat tells the row of suspicion k where its suspicion stands.
func (t *table) seat(k int) { t.rows[t.suspects[k].row].note = makeNote(Suspect, uint32(k)) }

func (t *table) exchange(j, k int) {
	t.suspects[j], t.suspects[k] = t.suspects[k], t.suspects[j]
	t.seat(j)
	t.seat(k)
}

// rise moves suspicion k towards the front as far as its deadline says and returns
// its place.
func (t *table) rise(k int) int {
	for k > 0 && t.suspects.earlier(k, (k-1)/2) {
		t.exchange(k, (k-1)/2)
		k = (k - 1) / 2
	}
	return k
}

// sink moves suspicion k towards the back as far as its deadline says.
func (t *table) sink(k int) {
	for {
		c := 2*k + 1
		if c >= len(t.suspects) {
			return
		}
		if c+1 < len(t.suspects) && t.suspects.earlier(c+1, c) {
			c++
		}
		if !t.suspects.earlier(c, k) {
			return
		}
		t.exchange(k, c)
		k = c
	}
}
