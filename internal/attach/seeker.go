package attach

import (
	"slices"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
)

// Phase is where a Seeker stands on the way to one attachment:
//
//	Idle -> Resting -> Asking -> Holding -> Joining -> Idle
//	           ^          |         |          |
//	           +----------+---------+----------+   nothing came of it
//
// Every phase but Idle has a deadline, so an orphan always has one armed timer (R1).
type Phase uint8

// The phases.
const (
	Idle    Phase = iota // no attachment is sought
	Resting              // the next round begins at the deadline
	Asking               // probes are out; what has come by the deadline decides
	Holding              // a slot is held; it begins at the deadline
	Joining              // the attach is out; the answer is due by the deadline
)

// MaxAsked is the most supernodes asked in one round.
const MaxAsked = 8

// Offer is a slot at a supernode.
type Offer struct {
	Peer   ident.Handle
	Slot   uint32
	Cookie uint64
	At     vtime.Time // when the slot begins
	Load   uint8      // the supernode's utilisation in 1/128
}

// lots is how many an offer has in the draw among equals: what is free of the supernode in
// 1/128, at least an eighth. Who lies that it is empty has twice the lots of one that is
// half full, no more.
func (o *Offer) lots() uint16 { return uint16(max(16, 128-int(o.Load))) }

// Seeker is the search for one attachment. The zero value is Idle.
type Seeker struct {
	Phase    Phase
	Class    uint8          // what the slot was asked for, as the caller counts; an attach must say the same
	asked    uint8          // probes sent in this round
	answered uint8          // bit i: asked[i] has answered
	busy     bool           // somebody answered that he is full
	tries    uint8          // attaches sent for the offer held
	quiet    uint16         // rounds in a row without an answer of a supernode
	wait     vtime.Duration // the shortest wait named by whoever is full
	began    vtime.Time
	until    vtime.Time
	Nonce    uint64 // of this round: echoed by every answer to it
	cands    [MaxAsked]ident.Handle
	held     Offer  // the earliest offer so far; in Holding and Joining the one chosen
	lots     uint16 // of the offers as good as held, held included
	offers   uint8  // offers in this round
	deaf     uint8  // of the quiet rounds, those in which somebody was silent
}

// Deadline returns when Due has to be asked, vtime.Never when Idle.
func (s *Seeker) Deadline() vtime.Time {
	if s.Phase == Idle {
		return vtime.Never
	}
	return s.until
}

// Stop ends the search.
func (s *Seeker) Stop() { *s = Seeker{} }

// Rest puts the next round off until t.
func (s *Seeker) Rest(t vtime.Time) { s.Phase, s.until = Resting, t }

// Quiet returns how many rounds in a row no supernode has answered. That others answer,
// who are none or none any more, brings a node no nearer.
func (s *Seeker) Quiet() int { return int(s.quiet) }

// Deaf returns in how many of these somebody who was asked was silent. In the others
// everybody has answered that he is no supernode.
func (s *Seeker) Deaf() int { return int(s.deaf) }

// Heard notes that somebody answered, so that the next rounds are quick and narrow.
func (s *Seeker) Heard() { s.quiet, s.deaf = 0, 0 }

// Ask begins a round: the caller sends a probe with nonce to each of cands.
func (s *Seeker) Ask(cands []ident.Handle, class uint8, nonce uint64, now vtime.Time, patience vtime.Duration) {
	invariant.Check(len(cands) <= MaxAsked, "attach: a round asks more than MaxAsked")
	*s = Seeker{Phase: Asking, Class: class, quiet: s.quiet, deaf: s.deaf, Nonce: nonce, began: now, until: now.Add(patience)}
	s.asked = uint8(copy(s.cands[:], cands))
}

// Far reports whether the round is over and the best offer is further away than tie.
func (s *Seeker) Far(now vtime.Time, tie vtime.Duration) bool {
	return s.Phase == Asking && now >= s.until && s.offers > 0 && s.held.At > now.Add(tie)
}

// Longer gives the round as long again as it has taken, for one who was asked late.
func (s *Seeker) Longer(now vtime.Time) { s.until = now.Add(now.Sub(s.began) + graceful) }

// Extend lets the round go on until t, if nothing comes before.
func (s *Seeker) Extend(t vtime.Time) { s.until = t }

// Also adds h to those asked in the round under way, and reports whether it is to be sent
// a probe: there is room, and it was not asked yet.
func (s *Seeker) Also(h ident.Handle) bool {
	if s.Phase != Asking || s.asked == MaxAsked || s.HasAsked(h) {
		return false
	}
	s.cands[s.asked] = h
	s.asked++
	return true
}

// Asked returns who was asked in this round.
func (s *Seeker) Asked() []ident.Handle { return s.cands[:s.asked] }

// HasAsked reports whether h was asked in this round.
func (s *Seeker) HasAsked(h ident.Handle) bool { return slices.Contains(s.Asked(), h) }

// Within is how far away a slot may be to be of use to one who is asked now, 0 for any:
// what is as good as the best offer so far may be drawn, if that is soon; if it is far
// away, only what is nearer.
func (s *Seeker) Within(now vtime.Time, tie vtime.Duration) vtime.Duration {
	if s.Phase != Asking || s.offers == 0 {
		return 0
	}
	return max(tie, s.held.At.Sub(now)-tie)
}

