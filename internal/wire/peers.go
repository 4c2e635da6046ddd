package wire

import (
	"github.com/ada420b6/overlay/internal/ident"
)

// Peers is a list of at most MaxPeers peers, without allocation.
type Peers struct {
	n    uint8
	list [MaxPeers]ident.Handle
}

// Add appends h unless it is None, already there, or the list is full.
func (p *Peers) Add(h ident.Handle) {
	if h == ident.None || int(p.n) == MaxPeers || p.Has(h) {
		return
	}
	p.list[p.n] = h
	p.n++
}

// Has reports whether h is in the list.
func (p *Peers) Has(h ident.Handle) bool {
	for _, x := range p.list[:p.n] {
		if x == h {
			return true
		}
	}
	return false
}

// All returns the peers. The slice shares the list's memory.
func (p *Peers) All() []ident.Handle { return p.list[:p.n] }

func (p *Peers) append(b []byte, book Book) []byte {
	b = append(b, p.n)
	for _, h := range p.All() {
		b = book.AppendPeer(b, h)
	}
	return b
}

func (r *reader) peers(book Book) (p Peers) {
	for range r.count(MaxPeers) {
		p.Add(r.peer(book))
	}
	return p
}

func (p *Peers) appendIDs(b []byte, book Book) []byte {
	b = append(b, p.n)
	for _, h := range p.All() {
		b = book.AppendID(b, h)
	}
	return b
}

func (r *reader) ids(book Book) (p Peers) {
	for range r.count(MaxPeers) {
		p.Add(r.id(book))
	}
	return p
}
