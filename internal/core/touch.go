package core

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/wire"
)

// Touch reads what a step of this supernode is going to read, and what a message of kind k
// from peer is likely to need (KindNone for a timer): a simulator with more supernodes than
// its processor has caches for has the next ones fetched side by side, in place of waiting
// for one line after the other.
func (sn *Supernode) Touch(peer ident.Handle, k wire.Kind) uint64 {
	sum := uint64(sn.deadline()) + uint64(sn.viewAt)
	switch k {
	case wire.KindNone:
	case wire.KindKeepalive, wire.KindPublish, wire.KindVerify, wire.KindGoodbye, wire.KindLookup:
		if i, ok := sn.find(peer); ok {
			sum += uint64(sn.held[i].token)
		}
	default:
		sum += sn.roster.Touch(peer)
	}
	return sum
}
