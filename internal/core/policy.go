package core

import (
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// Policy is everything that the protocol decides by. It is plain data; the root
// package documents each field by its consequence and validates it.
type Policy struct {
	// Attaching (PROTOCOL.md section 5).
	Attachments  int            // live attachments a node wants: 1 or 2
	StartSpread  vtime.Duration // a node waits U(0, StartSpread) after its start
	Patience     vtime.Duration // how long an asker waits for an answer
	ProbeWidth   int            // supernodes asked in the first round; doubled while nothing answers
	ProbeMax     int            // most supernodes asked in one round
	OfferTie     vtime.Duration // offers this close count as equal
	QuickRounds  int            // rounds without any answer before the back-off starts
	LoginRounds  int            // rounds without any answer before the login servers are asked
	BackoffMin   vtime.Duration // full jitter from here
	BackoffMax   vtime.Duration // to here
	PacketBudget int            // healing packets a node sends in any minute, at most
	SecondRetry  vtime.Duration // a second attachment is tried again after U(1, 3) times this
	SecondWait   vtime.Duration // the longest wait at which a second attachment is taken
	SecondBelow  uint8          // utilisation of a supernode below which it takes one, in 1/128
	Anchors      int            // supernodes asked first after a start
	HostCache    int            // supernodes that a node remembers
	JoinTries    int            // attaches sent for one slot, within Patience
	ResumeRounds int            // rounds without any answer before a node that was a supernode serves again

	// Serving.
	AttachRate    int            // attaches served a second
	AttachBurst   int            // attaches served at once by an idle supernode
	NormalSlots   int            // attachments of a user's machine
	ThinSlots     int            // and of nodes that have no other
	FullWait      vtime.Duration // a refused node stays away U(1/60, 1) times this
	SlotHorizon   vtime.Duration // how far ahead slots are given
	SlotGrace     vtime.Duration // how long after its slot a node may come
	TicketSlots   int            // of every five slots, most that are kept for ticket holders
	LoadedAfter   vtime.Duration // wait from which groups are limited and the tier grows
	GroupShare    int            // part of the horizon for one address group then, in 1/1000
	StormFrom     vtime.Duration // backlog of storm level 1; levels 2 and 3 are at 4 and 10 times this
	LeavePatience vtime.Duration // how long a supernode that leaves goes on serving

	// Liveness.
	Keepalive     vtime.Duration // silence on an attachment before it is checked, +-10 %
	KeepaliveThin vtime.Duration // the same in a thin slot
	CheckStep     vtime.Duration // a check is repeated after 1, 2, 3 times this

	// The tier (section 6).
	PingPeriod   vtime.Duration // one supernode is asked in each
	PingTimeout  vtime.Duration // before others are asked to ask
	SuspicionMin vtime.Duration // a suspect has at least this long to answer
	SuspicionMax vtime.Duration // and at most this
	GossipPeriod vtime.Duration // news are sent on in this rhythm
	GossipFanout int            // to so many supernodes
	GossipBytes  int            // bytes of news a second, at most
	AntiEntropy  vtime.Duration // rosters are compared with a random member's in this rhythm
	AskDead      vtime.Duration // one supernode believed dead is asked again in each
	Tombstone    vtime.Duration // how long a dead supernode is remembered
	MinTier      int            // supernodes wanted however small the network is
	Standbys     int            // nodes of a supernode that serve when it dies and nobody else is left: 0 to 2
	ScalePeriod  vtime.Duration // promotion and demotion are decided in this rhythm
	TierTarget   uint8          // mean utilisation that the tier aims at, in 1/128
	TierGain     uint8          // it grows by at most this share of itself in each period, in 1/128
	PromoteAbove uint8          // mean utilisation above which nodes promote themselves, in 1/128
	DemoteBelow  uint8          // below which supernodes step down, in 1/128
	DemoteTenure vtime.Duration // nobody steps down before it has served this long
	DemoteCalm   vtime.Duration // nor before this long without a storm
	DialBacks    int            // supernodes that must have reached a node before it may serve
	Announce     vtime.Duration // the tier tells the login servers of one of its own in each

	// The directory.
	Replicas      int            // supernodes that hold a record
	RecordRefresh vtime.Duration // a record is put to them again after this, +-20 %
	LookupHedge   vtime.Duration // the other replicas are asked after this
	LookupTimeout vtime.Duration // a look-up ends after this
	PutRetry      vtime.Duration // an unanswered message of the tier is sent again after this

	// Login.
	LoginPatience vtime.Duration // how long a login server's answer is waited for
	LoginQueue    int            // applications that wait at a login server, at most
	LoginLife     vtime.Duration // one that has waited longer is dropped unserved; 0 is never
	RenewRetry    vtime.Duration // a failed renewal is tried again after U(1/2, 1) times this

	// What took the network down in 2007 and 2010 (section 11).
	LoginFirst   bool           // log in after every start, whatever is on disk
	Queue        int            // admission by a first-come queue of this bound instead of slots; 0 is slots
	QueueLife    vtime.Duration // entries older than this are dropped unserved; 0 is never
	QueueAll     bool           // keepalives wait in the same queue
	RetryPause   vtime.Duration // retry after exactly this instead of backing off; 0 is back-off
	ServeDelay   vtime.Duration // a rebooted supernode serves again only after this
	QuitOverload vtime.Duration // a supernode quits when its queue has been too long for this; 0 is never
	QuitBacklog  vtime.Duration // what is too long: the wait of who comes now
}

// DefaultPolicy is the policy that heals.
func DefaultPolicy() Policy { return defaults }

// defaults is the one place where a default is written; it is never changed.
var defaults = Policy{
	Attachments:  2,
	StartSpread:  2 * vtime.Second,
	Patience:     3 * vtime.Second,
	ProbeWidth:   2,
	ProbeMax:     8,
	OfferTie:     2 * vtime.Second,
	QuickRounds:  6,
	LoginRounds:  4,
	BackoffMin:   1 * vtime.Second,
	BackoffMax:   30 * vtime.Second,
	PacketBudget: 30,
	SecondRetry:  60 * vtime.Second,
	SecondWait:   1 * vtime.Second,
	SecondBelow:  102, // 80 %
	Anchors:      4,
	HostCache:    500,
	JoinTries:    3,
	ResumeRounds: 2,

	AttachRate:    20,
	AttachBurst:   40,
	NormalSlots:   1600,
	ThinSlots:     5000,
	FullWait:      30 * vtime.Second,
	SlotHorizon:   60 * vtime.Second,
	SlotGrace:     5 * vtime.Second,
	TicketSlots:   4,
	LoadedAfter:   15 * vtime.Second,
	GroupShare:    50,
	StormFrom:     5 * vtime.Second,
	LeavePatience: 2 * vtime.Minute,

	Keepalive:     20 * vtime.Second,
	KeepaliveThin: 60 * vtime.Second,
	CheckStep:     1 * vtime.Second,

	PingPeriod:   2 * vtime.Second,
	PingTimeout:  500 * vtime.Millisecond,
	SuspicionMin: 5 * vtime.Second,
	SuspicionMax: 22 * vtime.Second,
	GossipPeriod: 200 * vtime.Millisecond,
	GossipFanout: 3,
	GossipBytes:  32 << 10,
	AntiEntropy:  30 * vtime.Second,
	AskDead:      10 * vtime.Second,
	Tombstone:    7 * vtime.Day,
	MinTier:      5,
	Standbys:     wire.MaxStandbys,
	ScalePeriod:  15 * vtime.Second,
	TierTarget:   64, // 50 %
	TierGain:     64, // 50 %
	PromoteAbove: 83, // 65 %
	DemoteBelow:  38, // 30 %
	DemoteTenure: 30 * vtime.Minute,
	DemoteCalm:   30 * vtime.Minute,
	DialBacks:    3,
	Announce:     3 * vtime.Second,

	Replicas:      5,
	RecordRefresh: 10 * vtime.Minute,
	LookupHedge:   150 * vtime.Millisecond,
	LookupTimeout: 1 * vtime.Second,
	PutRetry:      500 * vtime.Millisecond,

	LoginPatience: 3 * vtime.Second,
	LoginQueue:    4096,
	LoginLife:     3 * vtime.Second,
	RenewRetry:    1 * vtime.Hour,

	QuitBacklog: 20 * vtime.Second,
}

// NaivePolicy is the policy that must fail: what is known and what is likely of the
// software of 2007.
func NaivePolicy() Policy {
	p := DefaultPolicy()
	p.Attachments = 1
	p.StartSpread = 0
	p.Patience = 10 * vtime.Second
	p.ProbeWidth, p.ProbeMax = 1, 1
	p.BackoffMin, p.BackoffMax = 1*vtime.Second, 1*vtime.Second
	p.PacketBudget = 240
	p.HostCache = 50
	p.LoginFirst = true
	p.Standbys = 0
	p.LoginPatience = 30 * vtime.Second
	p.LoginQueue = 1 << 20
	p.LoginLife = 0
	p.Queue = 2000
	p.QueueAll = true
	p.RetryPause = 1 * vtime.Second
	p.ServeDelay = 20 * vtime.Minute
	return p
}
