package overlay

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/runtime"
	"github.com/ada420b6/overlay/internal/slots"
	"github.com/ada420b6/overlay/internal/tier"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// The public policy and the protocol's own are paired field by field, with the range of
// each: one list, so that no field can be forgotten in one direction or go unchecked.

func healingOf(p core.Policy) HealingPolicy {
	var h HealingPolicy
	for _, f := range h.fields(&p) {
		f.take()
	}
	return h
}

// core returns the policy in the protocol's own units.
func (h HealingPolicy) core() core.Policy {
	var p core.Policy
	for _, f := range h.fields(&p) {
		f.give()
	}
	return p
}

// validate returns one error for each field that is out of its range, or at odds with
// another.
func (h HealingPolicy) validate() error {
	var p core.Policy
	var errs []error
	for _, f := range h.fields(&p) {
		if f.must != "" {
			errs = append(errs, fmt.Errorf("%s is %v, it must be %s", f.name, f.value, f.must))
		}
	}
	return errors.Join(errs...)
}

// field is one field of a HealingPolicy and its counterpart in a core.Policy.
type field struct {
	name          string
	value, lo, hi any    // what it is, and what is allowed
	must          string // what it must be and is not; empty when all is well
	give, take    func() // copies the value to the counterpart, and back
}

// but adds what a field owes to another one.
func (f field) but(ok bool, must string, args ...any) field {
	if f.must == "" && !ok {
		f.must = fmt.Sprintf(must, args...)
	}
	return f
}

// within reports a value that is not from lo to hi, NaN included.
func within[T cmp.Ordered](name string, v, lo, hi T) field {
	return field{name: name, value: v, lo: lo, hi: hi}.but(v >= lo && v <= hi, "%v to %v", lo, hi)
}

func num(name string, a, b *int, lo, hi int) field {
	f := within(name, *a, lo, hi)
	f.give, f.take = func() { *b = *a }, func() { *a = *b }
	return f
}

func span(name string, a *time.Duration, b *vtime.Duration, lo, hi time.Duration) field {
	f := within(name, *a, lo, hi)
	f.give, f.take = func() { *b = vtime.Duration(*a) }, func() { *a = time.Duration(*b) }
	return f
}

// load is a utilisation, which the protocol counts in 1/128.
func load(name string, a *float64, b *uint8, lo, hi float64) field {
	const unit = 128
	f := within(name, *a, lo, hi)
	f.give, f.take = func() { *b = uint8(*a*unit + 0.5) }, func() { *a = float64(*b) / unit }
	return f
}

// share is a part of a whole, which the protocol counts in 1/1000.
func share(name string, a *float64, b *int, lo, hi float64) field {
	const unit = 1000
	f := within(name, *a, lo, hi)
	f.give, f.take = func() { *b = int(*a*unit + 0.5) }, func() { *a = float64(*b) / unit }
	return f
}

func flag(name string, a, b *bool) field {
	return field{name: name, value: *a, lo: false, hi: true, give: func() { *b = *a }, take: func() { *a = *b }}
}

const (
	ms  = time.Millisecond
	day = 24 * time.Hour
)

func (h *HealingPolicy) fields(p *core.Policy) []field {
	return append(append(append(h.attaching(p), h.serving(p)...), h.tier(p)...), h.disease(p)...)
}

