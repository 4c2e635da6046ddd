package overlay

import (
	"errors"
	"fmt"
	"time"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/vtime"
)

// HealingPolicy is every number by which the network heals. It is plain data: take
// DefaultHealing, change a field, and rehearse it with a Simulation before you give it
// to a network. The zero value is not a policy.
//
// Each field says what gets better and what gets worse when it is raised.
type HealingPolicy struct {
	// Attachments is how many supernodes a node keeps attached to: 1 or 2. With 2 the
	// loss of half of the supernodes leaves 89 % of the nodes attached throughout, with
	// 1 it leaves 67 %; the second costs one slot a node. Default 2.
	Attachments int
	// StartSpread: a node waits U(0, StartSpread) after it starts. Higher: machines that
	// power returns to at once ask less at once; every start is slower by half of it.
	// Default 2 s.
	StartSpread time.Duration
	// Patience is how long an asker waits for an answer. Higher: distant and loaded
	// supernodes are reached; a dead one costs more. Default 3 s.
	Patience time.Duration
	// ProbeWidth is how many supernodes are asked for a slot in the first round, and
	// ProbeMax how many at most, when rounds without an answer have doubled it. Higher:
	// the living are found sooner among the dead; more packets, and a hostile supernode
	// is asked more often. Defaults 2 and 8; ProbeMax is at most 8.
	ProbeWidth, ProbeMax int
	// OfferTie: offers that begin this close count as equal and are drawn by lot.
	// Higher: a supernode that always offers "now" wins less; waits are longer by up
	// to half of it. Default 2 s.
	OfferTie time.Duration
	// QuickRounds is how many rounds without any answer follow each other quickly
	// before the back-off, and LoginRounds after how many the login servers are asked.
	// Higher: a short outage is overcome sooner; a long one costs more packets.
	// Defaults 6 and 4.
	QuickRounds, LoginRounds int
	// BackoffMin and BackoffMax: later rounds are U(BackoffMin, BackoffMax) apart, for
	// ever. Higher: less traffic in an outage; the end of one is noticed later, by half
	// of BackoffMax on average. Defaults 1 s and 30 s.
	BackoffMin, BackoffMax time.Duration
	// PacketBudget is how many packets a node sends at most in any minute to become
	// attached. Higher: the living are found sooner among the dead; a storm is that much
	// stronger. Default 30.
	PacketBudget int
	// SecondRetry: when no second attachment was to be had at once, it is tried again
	// after U(1, 3) times this. Higher: less load after a disaster; nodes are on one
	// attachment for longer. Default 1 min.
	SecondRetry time.Duration
	// Anchors is how many of the supernodes that served last are asked first after a
	// start. Higher: restarts are harder to capture by poisoned caches; more time is
	// lost when they are dead. Default 4.
	Anchors int

	// AttachRate is how many nodes a supernode takes a second, and AttachBurst how many
	// at once when it was idle. Higher: the network heals faster, in proportion; a user's
	// machine is burdened more, about 0.02 % of a core and 20 kbit for each.
	// Defaults 20 and 40.
	AttachRate, AttachBurst int
	// NormalSlots is how many attachments a user's machine holds, and ThinSlots how many
	// more of nodes that have no other. Higher: fewer supernodes are needed, and more of
	// them can be lost; each holds more of the network. Defaults 1600 and 5000.
	NormalSlots, ThinSlots int
	// FullWait: who finds no room stays away for up to this. Higher: less traffic in a
	// storm; room that gets free is taken later. Default 30 s.
	FullWait time.Duration

	// Keepalive is the silence after which an attachment is checked, drawn within 10 %,
	// and KeepaliveThin the same in a thin slot. Higher: fewer packets; a death without
	// goodbye is noticed later (Keepalive/2 + 6 CheckStep on average), and beyond
	// 30 s address translators forget the way. Defaults 20 s and 60 s.
	Keepalive, KeepaliveThin time.Duration
	// CheckStep: a check is repeated after 1, 2 and 3 times this before the other side
	// counts as dead. Higher: bad links are borne longer; deaths are noticed later.
	// Default 1 s.
	CheckStep time.Duration

	// PingPeriod: each supernode asks one other whether it lives, once in each, and
	// asks others to ask after PingTimeout. Higher: less traffic; deaths are noticed
	// later, 1.6 periods on average. Defaults 1 s and 500 ms.
	PingPeriod, PingTimeout time.Duration
	// SuspicionMin and SuspicionMax: a supernode that did not answer has this long to
	// object, less with each that confirms. Higher: fewer living ones are buried; dead
	// ones are used longer. Defaults 5 s and 22 s.
	SuspicionMin, SuspicionMax time.Duration
	// GossipPeriod and GossipFanout: news are sent on to so many supernodes in each
	// period, GossipBytes a second at most. Shorter and higher: news arrive sooner, in
	// about log(supernodes)/log(1+fanout) periods; more traffic after a disaster.
	// Defaults 200 ms, 3, 32 KiB.
	GossipPeriod time.Duration
	GossipFanout int
	GossipBytes  int
	// AntiEntropy: each supernode compares rosters with another about once in each.
	// Higher: less traffic; what gossip missed is repaired later. Default 30 s.
	AntiEntropy time.Duration
	// AskDead: each supernode asks one that it believes dead once in each. Higher: less
	// traffic; the halves of a partition find each other later. Default 10 s.
	AskDead time.Duration
	// Tombstone is how long a dead supernode is remembered. Higher: longer partitions
	// mend by themselves; more memory, 32 B each. Default 7 days.
	Tombstone time.Duration

	// MinTier is how many supernodes there should be in the smallest network. Higher:
	// more of them can be lost at once; more machines serve. Default 5.
	MinTier int
	// ScalePeriod is the rhythm in which nodes and supernodes consider their role.
	// Higher: calmer; the tier grows more slowly, 1.5 times in each. Default 15 s.
	ScalePeriod time.Duration
	// PromoteAbove is the mean utilisation of the tier above which nodes join it, and
	// DemoteBelow that below which supernodes leave it. Higher: fewer supernodes, each
	// fuller; less is free when many are lost. The closer they are, the more the tier
	// flaps. Defaults 0.65 and 0.30; PromoteAbove is 0.5, which the tier aims at, to 1.3.
	PromoteAbove, DemoteBelow float64
	// DemoteTenure is how long a supernode serves at least, and DemoteCalm how long
	// after a storm none steps down. Higher: the tier stays larger than needed for
	// longer, which is what the next storm needs. Defaults 30 min.
	DemoteTenure, DemoteCalm time.Duration

	// Replicas is how many supernodes hold the record of a name, 1 to 5. Higher: names
	// survive more deaths; more traffic, in proportion. Default 5.
	Replicas int
	// LookupHedge: after this the remaining replicas are asked too, and LookupTimeout
	// ends a look-up. Higher: fewer packets; slower answers when replicas are dead.
	// Defaults 150 ms and 1 s.
	LookupHedge, LookupTimeout time.Duration
	// PutRetry: an unanswered control message is sent again after this, then twice
	// this, and so on. Higher: fewer duplicates on slow links; losses cost more time.
	// Default 500 ms.
	PutRetry time.Duration

	// LoginPatience is how long a login server's answer is waited for. Default 3 s.
	LoginPatience time.Duration
	// LoginQueue bounds the applications that wait at a login server, and LoginLife how
	// long one waits before it is dropped unserved, 0 for ever. LoginLife longer than
	// LoginPatience makes the server work for those who have left, which is what made
	// the outage of 2007 last. Defaults 4096 and 3 s.
	LoginQueue int
	LoginLife  time.Duration
	// RenewRetry: a renewal of the certificate that failed is tried again after
	// U(1/2, 1) times this. Higher: less load; with a lifetime of 30 days and renewal
	// at half of it there is time. Default 1 h.
	RenewRetry time.Duration

	// The fields below are the disease. DefaultHealing leaves them zero; Naive2007 sets
	// them to show what they do.

	// LoginFirst makes a node log in after every start before it attaches.
	LoginFirst bool
	// Queue is the bound of a first-come queue that replaces slots at a supernode, 0
	// for slots. QueueLife drops what has waited longer, 0 never; QueueKeepalives lets
	// keepalives wait in the same queue.
	Queue           int
	QueueLife       time.Duration
	QueueKeepalives bool
	// RetryPause is a fixed pause between tries that replaces the back-off, 0 for the
	// back-off.
	RetryPause time.Duration
	// ServeDelay is how long a supernode that has rebooted waits before it serves.
	ServeDelay time.Duration
	// QuitOverload is how long a supernode bears a queue of 20 s before it quits, as
	// the software of 2010 did; 0 never.
	QuitOverload time.Duration
}

