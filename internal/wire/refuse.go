package wire

import (
	"github.com/ada420b6/overlay/internal/vtime"
)

// Refusal is why an attach was denied.
type Refusal uint8

// The reasons.
const (
	RefusedSlot   Refusal = iota // the cookie or the slot is not, or no longer, good
	RefusedFull                  // no slot of either kind is left
	RefusedRecord                // the record is not the asker's, or older than one seen
	RefusedClosed                // not a supernode, or about to leave
)

// Refuse denies an Attach.
//
//	nonce 8 | reason 1 | wait 4 | storm 1 | peers (1 + n x peer)
type Refuse struct {
	Nonce  uint64         // of the attach
	Reason Refusal        // why
	Wait   vtime.Duration // how long to stay away from this supernode
	Storm  uint8          // storm level, 0 to 3
	Peers  Peers          // living supernodes to try
}

// Append appends the message to b.
func (m *Refuse) Append(b []byte, book Book) []byte {
	b = header(b, KindRefuse)
	b = u64(b, m.Nonce)
	b = append(b, byte(m.Reason))
	b = wait(b, m.Wait)
	b = append(b, m.Storm)
	b = m.Peers.append(b, book)
	return b
}

// Parse reads the message from b.
func (m *Refuse) Parse(b []byte, book Book) error {
	r := read(b, KindRefuse)
	m.Nonce = r.u64()
	m.Reason = Refusal(r.upto(uint8(RefusedClosed)))
	m.Wait = r.wait()
	m.Storm = r.upto(MaxStorm)
	m.Peers = r.peers(book)
	return r.end()
}