func (h *HealingPolicy) attaching(p *core.Policy) []field {
	return []field{
		num("Attachments", &h.Attachments, &p.Attachments, 1, 2),
		span("StartSpread", &h.StartSpread, &p.StartSpread, 0, time.Hour),
		span("Patience", &h.Patience, &p.Patience, 100*ms, time.Minute),
		num("ProbeWidth", &h.ProbeWidth, &p.ProbeWidth, 1, 8),
		num("ProbeMax", &h.ProbeMax, &p.ProbeMax, 1, 8).
			but(h.ProbeMax >= h.ProbeWidth, "at least ProbeWidth, %d", h.ProbeWidth),
		span("OfferTie", &h.OfferTie, &p.OfferTie, 0, time.Minute),
		num("JoinTries", &h.JoinTries, &p.JoinTries, 1, 10),
		num("QuickRounds", &h.QuickRounds, &p.QuickRounds, 0, 1000),
		num("LoginRounds", &h.LoginRounds, &p.LoginRounds, 0, 1000),
		num("ResumeRounds", &h.ResumeRounds, &p.ResumeRounds, 0, 1000),
		span("BackoffMin", &h.BackoffMin, &p.BackoffMin, 10*ms, time.Hour),
		span("BackoffMax", &h.BackoffMax, &p.BackoffMax, 10*ms, day).
			but(h.BackoffMax >= h.BackoffMin, "at least BackoffMin, %v", h.BackoffMin),
		num("PacketBudget", &h.PacketBudget, &p.PacketBudget, 6, 10_000),
		num("HostCache", &h.HostCache, &p.HostCache, 1, runtime.MaxCache),
		num("Anchors", &h.Anchors, &p.Anchors, 0, 64),
		span("SecondWait", &h.SecondWait, &p.SecondWait, 0, 10*time.Minute).
			but(h.SecondWait <= h.SlotHorizon, "at most SlotHorizon, %v", h.SlotHorizon),
		load("SecondBelow", &h.SecondBelow, &p.SecondBelow, 0, 1),
		span("SecondRetry", &h.SecondRetry, &p.SecondRetry, time.Second, day),
	}
}

func (h *HealingPolicy) serving(p *core.Policy) []field {
	burst := int64(h.SlotHorizon/ms) * int64(min(h.AttachRate, slots.MaxRate)) / 1000
	return []field{
		num("AttachRate", &h.AttachRate, &p.AttachRate, 1, slots.MaxRate),
		num("AttachBurst", &h.AttachBurst, &p.AttachBurst, 1, 600*slots.MaxRate).
			but(int64(h.AttachBurst) < burst, "less than AttachRate takes in SlotHorizon, %d", burst),
		num("NormalSlots", &h.NormalSlots, &p.NormalSlots, 1, MaxCapacity),
		num("ThinSlots", &h.ThinSlots, &p.ThinSlots, 0, MaxCapacity),
		span("SlotHorizon", &h.SlotHorizon, &p.SlotHorizon, 5*time.Second, 10*time.Minute),
		span("SlotGrace", &h.SlotGrace, &p.SlotGrace, 100*ms, time.Minute),
		span("FullWait", &h.FullWait, &p.FullWait, time.Second, time.Hour),
		num("TicketSlots", &h.TicketSlots, &p.TicketSlots, 0, 4),
		span("LoadedAfter", &h.LoadedAfter, &p.LoadedAfter, 100*ms, 10*time.Minute).
			but(h.LoadedAfter <= h.SlotHorizon, "at most SlotHorizon, %v", h.SlotHorizon),
		share("GroupShare", &h.GroupShare, &p.GroupShare, 0.001, 1),
		span("StormFrom", &h.StormFrom, &p.StormFrom, 100*ms, time.Minute).
			but(h.StormFrom <= h.SlotHorizon/10, "at most a tenth of SlotHorizon, %v", h.SlotHorizon/10),
		span("LeavePatience", &h.LeavePatience, &p.LeavePatience, time.Second, 10*time.Minute),
		span("Keepalive", &h.Keepalive, &p.Keepalive, time.Second, time.Hour),
		span("KeepaliveThin", &h.KeepaliveThin, &p.KeepaliveThin, time.Second, time.Hour).
			but(h.KeepaliveThin >= h.Keepalive, "at least Keepalive, %v", h.Keepalive),
		span("CheckStep", &h.CheckStep, &p.CheckStep, 10*ms, time.Minute),
		num("Replicas", &h.Replicas, &p.Replicas, 1, 5),
		span("RecordRefresh", &h.RecordRefresh, &p.RecordRefresh, 10*time.Second, day),
		span("LookupHedge", &h.LookupHedge, &p.LookupHedge, ms, time.Minute).
			but(h.LookupHedge <= h.LookupTimeout, "at most LookupTimeout, %v", h.LookupTimeout),
		span("LookupTimeout", &h.LookupTimeout, &p.LookupTimeout, 10*ms, time.Minute),
		span("PutRetry", &h.PutRetry, &p.PutRetry, 10*ms, time.Minute),
		span("LoginPatience", &h.LoginPatience, &p.LoginPatience, 100*ms, time.Hour),
		num("LoginQueue", &h.LoginQueue, &p.LoginQueue, 1, slots.MaxQueue),
		span("LoginLife", &h.LoginLife, &p.LoginLife, 0, time.Hour).
			but(h.LoginLife <= h.LoginPatience, "0, which is for ever, or at most LoginPatience, %v", h.LoginPatience),
		span("RenewRetry", &h.RenewRetry, &p.RenewRetry, time.Second, 15*day),
	}
}

