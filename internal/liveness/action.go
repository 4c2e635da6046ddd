package liveness

import (
	"github.com/ada420b6/overlay/internal/ident"
)

// Act says what an Action asks for.
type Act uint8

// The actions. An answer to a PingRequest is an Ack or a Nack to the asker, with its
// sequence number.
const (
	ActPing        Act = iota // send Ping{Seq} to To
	ActPingRequest            // send PingRequest{Seq, Target} to To
	ActAck                    // tell To that Target answered, with To's own Seq
	ActNack                   // tell To that Target is silent, with To's own Seq
	ActSuspect                // Target did not answer in any way: suspect it
)

// Action is one thing that the caller shall do.
type Action struct {
	Act    Act
	Seq    uint32
	To     ident.Handle
	Target ident.Handle
}

// Candidates is what the caller draws from its roster for a Tick: None where there is
// nobody.
type Candidates struct {
	Target ident.Handle // a usable member, to be probed if a probe is due
	Dead   ident.Handle // one believed dead, to be asked again if that is due
	// Via may be asked to help: usable members, different ones. One more than Helpers,
	// since one of them may be the target.
	Via [Helpers + 1]ident.Handle
}

// Stats counts what a Prober met, for reports.
type Stats struct {
	Probes     uint64 // begun
	Acked      uint64 // answered, directly or by a detour
	Suspected  uint64 // ended in silence
	Late       uint64 // ended without a verdict, because the timer came late
	Skipped    uint64 // not begun: nobody to probe, or MaxProbes under way
	Relayed    uint64 // pings sent for others
	RelaysFull uint64 // requests refused: MaxRelays or MaxRelaysEach under way
	Unknown    uint64 // acks and nacks that answer nothing that is under way
}
