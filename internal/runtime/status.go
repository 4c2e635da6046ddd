package runtime

import (
	"context"
	"net/netip"
	"time"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/path"
	"github.com/ada420b6/overlay/internal/session"
	"github.com/ada420b6/overlay/internal/wire"
)

// Status is a node at one moment.
type Status struct {
	Name      string
	Key       ident.Key
	Role      core.Role
	Supernode bool         // it serves now
	Attached  []Attachment // a supernode's own is itself
	Certified bool
	NotAfter  time.Time      // end of the certificate; zero when there is none
	Address   netip.AddrPort // where it believes to be reachable; not valid when it does not know
	Storm     int            // 0 to 3
	Able      bool           // it was found to be reachable from outside
	Tier      wire.Tier      // as its supernodes tell it
	Remembers int            // supernodes in the host cache
	Knows     int            // peers in the book
	Sessions  int
	Calls     int // peers that it wants a way to
	Direct    int // peers that are reached without a relay

	Healing uint32 // packets sent to become attached
	Serving Serving

	Messages uint64 // of the protocol, sent since the start
	Traffic  Traffic
	Drops    Drops
	Session  session.Counters
	Path     path.Counters
	Book     BookCounters
}

// Serving is what a supernode does for others, zero for an ordinary node.
type Serving struct {
	Held, Slots, Members, Records, Channels int
}

// Attachment is a supernode that the node is attached to.
type Attachment struct {
	Key     ident.Key
	Address netip.AddrPort
}

// Traffic counts datagrams since the start.
type Traffic struct {
	PacketsIn, PacketsOut   uint64
	BytesIn, BytesOut       uint64
	RelayedPackets, Relayed uint64 // packets and bytes forwarded for others
}

// Drops says why datagrams and messages were dropped: one field per reason.
type Drops struct {
	NotOurs       uint64 // not of this protocol, or of another version
	OtherNetwork  uint64 // plain messages of other networks, or malformed
	LiveFull      uint64 // of sessions, faster than the machine
	StrangersFull uint64 // of strangers, faster than the machine
	NoSource      uint64 // without an address to answer to
	ReadErrors    uint64
	WriteErrors   uint64
	NoAddress     uint64 // to a peer whose address is not known
	Unsent        uint64 // refused by the session: full, or too large
	DialBacks     uint64 // beyond the rate of fresh sockets
	RelayWrongEnd uint64 // on a channel, but from neither of its ends
	RelayShed     uint64 // on channels, beyond the relay's budget
	Senseless     uint64 // messages that the machine could make nothing of
}

// Status returns the node as it is now; the zero Status when the node is closed.
func (n *Node) Status() (s Status) {
	_ = n.loop.call(context.Background(), func() { s = n.status() })
	return s
}

func (n *Node) status() Status {
	l, book := n.loop, n.loop.book
	s := Status{
		Name: n.config.Name, Key: n.keys.Session(), Role: n.config.Role,
		Supernode: l.env.Super != nil, Certified: book.encoded != nil, Address: book.address,
		Storm: int(n.core.Storm()), Able: n.core.Able(), Tier: n.core.Tier(),
		Knows: book.size(), Sessions: l.table.Len(), Calls: len(n.calls), Direct: n.paths.Directs(),
		Session: l.table.Counters(), Path: n.paths.Counters(), Book: book.n,
		Traffic: l.socket.traffic(), Drops: l.drops(),
	}
	s.Drops.Senseless = uint64(n.core.Bad())
	s.Healing, s.Messages = n.core.Healing(), l.n.messages
	if sn := l.env.Super; sn != nil {
		s.Serving = Serving{Held: sn.Held(), Slots: int(n.config.Slots), Members: sn.Members(), Records: sn.Records(), Channels: sn.Channels()}
	}
	if book.encoded != nil {
		s.NotAfter = time.Unix(book.own.NotAfter, 0)
	}
	for _, h := range n.core.Attachments(&l.env) {
		if h != ident.None {
			s.Attached = append(s.Attached, Attachment{Key: book.at(h).key, Address: book.at(h).addr})
		}
	}
	for i := range l.env.Cache {
		if l.env.Cache[i].Peer != ident.None {
			s.Remembers++
		}
	}
	return s
}

// Dropped is how many datagrams were received and did nothing, for whatever reason.
func (s *Status) Dropped() uint64 {
	d, p := &s.Drops, &s.Path
	return d.NotOurs + d.OtherNetwork + d.LiveFull + d.StrangersFull + d.NoSource + d.RelayWrongEnd + d.RelayShed + d.Senseless +
		s.Session.Dropped() + p.UnknownChannel + p.WrongSource + p.QueueFull + p.BadProbe
}

func (s *socket) traffic() Traffic {
	return Traffic{
		PacketsIn: s.n.packetsIn.Load(), PacketsOut: s.n.packetsOut.Load(),
		BytesIn: s.n.bytesIn.Load(), BytesOut: s.n.bytesOut.Load(),
		RelayedPackets: s.relay.packets.Load(), Relayed: s.relay.bytes.Load(),
	}
}

func (l *loop) drops() Drops {
	s := l.socket
	d := Drops{
		NotOurs: s.n.notOurs.Load(), LiveFull: s.n.liveFull.Load(), StrangersFull: s.n.strangersFull.Load(),
		NoSource: s.pc.NoSource(), ReadErrors: s.n.readErrors.Load(), WriteErrors: s.n.writeErrors.Load(),
		OtherNetwork: l.n.otherNetwork, NoAddress: l.n.noAddress, Unsent: l.n.unsent, DialBacks: l.n.afarDropped,
		RelayWrongEnd: s.relay.source.Load(),
	}
	if b := s.relay.budget; b != nil {
		d.RelayShed = b.dropped.Load()
	}
	return d
}
