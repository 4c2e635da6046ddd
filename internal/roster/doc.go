// Package roster is what a supernode believes about the supernode tier
// (PROTOCOL.md section 6): who is in it, who is suspected, who is dead, what of that
// is news, and how two supernodes find out where their beliefs differ. It decides and
// remembers; it sends nothing and reads no clock.
//
// # Who may say what
//
// A supernode speaks for itself: "I am here, incarnation 7" in a signed record, "I leave"
// in a goodbye over its own session. Everybody else can only report: "I believe that its
// incarnation 7 is suspect, dead, gone". So there are two verbs for what comes in:
//
//   - Merge takes the member's own word and this node's own conclusions. It is a
//     join (rule R11): a higher incarnation wins, within one incarnation
//     Alive < Suspect < Dead < Left, so order and repetition do not matter.
//   - Claim takes another supernode's word. It never makes anybody alive, never
//     speaks of an incarnation whose record is not held (Outcome.Want asks for it),
//     and "dead" or "gone" weighs no more than "suspect". It is a join as well.
//
// Death is therefore each roster's own conclusion, drawn when a suspicion runs out
// unrefuted. That costs nothing, since the suspicion spreads first anyway, and it
// buys two things. The halves of a mended partition, each of which has buried the
// other, do not kill each other on contact: everybody is suspected, has at least
// SuspicionMin to refute, and does. And a hostile supernode cannot remove anybody who
// answers, nor burn the incarnations of a victim, because it cannot sign for them.
//
// A supernode that hears that it is suspected answers with a later incarnation
// (Outcome.Refute). Whoever pings a suspect or a dead member should send the
// accusation along: that is how the accused comes to hear of it.
//
// # Tombstones
//
// Dead and Left members stay for a week as tombstones. The dead are asked again
// (PickDead), which is how the halves of a partition find each other; those who left
// are not. Tombstones never travel to somebody who does not hold the member, so they
// cannot be revived by hearsay after they expire.
//
// # Anti-entropy
//
// The digest covers the usable members (Alive and Suspect alike): 32 buckets by the
// top 5 bits of the ID, each in 32 parts by the next 5. Tombstones are left out, since
// rosters drop them at different times; a difference in them matters only where
// somebody still believes the member alive, and that does show in the digest.
// Every 30 s A picks a random member B:
//
//	A -> B   TopDigest                                   260 B
//	B -> A   for each differing bucket                   up to 32 x 260 B, paced
//	           SubDigest of it, or, when B holds at most a page (32) of it, at once
//	           the Page of it; one Page of the whole roster when that fits
//	A -> B   for each differing part, the Page of it     18 B + 13 B per member
//	B -> A   what Compare says: records that A lacks or has too old, notices of the
//	         dead that A lists, and a Want for what B lacks
//	A -> B   the wanted records                          340 B each, 3 in a packet
//	and      a notice for each record that a tombstone overrules (Outcome.Behind)
//
// Two and a half round trips, one and a half when the sub level is skipped (up to
// about 1 000 members), half a round trip and 260 B when nothing differs; a notice whose
// record has to be asked for adds one. A Page is complete between its first and last ID,
// so one page in one direction settles a part in both.
// At 25 000 members a part holds 24: one packet. Nothing is remembered between the
// messages, so a lost one costs only that the part is looked at again in the next
// round.
//
// A fresh member does not climb this ladder, it asks for everything: a Page with
// First 0, Last MaxID that lists itself only; B answers with the first records in ID
// order that Compare lets it tell (it fills a buffer of, say, 24: 8 packets), and A
// repeats with First set to the highest ID it has got plus one. That is one round
// trip for a tier of up to 24, and 25 000 / 24 = 1 042 round trips (104 s at 100 ms,
// 82 kB/s) for a full one, of different members in parallel if that is too slow.
// What got lost on the way the next digest finds. What is pulled so, and what comes
// from disk, goes in by Load: it is news to this node only.
//
// # Size
//
// 33 B per member (37 with the slack of growth), 900 kB for 25 000. Nothing here
// needs the roster to be complete: a roster of one zone of a larger tier works alike.
package roster
