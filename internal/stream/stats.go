package stream

import "sync/atomic"

// Stats is what an endpoint has counted since it was made, except where it says now.
type Stats struct {
	Inbound, Outbound int // links now, those in their handshake included

	IdentityRejected uint64 // callers that proved no identity
	LinksRefused     uint64 // callers beyond MaxInbound
	BadHeaders       uint64 // streams that began with no valid header
	StreamsRefused   uint64 // streams for a service nobody listens on
	StreamsBusy      uint64 // streams that found the accept queue full
	BadDatagrams     uint64 // datagram frames that could not be parsed
	NoReceiver       uint64 // datagrams for a port nobody has open
	InboxFull        uint64 // datagrams that the application did not read in time
	DatagramsUnsent  uint64 // datagrams for which there was no link or no room in its queue
	DatagramsLost    uint64 // datagrams that a peer sent and that have not come, as far as is known
	BadAddresses     uint64 // packets from an address that is not an Addr
	UnsentPackets    uint64 // packets that the virtual PacketConn did not take
}

// counters is the living form of Stats.
type counters struct {
	inbound atomic.Int64

	identityRejected, linksRefused                       atomic.Uint64
	badHeaders, streamsRefused, streamsBusy              atomic.Uint64
	badDatagrams, noReceiver, inboxFull, datagramsUnsent atomic.Uint64
	badAddresses, unsentPackets, datagramsLost           atomic.Uint64
}

// Stats returns the counters.
func (e *Endpoint) Stats() Stats {
	e.mu.Lock()
	outbound := len(e.out)
	e.mu.Unlock()
	c := &e.counters
	return Stats{
		Inbound:          int(c.inbound.Load()),
		Outbound:         outbound,
		IdentityRejected: c.identityRejected.Load(),
		LinksRefused:     c.linksRefused.Load(),
		BadHeaders:       c.badHeaders.Load(),
		StreamsRefused:   c.streamsRefused.Load(),
		StreamsBusy:      c.streamsBusy.Load(),
		BadDatagrams:     c.badDatagrams.Load(),
		NoReceiver:       c.noReceiver.Load(),
		InboxFull:        c.inboxFull.Load(),
		DatagramsUnsent:  c.datagramsUnsent.Load(),
		DatagramsLost:    c.datagramsLost.Load(),
		BadAddresses:     c.badAddresses.Load(),
		UnsentPackets:    c.unsentPackets.Load(),
	}
}
