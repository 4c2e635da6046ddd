// Package session turns datagrams from anywhere into messages from a known key: Noise
// IK sessions over the node's one UDP socket.
//
// # A passive value
//
// A Table starts no goroutine, owns no socket, arms no timer and takes no lock: one
// goroutine hands it packets, payloads and the time, and it hands packets to
// Config.Out. It never retries. Whoever sends a payload retransmits it if no answer
// comes, so a lost handshake packet is a lost datagram like any other, and everything
// that makes a network heal or collapse stays in the core.
//
// # One exchange
//
// The payload that opens a session travels in the first Noise message (an Init), the
// answer in the second (a Response). Init e, es, s, ss; Response e, ee, se:
//
//	A                                        B
//	Init[A's key, payload]        -------->  Receive: Message from A, Fresh
//	                                         Send to A: the answer
//	Message from B, established   <--------  Response[answer]
//	Transport[] or queued payloads ------->  established
//
// The packet on the last line is the confirmation. It carries what was queued, or
// nothing; B keeps the session as unconfirmed, beside the one it may already have,
// until a packet proves that A holds the new keys. Without the confirmation B would
// have to hold every new session as unconfirmed until the first keepalive, which is
// 20 s instead of one round trip.
//
// # What a replayed Init can do
//
// Nothing in message 1 proves that it was made now. The table remembers the last
// maxEphemerals ephemeral keys and drops their repetitions. A recording that is older
// than those, or older than a reboot of the receiver, is accepted: its payload is
// delivered once more, marked Fresh, and an unconfirmed session appears that nobody
// can confirm. The live session is not touched. So what the core sends in message 1
// must be idempotent, and what reserves anything carries a cookie of the core's own
// (attach: the slot cookie). A replayer can displace genuine unconfirmed sessions of
// the same peer; then that handshake fails and the core's retransmission repeats it.
//
// # No gain for a forger of addresses
//
// An Init is padded to MinInit, so that a Response with MaxAnswer bytes of payload, a
// cookie reply or a Reset is never larger than the packet that caused it. What the
// table sends to an address that proved nothing is charged against the size of the
// Init; beyond that payloads wait for the confirmation.
//
// # Roaming
//
// An authentic packet proves its author, not its source: a peer can write any address
// there, and would have everything that follows sent to a victim. So packets go on to the
// session's address, and the source of the newest packet is only a candidate. It gets one
// Challenge, 37 bytes with a random token, at most once a second, and never for a smaller
// packet. The peer's table echoes the token to where the Challenge came from; the Echo,
// from the candidate and with the token, moves the session, and Receive says KindMoved.
// That costs a moved peer one round trip. Nothing is repeated: if either is lost, the next
// packet from the new address causes the next Challenge.
//
// Where a handshake went, both sides have shown that they receive: who answers an Init has
// received it where it was called, and who confirms a Response where it went.
//
// # Before any expensive work
//
// mac1 proves that the sender knows the network and the receiver's key: strangers and
// other networks are dropped for the price of one hash. Above Config.HandshakeLoad
// handshakes a second, mac2 must prove the sender's address with a cookie; the answer
// to an Init without one is 61 bytes and costs no Diffie-Hellman.
//
// # Reset
//
// A rebooted node holds no keys, so its answer to a packet of an old session can't be
// authenticated. It echoes the packet's index pair and its authentication tag, which
// only somebody who saw the packet knows: off the path a Reset can't be forged. Who is
// on the path could drop the packets anyway.
package session
