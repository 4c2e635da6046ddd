package stream

import "time"

// What the packets must fit into.
const (
	// MaxPacket is the largest packet that an endpoint hands to its virtual PacketConn,
	// in bytes: the largest datagram frame (1 232 B, see MaxDatagram) and at most 44 B
	// of QUIC around it need 1 276; 1 280 is QUIC's usual size and leaves the path
	// below 70 of its 1 350 B for a relay's or a session's own header.
	MaxPacket = 1280
	// MaxDatagram is the largest payload of a datagram, in bytes. With the two longest
	// ports (64 B each, see port) and its number (4 B) it makes a frame of 1 232 B.
	MaxDatagram = 1100
	// MaxService is the longest name of a service, in bytes.
	MaxService = 63
	// MaxCertificate is the longest overlay certificate that is accepted, in bytes. It
	// travels in the handshake, where QUIC sends at most 3 times what it received
	// (3 x 1 280 B) before the caller's address is proven.
	MaxCertificate = 2048
)

// How much state there may be. An endpoint's receive buffers are at most
// (MaxInbound + MaxOutbound) x windowStart + windowBudget = 2 048 x 256 KiB + 256 MiB
// = 768 MiB, if every peer there can be fills its window and nobody reads.
const (
	// MaxInbound is the number of links that peers may have opened to this endpoint,
	// those in their handshake included. A link without traffic costs about 50 KB:
	// 50 MB.
	MaxInbound = 1024
	// MaxOutbound is the number of peers to which this endpoint has dialled links.
	MaxOutbound = 1024
	// maxInboundPerPeer allows a peer's former link to live beside its successor: a
	// peer that lost a link dials a new one before this side knows.
	maxInboundPerPeer = 2
	// MaxStreams is the number of streams that one peer may have open on its link; a
	// Dial beyond it waits. A stream without data costs about 1.5 KB: 0.75 MB per link.
	MaxStreams = 512
	// AcceptQueue is the number of accepted streams that wait for Accept, per listener;
	// the next caller is told "busy". It is Linux's historical listen(2) backlog.
	AcceptQueue = 128
	// MaxPacketConns is the number of DialPacket and ListenPacket conns of an endpoint,
	// each with an inbox of at most 256 x 1 100 B = 275 KiB: 275 MiB when all are full.
	MaxPacketConns = 1024
	// inboxSize is the number of received datagrams that wait in one conn: 5 s of voice
	// at 50 a second.
	inboxSize = 256
	// sendQueueSize is the number of datagrams that wait per link for QUIC to send
	// them; more would only be older. 64 x 1 232 B = 77 KiB.
	sendQueueSize = 64
)

// Flow control. A window is what may be on its way: rate x round trip. 12 MiB carry
// 100 MB/s up to a round trip of 120 ms, one stream of 8 MiB up to 80 ms. Windows start
// at 256 KiB and double only while a reader keeps up, within the budget of the endpoint.
const (
	windowStart     = 256 << 10
	maxStreamWindow = 8 << 20
	maxLinkWindow   = 12 << 20
	windowBudget    = 256 << 20
)

// Times.
const (
	// IdleTimeout is how long a link lives without a packet from the peer. It ends a
	// link that both sides have no use for, and it is how long a conversation survives
	// without a path: worst detection of a dead relay (26 s) plus a node's p99 wait for
	// its next attachment in the worst aim of PROTOCOL.md section 10 (30 s), twice.
	IdleTimeout = 2 * time.Minute
	// keepalivePeriod is how often a side with open conversations shows that it lives:
	// four may be lost within an IdleTimeout.
	keepalivePeriod = 25 * time.Second
	// handshakeTimeout is the longest silence within a handshake; the handshake as a
	// whole may take twice as long. The first packets may have to wait for a relay.
	handshakeTimeout = 10 * time.Second
	// headerTimeout is how long an acceptor waits for the header of a stream, which
	// the dialler sends in its first packet.
	headerTimeout = 10 * time.Second
	// redialPause is the shortest time between two links that datagrams, not a Dial,
	// ask for after one failed: at most one handshake a second and peer.
	redialPause = time.Second
)

// connectionIDLength is the longest that QUIC allows, because a peer that rebooted may
// answer with a stateless reset only packets of more than 42 bytes: with 20 bytes of
// connection ID every packet with stream data is that long (1 + 20 + 2 + 4 + 16 = 43),
// and a dead conversation is learned of at the first byte. It costs 1.3 % of a packet.
const connectionIDLength = 20
