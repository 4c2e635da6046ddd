// Package liveness decides who is still there (PROTOCOL.md sections 5 and 6). It holds
// two watches that know nothing of each other:
//
//   - Prober is SWIM's failure detector for the supernode tier: in every period one member,
//     drawn at random, is pinged; if it is silent, three others are asked to ping it;
//     if that fails too, it is reported as suspect. With everybody probing at random a
//     crash is noticed after 1.58 periods on average, whatever the size of the tier, for
//     two packets a period and member (3.0 at 5 % loss).
//   - Keepalive is an ordinary node's watch on one attachment, and Silence the time after
//     which the supernode on the other end may drop the session.
//
// A sick node must not accuse healthy ones (Lifeguard): it doubts itself first. The
// Prober keeps a health of 0 (well) to 7, and multiplies its timeouts by health + 1. It
// gets worse with every probe in which not even the three helpers said anything, and
// with every timer that came late, and better with every answer. A probe whose timer came
// late ends without a verdict: the answer may lie in the socket's buffer.
//
// Both are values that are told the time and remember the next moment they need. They
// send nothing: what is to be sent is appended to the caller's buffer, or returned.
package liveness