func (h *HealingPolicy) tier(p *core.Policy) []field {
	return []field{
		span("PingPeriod", &h.PingPeriod, &p.PingPeriod, 100*ms, time.Minute),
		span("PingTimeout", &h.PingTimeout, &p.PingTimeout, 10*ms, time.Minute).
			but(h.PingTimeout <= h.PingPeriod, "at most PingPeriod, %v", h.PingPeriod),
		span("SuspicionMin", &h.SuspicionMin, &p.SuspicionMin, 100*ms, time.Hour),
		span("SuspicionMax", &h.SuspicionMax, &p.SuspicionMax, 100*ms, time.Hour).
			but(h.SuspicionMax >= h.SuspicionMin, "at least SuspicionMin, %v", h.SuspicionMin),
		span("GossipPeriod", &h.GossipPeriod, &p.GossipPeriod, 10*ms, time.Minute),
		num("GossipFanout", &h.GossipFanout, &p.GossipFanout, 1, 6),
		num("GossipBytes", &h.GossipBytes, &p.GossipBytes, 1<<10, 1<<30),
		span("AntiEntropy", &h.AntiEntropy, &p.AntiEntropy, time.Second, day),
		span("AskDead", &h.AskDead, &p.AskDead, 100*ms, day),
		span("Tombstone", &h.Tombstone, &p.Tombstone, time.Minute, 365*day),
		span("Announce", &h.Announce, &p.Announce, 100*ms, time.Hour),
		num("MinTier", &h.MinTier, &p.MinTier, 1, 1000),
		num("Standbys", &h.Standbys, &p.Standbys, 0, wire.MaxStandbys),
		span("ScalePeriod", &h.ScalePeriod, &p.ScalePeriod, time.Second, day),
		load("TierTarget", &h.TierTarget, &p.TierTarget, 0.1, 1),
		load("TierGain", &h.TierGain, &p.TierGain, 0.1, 1),
		load("PromoteAbove", &h.PromoteAbove, &p.PromoteAbove, 0.1, 1.3).
			but(h.PromoteAbove >= h.TierTarget, "at least TierTarget, %v", h.TierTarget),
		load("DemoteBelow", &h.DemoteBelow, &p.DemoteBelow, 0, 1).
			but(h.DemoteBelow <= h.TierTarget, "at most TierTarget, %v", h.TierTarget),
		span("DemoteTenure", &h.DemoteTenure, &p.DemoteTenure, 0, 365*day),
		span("DemoteCalm", &h.DemoteCalm, &p.DemoteCalm, 0, 365*day),
		num("DialBacks", &h.DialBacks, &p.DialBacks, 1, tier.MaxDialBacks),
	}
}

func (h *HealingPolicy) disease(p *core.Policy) []field {
	return []field{
		flag("LoginFirst", &h.LoginFirst, &p.LoginFirst),
		num("Queue", &h.Queue, &p.Queue, 0, slots.MaxQueue),
		span("QueueLife", &h.QueueLife, &p.QueueLife, 0, time.Hour),
		flag("QueueKeepalives", &h.QueueKeepalives, &p.QueueAll),
		span("RetryPause", &h.RetryPause, &p.RetryPause, 0, time.Hour),
		span("ServeDelay", &h.ServeDelay, &p.ServeDelay, 0, day),
		span("QuitOverload", &h.QuitOverload, &p.QuitOverload, 0, day),
		span("QuitBacklog", &h.QuitBacklog, &p.QuitBacklog, 100*ms, time.Hour),
	}
}
