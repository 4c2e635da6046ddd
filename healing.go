package overlay

import (
	"time"

	"github.com/ada420b6/overlay/internal/core"
)

// HealingPolicy is every number by which the network heals that can be turned. It is plain
// data: take DefaultHealing, change a field, and rehearse it with a Simulation before you
// give it to a network, whose nodes should all have the same. The zero value is not a
// policy.
//
// The fields come in groups: finding a supernode, serving, silence, the tier, its size,
// names, login, and last the disease of 2007 and 2010. Each says what gets better and what
// gets worse when it is raised, its default, and in brackets what is allowed. What is no
// field is the same in all networks; section 13 of PROTOCOL.md lists that with the
// reason.
type HealingPolicy struct {
	// FINDING A SUPERNODE
	//
	// Attachments is how many supernodes a node keeps attached to. With 2 the loss of
	// half of the supernodes leaves 89 % of the nodes attached throughout, with 1 it
	// leaves 67 %; the second costs one slot a node. Default 2 (1 or 2).
	Attachments int
	// StartSpread: a node waits U(0, StartSpread) after it starts. Higher: machines that
	// power returns to at once ask less at once; every start is slower by half of it.
	// Default 2 s (0 to 1 h).
	StartSpread time.Duration
	// Patience is how long an asker waits for an answer. Higher: distant and loaded
	// supernodes are reached; a dead one costs more. Default 3 s (100 ms to 1 min).
	Patience time.Duration
	// ProbeWidth is how many supernodes are asked for a slot in the first round, and
	// ProbeMax how many at most, when rounds without an answer have doubled it. Higher:
	// the living are found sooner among the dead; more packets, and a hostile supernode
	// is asked more often. Defaults 2 and 8 (1 to 8, ProbeMax not below ProbeWidth).
	ProbeWidth, ProbeMax int
	// OfferTie: offers that begin this close count as equal and are drawn by lot.
	// Higher: a supernode that always offers "now" wins less; waits are longer by up
	// to half of it. Default 2 s (0 to 1 min).
	OfferTie time.Duration
	// JoinTries is how often a node asks to be attached at its slot, within Patience.
	// Higher: a slot is lost to fewer lost packets; a distant supernode is asked again
	// although its answer is under way. Default 3 (1 to 10).
	JoinTries int
	// QuickRounds is how many rounds without any answer follow each other quickly
	// before the back-off, and LoginRounds after how many the login servers are asked.
	// Higher: a short outage is overcome sooner; a long one costs more packets.
	// Defaults 6 and 4 (0 to 1000).
	QuickRounds, LoginRounds int
	// ResumeRounds is how many rounds without any answer a node waits that was a
	// supernode, before it serves again by itself. Higher: fewer superfluous supernodes
	// after a reboot of everything; all others wait for them that much longer.
	// Default 2 (0 to 1000).
	ResumeRounds int
	// BackoffMin and BackoffMax: quick rounds are U(0, BackoffMin) apart, later ones
	// U(BackoffMin, BackoffMax), for ever. Higher: less traffic in an outage; the end of
	// one is noticed later, by half of BackoffMax on average. Defaults 1 s and 30 s
	// (10 ms to 1 h; BackoffMin to 24 h).
	BackoffMin, BackoffMax time.Duration
	// PacketBudget is how many packets a node sends at most in any minute to become
	// attached. Higher: the living are found sooner among the dead; a storm is that much
	// stronger. Default 30 (6 to 10 000).
	PacketBudget int
	// HostCache is how many supernodes a node remembers, on disk too. Higher: one more
	// of them lives when most are gone (with 99 % gone, 50 strand 61 % of the nodes and
	// 500 0.7 %); 52 B of disk each. A Simulation of more than
	// 20 000 nodes keeps at most 64. Default 500 (1 to 4096).
	HostCache int
	// Anchors is how many of the supernodes that served last are asked first after a
	// start. Higher: restarts are harder to capture by poisoned caches; more time is
	// lost when they are dead. Default 4 (0 to 64).
	Anchors int
	// SecondWait is the longest wait, and SecondBelow the utilisation of a supernode up
	// to which a second attachment is taken. Higher: more nodes have two, sooner; they
	// take what orphans need after a disaster. Defaults 1 s and 0.80 (0 to SlotHorizon;
	// 0 to 1).
	SecondWait  time.Duration
	SecondBelow float64
	// SecondRetry: when no second attachment was to be had at once, it is tried again
	// after U(1, 3) times this. Higher: less load after a disaster; nodes are on one
	// attachment for longer. Default 1 min (1 s to 24 h).
	SecondRetry time.Duration

	// SERVING
	//
	// AttachRate is how many nodes a supernode takes a second, and AttachBurst how many
	// at once when it was idle. Higher: the network heals faster, in proportion; a user's
	// machine is burdened more, about 0.02 % of a core and 20 kbit for each. Defaults 20
	// and 40 (1 to 5000; 1 to what the rate takes in SlotHorizon).
	AttachRate, AttachBurst int
	// NormalSlots is how many attachments a user's machine holds, and ThinSlots how many
	// more of nodes that have no other. Higher: fewer supernodes are needed, and more of
	// them can be lost; each holds more of the network. Defaults 1600 and 5000
	// (1 and 0 to 1 048 576).
	NormalSlots, ThinSlots int
	// SlotHorizon is how far ahead slots are given. Higher: more who come at once are
	// told when instead of being sent away; longer promises die with a supernode, and
	// each slot costs 4 bits. Default 1 min (5 s to 10 min).
	SlotHorizon time.Duration
	// SlotGrace is how long after its slot a node may come. Higher: slow links and lost
	// packets cost fewer slots; late ones come on top of the rate. Below Patience the
	// last tries are in vain. Default 5 s (100 ms to 1 min).
	SlotGrace time.Duration
	// FullWait: who finds no room stays away for U(1/60, 1) times this. Higher: less
	// traffic in a storm; room that gets free is taken later. Default 30 s (1 s to 1 h).
	FullWait time.Duration
	// TicketSlots: while there is a wait, up to so many of every five slots are kept
	// for nodes that the supernode has held before. Higher: those who only rebooted are
	// back sooner; newcomers, and a flood of strangers, wait longer. Default 4 (0 to 4).
	TicketSlots int
	// LoadedAfter is the wait from which a supernode limits address groups, and reports
	// a load that lets the tier grow. Higher: a campus that comes back together is paced
	// less; help comes later. Default 15 s (100 ms to SlotHorizon).
	LoadedAfter time.Duration
	// GroupShare is the part of the horizon that one address group gets then. Higher: a
	// campus is back sooner; a flood from one network takes more from all others.
	// Default 0.05 (0.001 to 1).
	GroupShare float64
	// StormFrom is the backlog at which a supernode is at storm level 1; levels 2 and 3
	// begin at 4 and 10 times this, and each ends after this long below half. Higher:
	// what is put off in a storm is put off more rarely; it takes more from attaching.
	// Default 5 s (100 ms to a tenth of SlotHorizon).
	StormFrom time.Duration
	// LeavePatience is how long a supernode that leaves goes on serving those who have
	// not found another, at most. Higher: a planned reboot costs fewer nodes their place;
	// it takes longer where the others are overrun. Default 2 min (1 s to 10 min).
	LeavePatience time.Duration

	// SILENCE
	//
	// Keepalive is the silence after which an attachment is checked, drawn within 10 %,
	// and KeepaliveThin the same in a thin slot. Higher: fewer packets; a death without
	// goodbye is noticed later (Keepalive/2 + 6 CheckStep on average), and beyond
	// 30 s address translators forget the way. Defaults 20 s and 1 min (1 s and Keepalive
	// to 1 h).
	Keepalive, KeepaliveThin time.Duration
	// CheckStep: an unanswered check is repeated after each of these, five times in all,
	// and after two more the other side counts as dead. Higher: bad links are borne longer; deaths are noticed later.
	// Default 1 s (10 ms to 1 min).
	CheckStep time.Duration

	// THE TIER
	//
	// PingPeriod: each supernode asks one other whether it lives, once in each, and
	// asks others to ask after PingTimeout. Higher: less traffic; deaths are noticed
	// later, 1.6 periods on average. Lower: the detour by others, two round trips, no longer fits, and living ones are suspected. Defaults 2 s and 500 ms (100 ms to 1 min; 10 ms to
	// PingPeriod).
	PingPeriod, PingTimeout time.Duration
	// SuspicionMin and SuspicionMax: a supernode that did not answer has this long to
	// object, less with each that confirms. Higher: fewer living ones are buried; dead
	// ones are used longer. Defaults 5 s and 22 s (100 ms and SuspicionMin to 1 h).
	SuspicionMin, SuspicionMax time.Duration
	// GossipPeriod and GossipFanout: news are sent on to so many supernodes in each
	// period, GossipBytes a second at most. Shorter and higher: news arrive sooner, in
	// about log(supernodes)/log(1+fanout) periods; more traffic after a disaster.
	// Defaults 200 ms, 3, 32 KiB (10 ms to 1 min; 1 to 6; 1 KiB to 1 GiB).
	GossipPeriod time.Duration
	GossipFanout int
	GossipBytes  int
	// AntiEntropy: each supernode compares rosters with another about once in each.
	// Higher: less traffic; what gossip missed is repaired later. Default 30 s
	// (1 s to 24 h).
	AntiEntropy time.Duration
	// AskDead: each supernode asks one that it believes dead once in each. Higher: less
	// traffic; the halves of a partition find each other later. Default 10 s
	// (100 ms to 24 h).
	AskDead time.Duration
	// Tombstone is how long a dead supernode is remembered. Higher: longer partitions
	// mend by themselves; more memory, 32 B each. Default 7 days (1 min to 365 days).
	Tombstone time.Duration
	// Announce: the tier tells the login servers of one of its supernodes in each; it
	// counts as 5 to 100 of them, so each announces itself every 15 s to 5 min. Higher:
	// less load; a login server that has just started knows nobody for longer, and may
	// send an orphan to begin a second tier. Default 3 s (100 ms to 1 h).
	Announce time.Duration

	// THE SIZE OF THE TIER
	//
	// MinTier is how many supernodes there should be in the smallest network. Higher:
	// more of them can be lost at once; more machines serve. Default 5 (1 to 1000).
	MinTier int
	// Standbys is how many of its nodes each supernode has ready to serve when all that
	// they know are gone. Higher: the tier outlives worse; they check every tenth of
	// Keepalive. Default 2 (0 to 2).
	Standbys int
	// ScalePeriod is the rhythm in which nodes and supernodes consider their role.
	// Higher: calmer; the tier grows more slowly. Default 15 s (1 s to 24 h).
	ScalePeriod time.Duration
	// TierTarget is the mean utilisation that the tier aims at when it grows, and below
	// which a supernode that has rebooted stays an ordinary node. Higher: fewer machines
	// serve; less is free when many are lost. Default 0.5 (0.1 to 1).
	TierTarget float64
	// TierGain is the share of itself by which the tier grows at most in each
	// ScalePeriod; it shrinks by a tenth of that. Higher: it follows a rush sooner; it
	// overshoots more. Default 0.5 (0.1 to 1).
	TierGain float64
	// PromoteAbove is the mean utilisation of the tier above which nodes join it, and
	// DemoteBelow that below which supernodes leave it. Higher: fewer supernodes, each
	// fuller; less is free when many are lost. The closer they are, the more the tier
	// flaps. Defaults 0.65 and 0.30 (TierTarget to 1.3; 0 to TierTarget).
	PromoteAbove, DemoteBelow float64
	// DemoteTenure is how long a supernode serves at least, and DemoteCalm how long
	// after a storm none steps down. Higher: the tier stays larger than needed for
	// longer, which is what the next storm needs. Defaults 30 min (0 to 365 days).
	DemoteTenure, DemoteCalm time.Duration
	// DialBacks is how many supernodes, in different address groups where there are,
	// must have reached a node from outside before it may serve; all of them, where
	// there are fewer. Higher: fewer supernodes that only some can reach; a hostile or
	// dead one among them spoils more attempts. Default 3 (1 to 3).
	DialBacks int

	// NAMES
	//
	// Replicas is how many supernodes hold the record of a name. Higher: names survive
	// more deaths; more traffic, in proportion. Default 5 (1 to 5).
	Replicas int
	// RecordRefresh: the record of a name is put to them again after this, drawn within
	// 20 %, and expires after three times this. Higher: less traffic, in proportion;
	// what a replica lost is back later, and old records lie longer. Default 10 min
	// (10 s to 24 h).
	RecordRefresh time.Duration
	// LookupHedge: after this the remaining replicas are asked too, and LookupTimeout
	// ends a look-up. Higher: fewer packets; slower answers when replicas are dead.
	// Defaults 150 ms and 1 s (1 ms to LookupTimeout; 10 ms to 1 min).
	LookupHedge, LookupTimeout time.Duration
	// PutRetry: an unanswered control message is sent again after this, then twice
	// this, and so on. Higher: fewer duplicates on slow links; losses cost more time.
	// Default 500 ms (10 ms to 1 min).
	PutRetry time.Duration

	// LOGIN
	//
	// LoginPatience is how long a login server's answer is waited for. Higher: slow
	// servers are borne; a dead one costs more. Default 3 s (100 ms to 1 h).
	LoginPatience time.Duration
	// LoginQueue bounds the applications that wait at a login server, and LoginLife how
	// long one waits before it is dropped unserved, 0 for ever. Higher: more of a rush
	// is served in the end; longer than LoginPatience the server would work for those
	// who have left, which is what made the outage of 2007 last. Defaults 4096 and 3 s
	// (1 to 16 777 216; 0 to LoginPatience).
	LoginQueue int
	LoginLife  time.Duration
	// RenewRetry: a renewal of the certificate that failed is tried again after
	// U(1/2, 1) times this. Higher: less load; fewer tries are left, of a lifetime of 30
	// days with renewal at half of it. Default 1 h (1 s to 15 days).
	RenewRetry time.Duration

	// THE DISEASE: DefaultHealing has it off; Naive2007 sets it to show what it does.
	//
	// LoginFirst makes a node log in after every start before it attaches: the login
	// servers become part of the healing. Default false.
	LoginFirst bool
	// Queue is the bound of a first-come queue that replaces slots at a supernode, 0
	// for slots. Higher: fewer are turned away; once the last in line has left before
	// his turn, all work is for those who left. Default 0 (0 to 16 777 216).
	Queue int
	// QueueLife drops what has waited longer, 0 never, and QueueKeepalives lets
	// keepalives wait in the same queue. Higher: more are served; more of them have
	// left, and with keepalives in line those who are attached are lost as well.
	// Defaults 0 and false (0 to 1 h).
	QueueLife       time.Duration
	QueueKeepalives bool
	// RetryPause is a fixed pause between tries that replaces the back-off, 0 for the
	// back-off. Higher: less traffic; all come together all the same. Default 0
	// (0 to 1 h).
	RetryPause time.Duration
	// ServeDelay is how long a supernode that has rebooted waits before it serves.
	// Higher: the others bear its nodes for longer. Default 0 (0 to 24 h).
	ServeDelay time.Duration
	// QuitOverload is how long a supernode bears a queue of QuitBacklog before it
	// quits, as the software of 2010 did; 0 never. Higher: fewer quit, and what they
	// held falls on the others later. Defaults 0 and 20 s (0 to 24 h; 100 ms to 1 h).
	QuitOverload, QuitBacklog time.Duration
}

// DefaultHealing returns the policy that heals.
func DefaultHealing() HealingPolicy { return healingOf(core.DefaultPolicy()) }

// Naive2007 returns a policy like that of the network that was down for two days in
// August 2007: log in first, one attachment, 50 supernodes remembered, a first-come queue,
// a fixed pause between tries. With QuitOverload above 0 it is that of December 2010. It is for comparison in a
// Simulation: never give it to a network.
func Naive2007() HealingPolicy { return healingOf(core.NaivePolicy()) }
