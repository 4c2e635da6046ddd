// Package stream is what applications talk through: conversations between two nodes as
// net.Conn, net.Listener and net.PacketConn.
//
// A conversation is QUIC with TLS 1.3, end to end, between the two nodes' certified
// keys (PROTOCOL.md section 8). Below lies a virtual net.PacketConn whose addresses
// are peers' keys; it may relay, punch holes or change its route, and the endpoint
// never learns of it. Three ideas carry the package:
//
//   - Who is it? TLS is run with a self-signed X.509 certificate made from the node's
//     identity key, which carries the overlay certificate as an extension. X.509 is
//     only an envelope: names and validity are decided by the overlay certificate, and
//     both sides require one. A dialler also requires that it reached whom it dialled.
//
//   - One connection, many streams. The endpoint keeps one QUIC connection per dialled
//     peer (a link) and opens a stream per Dial. A stream begins with the name of a
//     service ("80", "chat") and the acceptor's answer, so that "nobody listens" is an
//     error of Dial and not of the first Read.
//
//   - Close agrees with the peer. A QUIC connection that is closed takes the data with
//     it that the peer has not read yet, so no side may close a link because it is
//     done itself. A side with open conversations sends keepalives, a side without
//     sends none: when both have finished, the link runs into QUIC's idle timeout on
//     both sides at once, in silence.
//
// A peer that rebooted with its disk answers packets of its former life with stateless
// resets, because the key of these is derived from its identity: conversations of
// before the reboot fail at once, and the next Dial gets a fresh link.
package stream
