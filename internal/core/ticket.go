package core

import (
	"encoding/binary"

	"github.com/dchest/siphash"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/slots"
	"github.com/ada420b6/overlay/internal/wire"
)

// Ticket is a supernode's word that a node has been attached to it: under load the node
// goes before strangers when it comes back. The supernode keeps nothing for it; the
// ticket is a keyed hash of the node's ID, and the key is the same after a reboot.
type Ticket struct {
	Peer ident.Handle // who gave it
	Mark uint32       // what proves it; never 0. A guess that is right would only save a wait.
}

// MaxTickets is how many tickets a node keeps: those of the supernodes that it asks
// first.
const MaxTickets = 4

// Tickets are a node's tickets, the latest first.
type Tickets [MaxTickets]Ticket

// of returns the ticket that peer gave, 0 when there is none.
func (t *Tickets) of(peer ident.Handle) uint32 {
	for i := range t {
		if t[i].Peer == peer {
			return t[i].Mark
		}
	}
	return 0
}

// keep enters a ticket in front; the oldest makes room.
func (t *Tickets) keep(k Ticket) {
	if k.Mark == 0 {
		return
	}
	i := 0
	for i < MaxTickets-1 && t[i].Peer != k.Peer {
		i++
	}
	copy(t[1:i+1], t[:i])
	t[0] = k
}

// Tickets returns the node's tickets, to be kept on disk.
func (n *Node) Tickets() Tickets { return n.tickets }

// ticketFor returns the ticket of the node with that ID.
func (s *step) ticketFor(id ident.ID) uint32 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(id))
	k := s.n.ticketKey
	return uint32(siphash.Hash(k[0], k[1], b[:])) | 1
}

// probeFor is the probe to send to h: with a ticket of h's, if the node has one and
// needs it.
func (s *step) probeFor(h ident.Handle, class wire.Class, nonce uint64) wire.Probe {
	m := wire.Probe{Nonce: nonce, Class: class}
	if mark := s.n.tickets.of(h); mark != 0 && class == wire.ClassOrphan {
		m.Class, m.Ticket, m.ID = wire.ClassTicket, mark, s.env.Book.ID(s.n.self)
	}
	return m
}

// request is what a probe asks of the calendar. A ticket that is not this supernode's,
// or not that node's, counts for nothing.
func (s *step) request(m *wire.Probe) slots.Request {
	q := slots.Request{Class: slots.Class(m.Class), Origin: s.in.Origin, Group: s.in.Group, Load: s.load(), Within: m.Within}
	if m.Class != wire.ClassTicket {
		return q
	}
	if m.Ticket != s.ticketFor(m.ID) {
		q.Class = slots.Orphan
		return q
	}
	q.Origin = ticketOrigin(q.Origin, m.ID)
	return q
}

// ticketOrigin binds an offer to the node that the ticket is for: who has overheard a
// ticket can't redeem what it brings, since a session proves the ID.
func ticketOrigin(origin uint64, id ident.ID) uint64 { return origin ^ uint64(id) }
