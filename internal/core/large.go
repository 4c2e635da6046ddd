package core

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/slots"
)

// Supernodes differ: a user's machine holds hundreds of nodes, an operator's a million
// (WithCapacity). A large one serves attaches faster in proportion, and is named first in
// proportion, or it would be asked as rarely as any other and stay empty.

// large is a member that holds several times what a user's machine does.
type large struct {
	peer  ident.Handle
	slots uint32
}

const (
	// largeFrom is from how many times NormalSlots on a member counts as large. Below, to
	// be asked as often as the others costs it little.
	largeFrom = 4
	// maxLarge bounds those that are remembered: machines of operators are few.
	maxLarge = 256
)

// noteLarge enters a member of the tier if it is large.
func (s *step) noteLarge(h ident.Handle) {
	sn := s.env.Super
	n := s.env.Book.Slots(h)
	s.forgetLarge(h)
	if int(n) >= largeFrom*s.p.NormalSlots && len(sn.large) < maxLarge {
		sn.large = append(sn.large, large{h, n})
		sn.largeSlots += uint64(n)
	}
}

func (s *step) forgetLarge(h ident.Handle) {
	sn := s.env.Super
	for i, x := range sn.large {
		if x.peer == h {
			sn.largeSlots -= uint64(x.slots)
			sn.large = append(sn.large[:i], sn.large[i+1:]...)
			return
		}
	}
}

// drawBySlots draws a large member with the odds of its share of all slots of the tier;
// None when one of the others comes up.
func (s *step) drawBySlots() ident.Handle {
	sn := s.env.Super
	if len(sn.large) == 0 {
		return ident.None
	}
	rest := max(0, sn.roster.Usable()-len(sn.large)) * s.p.NormalSlots
	at := uint64(s.n.rng.Between(0, int64(sn.largeSlots)+int64(rest)))
	for _, x := range sn.large {
		if at < uint64(x.slots) {
			return x.peer
		}
		at -= uint64(x.slots)
	}
	return ident.None
}

// attachRate is how many nodes this supernode takes a second, attachBurst how many at
// once when it was idle.
func (s *step) attachRate() int {
	return min(max(s.p.AttachRate, s.p.AttachRate*int(s.n.slots)/s.p.NormalSlots), max(slots.MaxRate, s.p.AttachRate))
}

func (s *step) attachBurst() int { return s.p.AttachBurst * s.attachRate() / s.p.AttachRate }
