package wire

import (
	"github.com/ada420b6/overlay/internal/vtime"
)

// OfferStatus says whether an Offer holds a slot.
type OfferStatus uint8

// The kinds of offer.
const (
	OfferSlot       OfferStatus = iota // come at the slot
	OfferFull                          // nothing free within the horizon: wait, or try the peers
	OfferNotServing                    // not a supernode: try the peers
)

// Offer answers a Probe, outside of any session and without keeping any state about
// the asker.
//
//	nonce 8 | status 1 | wait 4 | slot 4 | cookie 8 | storm 1 | load 1 | peers (1 + n x peer)
type Offer struct {
	Nonce  uint64         // of the probe
	Status OfferStatus    // whether there is a slot
	Wait   vtime.Duration // until the slot, or how long to stay away when there is none
	Slot   uint32         // number of the slot, counted by the supernode
	Cookie uint64         // proof of the offer, bound to the asker's address and the slot
	Storm  uint8          // storm level, 0 to 3
	Load   uint8          // own utilisation in 1/128
	Peers  Peers          // living supernodes to try besides
}

// Append appends the message to b.
func (m *Offer) Append(b []byte, book Book) []byte {
	b = header(b, KindOffer)
	b = u64(b, m.Nonce)
	b = append(b, byte(m.Status))
	b = wait(b, m.Wait)
	b = u32(b, m.Slot)
	b = u64(b, m.Cookie)
	b = append(b, m.Storm)
	b = append(b, m.Load)
	b = m.Peers.append(b, book)
	return b
}

// Parse reads the message from b.
func (m *Offer) Parse(b []byte, book Book) error {
	r := read(b, KindOffer)
	m.Nonce = r.u64()
	m.Status = OfferStatus(r.upto(uint8(OfferNotServing)))
	m.Wait = r.wait()
	m.Slot = r.u32()
	m.Cookie = r.u64()
	m.Storm = r.upto(MaxStorm)
	m.Load = r.u8()
	m.Peers = r.peers(book)
	return r.end()
}
