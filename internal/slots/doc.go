// Package slots admits nodes to a supernode by reserved slots (PROTOCOL.md section 5).
//
// A queue of requests fails in one way: once it is longer than its clients' patience,
// everything served was given up before, the clients come again, and the queue never
// gets shorter (Queue is that queue, kept for the policy that must fail). A Calendar
// keeps no request at all. It tells the asker when to come and marks one bit; whoever
// does not come has cost one bit.
//
//	probe -> Offer: earliest free slot, cookie     nothing is kept but the bit
//	attach in the slot -> Redeem: cookie checked   once, in time
//
// A slot is 1/rate of a second: 20 a second x (60 s horizon + 5 s grace) = 1 300 slots
// in four bits each, 0.65 kB. Four rules shape what is offered:
//
//   - Burst. The next rate x 2 s slots may be used at once, so an idle supernode answers
//     "now" 40 times before anybody waits, and the long-run rate is kept.
//   - Make-up. A node asks two supernodes or more and comes to one, so half of the slots
//     and more would pass unused. Each slot that does earns a credit, and a credit is one
//     slot offered besides the calendar, for now. A flood of probes from false addresses
//     thereby wastes seconds and not the supernode.
//   - Tickets. Under load, ticket holders have four fifths of the slots if they need
//     them, others what is left, at least one fifth.
//   - Groups. Under load, one address group gets at most a twentieth of a horizon, ticket
//     holders not counted: a campus is paced, not banned.
package slots