// DefaultHealing returns the policy that heals.
func DefaultHealing() HealingPolicy { return healingOf(core.DefaultPolicy()) }

// Naive2007 returns a policy like that of the network that was down for two days in
// August 2007: log in first, one attachment, a first-come queue, a fixed pause between
// tries. It is for comparison in a Simulation: never give it to a network.
func Naive2007() HealingPolicy { return healingOf(core.NaivePolicy()) }

// load128 is the unit of utilisation in the protocol.
const load128 = 128

func healingOf(p core.Policy) HealingPolicy {
	var h HealingPolicy
	h.pair(&p, false)
	return h
}

// core returns the policy in the protocol's own units.
func (h HealingPolicy) core() core.Policy {
	var p core.Policy
	h.pair(&p, true)
	return p
}

// pair copies every field from h to p, or back: one list, so that no field can be
// forgotten in one direction.
func (h *HealingPolicy) pair(p *core.Policy, to bool) {
	c := copier{to}
	h.pairNode(p, c)
	h.pairTier(p, c)
	h.pairDisease(p, c)
}

// copier copies one field, from the public policy to the protocol's or back.
type copier struct{ to bool }

func (c copier) num(a, b *int)   { either(c.to, a, b) }
func (c copier) flag(a, b *bool) { either(c.to, a, b) }

