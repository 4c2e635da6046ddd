package wire

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

// ProbeSize is the size of every Probe: that of the largest Offer, 30 bytes of fixed
// fields and its peers, 336 bytes when all have IPv6. (With IPv4 an Offer is 264.)
const ProbeSize = 30 + MaxPeers*PeerSize

// Class is what an attach is for; a lower one goes first.
type Class uint8

// The classes of PROTOCOL.md section 5 that a node asks for.
const (
	ClassTicket Class = iota // an orphan that holds a ticket of this supernode
	ClassOrphan              // an orphan without
	ClassSecond              // a node that has an attachment already
)

// Probe asks a supernode for a slot, outside of any session. It is padded to the size
// of the largest Offer, so that an answer never amplifies.
//
//	nonce 8 | class 1 | ticket 4 | id 8 | within 4 | zeros to ProbeSize
type Probe struct {
	Nonce  uint64         // drawn by the asker, echoed by the answer
	Class  Class          // what the slot is for
	Ticket uint32         // of the asker, for ClassTicket; else 0
	ID     ident.ID       // of the asker, for ClassTicket; else 0
	Within vtime.Duration // how far away a slot may be to be of use; 0 for any
}

// Append appends the message to b.
func (m *Probe) Append(b []byte, _ Book) []byte {
	start := len(b)
	b = header(b, KindProbe)
	b = u64(b, m.Nonce)
	b = append(b, byte(m.Class))
	b = u32(b, m.Ticket)
	b = u64(b, uint64(m.ID))
	b = wait(b, m.Within)
	for len(b)-start < ProbeSize {
		b = append(b, 0)
	}
	return b
}

// Parse reads the message from b.
func (m *Probe) Parse(b []byte, _ Book) error {
	r := read(b, KindProbe)
	m.Nonce = r.u64()
	m.Class = Class(r.upto(uint8(ClassSecond)))
	m.Ticket = r.u32()
	m.ID = ident.ID(r.u64())
	m.Within = r.wait()
	r.padding(len(b), ProbeSize)
	return r.end()
}
