package core

import "github.com/ada420b6/overlay/internal/ident"

// Touch reads what a step of this supernode is going to read, and what a message from
// peer is likely to need: a simulator with more of them than its processor has caches for
// has the next ones fetched side by side, in place of waiting for one line after the other.
func (sn *Supernode) Touch(peer ident.Handle) uint64 {
	sum := uint64(sn.deadline()) + uint64(sn.viewAt) + sn.roster.Touch(peer)
	if i, ok := sn.find(peer); ok {
		sum += uint64(sn.held[i].token)
	}
	return sum
}
