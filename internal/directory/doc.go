// Package directory answers "where can this name be reached?" with no coordinator, no
// routing and no consensus (PROTOCOL.md section 6).
//
// The hash of a name falls into one of 65 536 zones. A zone lives on the five
// supernodes that score highest for it: the score of a member is a keyed hash of its
// ID and the zone, so every supernode that knows the roster works out the same five
// alone. Two rosters that differ a little give sets that differ a little, and the
// highest-ranked member is nearly always in both: that is why nobody has to agree with
// anybody. What a reader misses at rank 1 it finds at ranks 2 to 5.
//
// Nothing here is kept for good. The supernode that holds a user's attachment puts the
// user's record to the five every ten minutes (Held), a replica forgets what was not put
// again (Store), and so every mistake (a record at the wrong supernode, a replica that
// died, a roster that was wrong) is gone after half an hour without anyone cleaning up.
//
// The parts:
//
//	Rank, Ranking  which supernodes hold a zone; Cache remembers some answers
//	Store          the records that this supernode holds for others
//	Held           the users whose records this supernode keeps alive elsewhere
//	Pending        puts that wait for their acknowledgement
//	Lookups        questions that wait for an answer
//
// All are plain values stepped by the core. Time and chance are handed in; what is to be
// sent is appended to the caller's buffer.
package directory
