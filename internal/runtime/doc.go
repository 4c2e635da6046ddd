// Package runtime drives the protocol core in the real world: sockets, clock, keys and
// a disk.
//
// One goroutine (loop.go) owns one machine and everything that only one goroutine may
// touch: the book from handle to key and address (book*.go), the sessions, the pending
// look-ups and calls. Whatever happens, a datagram, a deadline, a wish of the
// application, becomes an Input, one after the other, and the effects of each are
// carried out before the next (carry.go, nodeeffects.go). No other code decides when
// anything is sent or repeated: that is the core's, so that the simulator shows what
// reality will do.
//
// A second goroutine reads the socket (socket.go). It sorts datagrams into two bounded
// queues, sessions before strangers (rule R6)
// and no source more than its share (bucket.go), and forwards what belongs to a relayed
// channel by itself: one look-up and one write, no step, no cryptography (relay.go).
//
// A third writes the state directory (state.go, keeper.go), so that a disk that hangs
// delays nothing. Nothing on disk is needed to go on; everything on it can be damaged.
//
// What a node was told and what it decided can be recorded and replayed through a fresh
// machine (recorder.go, replay.go): the test of the whole design.
//
// Node is the driver of core.Node, LoginServer that of core.LoginServer.
package runtime
