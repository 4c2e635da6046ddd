// Package path is what lies under a conversation: a net.PacketConn whose addresses are
// keys, and a table of the ways there are to each of them.
//
// QUIC sees one stable address per peer. Below it a way is a channel through a relay,
// and ways come and go: a relay dies, another one is used, QUIC notices a gap and nothing
// else (PROTOCOL.md section 8, rule R12). Usually there are two, of which one is sent on;
// when it is left for the other is told in watch.go. The package knows nothing of how a
// channel is opened. It says when one is wanted, at most as often as its own back-off
// allows, and which does not work, and is told when there is another. A direct way is a
// channel that no relay knows; the two ends find it by themselves, which is told in direct.go.
//
// A packet on a channel is
//
//	 0      1         9
//	+------+---------+-------------
//	| head | channel | payload ...
//	|  1   |    8    |
//	+------+---------+-------------
//
// and is the same on both sides of a relay, which only looks the channel up. Nothing
// here is trusted: payloads are QUIC's, which proves who sent them, or probes,
// offers and punches, which prove it themselves.
package path