func (c copier) span(a *time.Duration, b *vtime.Duration) { either(c.to, a, (*time.Duration)(b)) }

func (c copier) load(a *float64, b *uint8) {
	if c.to {
		*b = uint8(*a*load128 + 0.5)
	} else {
		*a = float64(*b) / load128
	}
}

func either[T any](to bool, a, b *T) {
	if to {
		*b = *a
	} else {
		*a = *b
	}
}

func (h *HealingPolicy) pairNode(p *core.Policy, c copier) {
	c.num(&h.Attachments, &p.Attachments)
	c.span(&h.StartSpread, &p.StartSpread)
	c.span(&h.Patience, &p.Patience)
	c.num(&h.ProbeWidth, &p.ProbeWidth)
	c.num(&h.ProbeMax, &p.ProbeMax)
	c.span(&h.OfferTie, &p.OfferTie)
	c.num(&h.QuickRounds, &p.QuickRounds)
	c.num(&h.LoginRounds, &p.LoginRounds)
	c.span(&h.BackoffMin, &p.BackoffMin)
	c.span(&h.BackoffMax, &p.BackoffMax)
	c.num(&h.PacketBudget, &p.PacketBudget)
	c.span(&h.SecondRetry, &p.SecondRetry)
	c.num(&h.Anchors, &p.Anchors)
	c.span(&h.Keepalive, &p.Keepalive)
	c.span(&h.KeepaliveThin, &p.KeepaliveThin)
	c.span(&h.CheckStep, &p.CheckStep)
	c.span(&h.LoginPatience, &p.LoginPatience)
	c.num(&h.LoginQueue, &p.LoginQueue)
	c.span(&h.LoginLife, &p.LoginLife)
	c.span(&h.RenewRetry, &p.RenewRetry)
}

func (h *HealingPolicy) pairTier(p *core.Policy, c copier) {
	c.num(&h.AttachRate, &p.AttachRate)
	c.num(&h.AttachBurst, &p.AttachBurst)
	c.num(&h.NormalSlots, &p.NormalSlots)
	c.num(&h.ThinSlots, &p.ThinSlots)
	c.span(&h.FullWait, &p.FullWait)
	c.span(&h.PingPeriod, &p.PingPeriod)
	c.span(&h.PingTimeout, &p.PingTimeout)
	c.span(&h.SuspicionMin, &p.SuspicionMin)
	c.span(&h.SuspicionMax, &p.SuspicionMax)
	c.span(&h.GossipPeriod, &p.GossipPeriod)
	c.num(&h.GossipFanout, &p.GossipFanout)
	c.num(&h.GossipBytes, &p.GossipBytes)
	c.span(&h.AntiEntropy, &p.AntiEntropy)
	c.span(&h.AskDead, &p.AskDead)
	c.span(&h.Tombstone, &p.Tombstone)
	c.num(&h.MinTier, &p.MinTier)
	c.span(&h.ScalePeriod, &p.ScalePeriod)
	c.load(&h.PromoteAbove, &p.PromoteAbove)
	c.load(&h.DemoteBelow, &p.DemoteBelow)
	c.span(&h.DemoteTenure, &p.DemoteTenure)
	c.span(&h.DemoteCalm, &p.DemoteCalm)
	c.num(&h.Replicas, &p.Replicas)
	c.span(&h.LookupHedge, &p.LookupHedge)
	c.span(&h.LookupTimeout, &p.LookupTimeout)
	c.span(&h.PutRetry, &p.PutRetry)
}

func (h *HealingPolicy) pairDisease(p *core.Policy, c copier) {
	c.flag(&h.LoginFirst, &p.LoginFirst)
	c.num(&h.Queue, &p.Queue)
	c.span(&h.QueueLife, &p.QueueLife)
	c.flag(&h.QueueKeepalives, &p.QueueAll)
	c.span(&h.RetryPause, &p.RetryPause)
	c.span(&h.ServeDelay, &p.ServeDelay)
	c.span(&h.QuitOverload, &p.QuitOverload)
}