// Silent reports whether the i-th of Asked has not answered.
func (s *Seeker) Silent(i int) bool { return s.answered&(1<<i) == 0 }

// answer notes that from has answered the round's nonce for the first time.
func (s *Seeker) answer(from ident.Handle, nonce uint64) bool {
	if s.Phase != Asking && s.Phase != Holding || nonce != s.Nonce {
		return false
	}
	for i, h := range s.Asked() {
		if h == from && s.Silent(i) {
			s.answered |= 1 << i
			return true
		}
	}
	return false
}

// Offered takes an offer. Offers that begin within tie of each other count as equal
// and are drawn by lot: a hostile supernode always offers "now", and must not win for
// it.
func (s *Seeker) Offered(o Offer, nonce uint64, now vtime.Time, tie vtime.Duration, r *seed.Rand) {
	if !s.answer(o.Peer, nonce) {
		return
	}
	if s.Phase == Holding { // it came late, and may be better than what is in hand
		if o.At.Add(tie) <= s.held.At {
			s.held, s.until = o, vtime.Later(now, o.At)
		}
		return
	}
	s.Heard()
	s.offers++
	switch {
	case s.lots == 0 || o.At.Add(tie) <= s.held.At:
		s.held, s.lots = o, o.lots()
	case o.At <= s.held.At.Add(tie):
		s.lots += o.lots()
		if r.Intn(int(s.lots)) < int(o.lots()) {
			s.held = o
		}
	}
	// The others have as long again as this one took, and a little: a dead candidate
	// must not cost the whole patience.
	s.until = vtime.Earlier(s.until, now.Add(now.Sub(s.began)+graceful))
	s.settle(now)
}

// graceful is what an answer may be later than twice the first one's round trip.
const graceful = 50 * vtime.Millisecond

// Denied takes the answer of one that is full (wait is how long to stay away), or is no
// supernode (wait 0).
func (s *Seeker) Denied(from ident.Handle, nonce uint64, wait vtime.Duration, now vtime.Time) {
	if !s.answer(from, nonce) || s.Phase == Holding {
		return
	}
	if wait > 0 {
		s.Heard()
		if !s.busy || wait < s.wait {
			s.busy, s.wait = true, wait
		}
	}
	s.settle(now)
}

// settle ends the round as soon as everybody has answered.
func (s *Seeker) settle(now vtime.Time) {
	if s.Complete() {
		s.until = now
	}
}

// Complete reports whether everybody who was asked in this round has answered.
func (s *Seeker) Complete() bool { return s.asked > 0 && s.answered == 1<<s.asked-1 }

// Decision is what a Seeker wants at its deadline.
type Decision uint8

// The decisions.
const (
	Nothing Decision = iota // the deadline has not come
	Round                   // begin a round: Ask
	Join                    // send an attach to Held, with Nonce
	Failed                  // the round is over and brought no slot: Wait says how long to stay away
)

// Due decides at the deadline. After Failed the caller calls Rest.
func (s *Seeker) Due(now vtime.Time, retry vtime.Duration, tries int) Decision {
	if s.Phase == Idle || now < s.until {
		return Nothing
	}
	switch s.Phase {
	case Resting:
		return Round
	case Asking:
		if s.lots > 0 {
			s.Phase, s.until = Holding, vtime.Later(now, s.held.At)
			if s.until > now {
				return Nothing
			}
			return s.join(now, retry)
		}
		if !s.busy {
			s.quiet = min(s.quiet+1, 1<<16-2)
			if !s.Complete() {
				s.deaf = min(s.deaf+1, 254)
			}
		}
		return Failed
	case Holding:
		return s.join(now, retry)
	}
	if int(s.tries) < tries {
		return s.join(now, retry)
	}
	return Failed
}

func (s *Seeker) join(now vtime.Time, retry vtime.Duration) Decision {
	s.Phase = Joining
	s.tries++
	s.until = now.Add(retry)
	return Join
}

// Delay puts an attach that is due off until t: it does not count as sent.
func (s *Seeker) Delay(t vtime.Time) {
	invariant.Check(s.Phase == Joining && s.tries > 0, "attach: there is no attach to delay")
	s.tries--
	s.until = t
}

// Held returns the offer chosen.
func (s *Seeker) Held() Offer { return s.held }

// Wait returns the shortest wait that a full supernode has named in this round, 0
// when none did.
func (s *Seeker) Wait() vtime.Duration { return s.wait }

// Joins reports whether an answer from peer with nonce is the one that is awaited.
func (s *Seeker) Joins(peer ident.Handle, nonce uint64) bool {
	return s.Phase == Joining && s.held.Peer == peer && s.Nonce == nonce
}

// Hurry lets a resting or holding search go on at once.
func (s *Seeker) Hurry(now vtime.Time) {
	if s.Phase == Resting {
		s.until = now
	}
}

// Again lets the attach that is under way be sent once more at once: the supernode was
// loaded and has given a cookie for it.
func (s *Seeker) Again(now vtime.Time) {
	if s.Phase == Joining {
		s.until = now
	}
}
