package roster

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

// State is what is believed of a member.
type State uint8

// The states, in the order in which a later one overrules an earlier one of the same
// incarnation.
const (
	Alive   State = iota // it said so itself
	Suspect              // accused, and given time to refute; still used
	Dead                 // did not refute; asked again now and then
	Left                 // said goodbye; not asked again
)

// Usable reports whether a member in state s is counted, picked and ranked.
func (s State) Usable() bool { return s <= Suspect }

// Member is one supernode as believed, or a piece of news about one.
type Member struct {
	Peer  ident.Handle
	ID    ident.ID
	Inc   uint32 // incarnation: a higher one overrules a lower one
	State State
	// Accuser is who suspects, in news of a suspicion; None elsewhere and when it is
	// not known. Each different accuser shortens the time that a suspect is given.
	Accuser ident.Handle
	// Since is when this state was entered here, to the second. It is this roster's
	// own memory: news that come in need not set it.
	Since vtime.Time
}

// The named maxima.
const (
	// MaxMembers bounds the usable members: beyond 200 000 two-level zones take over.
	// 262 144 x 31.5 B = 8.3 MB.
	MaxMembers = 1 << 18
	// MaxTombstones bounds the dead and the left; the oldest is dropped first. It is
	// 2.6 times the target tier of 25 000: 65 536 x 31.5 B = 2.1 MB.
	MaxTombstones = 1 << 16
	// MaxSuspects bounds the suspicions that run at once. Half of 25 000 crash: 12 500
	// suspects within 22 s, 16 384 x 40 B = 655 kB. A suspicion beyond it is refused;
	// whoever probes the member next raises it again.
	MaxSuspects = 1 << 14
	// MaxNews bounds each of the two news queues. At 32 kB/s 2 000 claims leave a
	// second: two seconds' worth, 4 096 x 20 B = 82 kB. An overflow drops what has
	// been sent most often, and anti-entropy repairs.
	MaxNews = 1 << 12
	// MaxInc is the highest incarnation believed. A refutation is one higher than the
	// accusation, so this is out of honest reach: one a second for 68 years.
	MaxInc = 1<<31 - 1
	// MaxExclude bounds the peers that one Pick is told to avoid.
	MaxExclude = 8
	// accusers are remembered per suspicion: the first and three who confirm.
	maxAccusers = 4
)

// MaxID is the highest ID: the end of a range that reaches to the end of the roster.
const MaxID = ^ident.ID(0)

// Params is the policy of a roster.
type Params struct {
	// SuspicionMin and SuspicionMax bound the time a suspect has to refute: Max when
	// accused by one, Min when confirmed by three more. Higher: fewer live members
	// buried by mistake, dead ones used longer.
	SuspicionMin, SuspicionMax vtime.Duration
	// Tombstone is how long the dead and the left are remembered. Lower than the
	// longest partition, and its halves no longer find each other.
	Tombstone vtime.Duration
	// GossipBytes a second may be spent on news, and as many at once.
	GossipBytes int
}

const (
	// lambda times log2(members+1) is how often one item of news is sent on: 30 times
	// at 25 000 members, which is 90 messages at a fanout of 3. Whom it misses,
	// anti-entropy tells; more would mostly go to those who know.
	lambda = 2
	// claimBytes and recordBytes are what one item of news takes on the wire: an
	// accusation, and a signed record.
	claimBytes, recordBytes = 16, 300
	// packetClaims and packetRecords bound the items in one packet, as wire does.
	packetClaims, packetRecords = 32, 3
)

// PacketNews is how many pieces of news one packet has at most.
const PacketNews = packetClaims + packetRecords