// rule is what a field of a policy must keep to.
type rule struct {
	field  string
	value  float64
	lo, hi float64
	unit   string
}

// validate returns one error for each field that is out of its range.
func (h HealingPolicy) validate() error {
	sec := func(field string, d time.Duration, lo, hi time.Duration) rule {
		return rule{field, d.Seconds(), lo.Seconds(), hi.Seconds(), " s"}
	}
	num := func(field string, v, lo, hi int) rule {
		return rule{field, float64(v), float64(lo), float64(hi), ""}
	}
	const ms, day = time.Millisecond, 24 * time.Hour
	var errs []error
	for _, r := range []rule{
		num("Attachments", h.Attachments, 1, 2),
		sec("StartSpread", h.StartSpread, 0, time.Hour),
		sec("Patience", h.Patience, 100*ms, time.Minute),
		num("ProbeWidth", h.ProbeWidth, 1, 8),
		num("ProbeMax", h.ProbeMax, h.ProbeWidth, 8),
		sec("OfferTie", h.OfferTie, 0, time.Minute),
		num("QuickRounds", h.QuickRounds, 0, 1000),
		num("LoginRounds", h.LoginRounds, 0, 1000),
		sec("BackoffMin", h.BackoffMin, 10*ms, time.Hour),
		sec("BackoffMax", h.BackoffMax, h.BackoffMin, day),
		num("PacketBudget", h.PacketBudget, 6, 10_000),
		sec("SecondRetry", h.SecondRetry, time.Second, day),
		num("Anchors", h.Anchors, 0, 64),
		num("AttachRate", h.AttachRate, 1, 5000),
		num("AttachBurst", h.AttachBurst, 1, 59*h.AttachRate),
		num("NormalSlots", h.NormalSlots, 1, MaxCapacity),
		num("ThinSlots", h.ThinSlots, 0, MaxCapacity),
		sec("FullWait", h.FullWait, time.Second, time.Hour),
		sec("Keepalive", h.Keepalive, time.Second, time.Hour),
		sec("KeepaliveThin", h.KeepaliveThin, h.Keepalive, time.Hour),
		sec("CheckStep", h.CheckStep, 10*ms, time.Minute),
		sec("PingPeriod", h.PingPeriod, 100*ms, time.Minute),
		sec("PingTimeout", h.PingTimeout, 10*ms, h.PingPeriod),
		sec("SuspicionMin", h.SuspicionMin, 100*ms, time.Hour),
		sec("SuspicionMax", h.SuspicionMax, h.SuspicionMin, time.Hour),
		sec("GossipPeriod", h.GossipPeriod, 10*ms, time.Minute),
		num("GossipFanout", h.GossipFanout, 1, 6),
		num("GossipBytes", h.GossipBytes, 1<<10, 1<<30),
		sec("AntiEntropy", h.AntiEntropy, time.Second, day),
		sec("AskDead", h.AskDead, 100*ms, day),
		sec("Tombstone", h.Tombstone, time.Minute, 365*day),
		num("MinTier", h.MinTier, 1, 1000),
		sec("ScalePeriod", h.ScalePeriod, time.Second, day),
		{"PromoteAbove", h.PromoteAbove, 0.5, 1.3, ""},
		{"DemoteBelow", h.DemoteBelow, 0, h.PromoteAbove, ""},
		sec("DemoteTenure", h.DemoteTenure, 0, 365*day),
		sec("DemoteCalm", h.DemoteCalm, 0, 365*day),
		num("Replicas", h.Replicas, 1, 5),
		sec("LookupHedge", h.LookupHedge, ms, h.LookupTimeout),
		sec("LookupTimeout", h.LookupTimeout, 10*ms, time.Minute),
		sec("PutRetry", h.PutRetry, 10*ms, time.Minute),
		sec("LoginPatience", h.LoginPatience, 100*ms, time.Hour),
		num("LoginQueue", h.LoginQueue, 1, 1<<24),
		sec("LoginLife", h.LoginLife, 0, time.Hour),
		sec("RenewRetry", h.RenewRetry, time.Second, 15*day),
		num("Queue", h.Queue, 0, 1<<24),
		sec("QueueLife", h.QueueLife, 0, time.Hour),
		sec("RetryPause", h.RetryPause, 0, time.Hour),
		sec("ServeDelay", h.ServeDelay, 0, day),
		sec("QuitOverload", h.QuitOverload, 0, day),
	} {
		if !(r.value >= r.lo && r.value <= r.hi) {
			errs = append(errs, fmt.Errorf("%s is %g%s, it must be %g to %g%s", r.field, r.value, r.unit, r.lo, r.hi, r.unit))
		}
	}
	return errors.Join(errs...)
}
