package sim

import (
	"github.com/ada420b6/overlay/internal/attach"
	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// Keepalives that are foretold (Config.Foretold).
//
// Two thirds of the events of a network at rest are keepalives that change nothing. Here
// they are drawn ahead in place of being carried out: after an ack, the driver draws
// round by round how long the silence is and how many checks or answers the network
// loses before one comes through, up to the first round in which all but the last check
// are lost. The node sleeps until then. From the last check on everything is messages
// again, and so on to the next ack. At 3 % loss that is one round in 80 000.
//
// What was drawn is taken back as soon as it might not be what happens: the supernode
// goes down, is about to leave, is flooded, or would tell its nodes anything that they
// would act on (core.Told); the network is cut, or loses another share; the node goes
// down, hears of a doubt, or leaves. The rounds until that moment are then drawn once
// more, with the same outcome, so that the next check comes when it would have come: how
// long a death goes unnoticed is the same in both ways. TestForetoldIsTheSame compares.
//
// What differs: the load of foretold keepalives on hosts, 40 of the 5 000 messages a
// second that a supernode with 800 attachments can handle, and on the queue of a policy
// in which they wait with attaches, a tenth of what it serves. They are carried out there
// as soon as what waits takes a quarter of a second.

// nap is an attachment whose rounds were foretold: 56 B, two for each node.
type nap struct {
	peer   ident.Handle   // None when there is nothing
	rounds uint32         // answered ones
	since  vtime.Time     // when the ack came that it begins with
	first  vtime.Duration // the silence of the first round
	heard  vtime.Time     // when the last answer comes
	until  vtime.Time     // when the check after that is sent
	at     vtime.Time     // what was entered of it at the node: heard, or until when checks were lost
	able   bool           // as the supernode knows the node
}

// enter tells attachment k of node n what was drawn.
func (t *nap) enter(n *core.Node, k, lost int) {
	if t.at = t.heard; lost > 0 {
		t.at = t.until
	}
	n.Foretell(k, t.at, t.until.Sub(t.heard), lost)
}

// calm is what the driver remembers of a supernode for the sake of those that nap.
type calm struct {
	told  core.Told // what it would tell a node
	ok    bool      // and an ack is all that a keepalive would bring
	naps  int32     // attachments that were foretold, at least
	asked vtime.Time
}

const (
	// maxRounds bounds what is drawn at once, an hour: naps that end before were drawn to
	// their end in vain, which costs 4 ns a round.
	maxRounds = 180
	// askEvery is for how long a supernode tells the same about the tier by itself.
	askEvery = vtime.Second
	// promptly is within which share of a check's first repetition an answer must come
	// for the repetition never to be sent: a round trip, jitter and a host that is busy.
	promptly = 0.7

	labelNap uint64 = 0x6e6170
)

// foretells makes the driver foretell keepalives.
func (s *Sim) foretells(m machines) {
	s.core, _ = m.(*protocol)
	s.peek = core.Env{Policy: &s.cfg.Policy, Book: s.book}
	// A supernode of 2010 quits at once, so that nobody could be woken.
	if s.core != nil && s.cfg.Foretold && s.cfg.Policy.QuitOverload == 0 {
		s.naps = large[[2]nap](s.cfg.Nodes)
	}
}

// calmOf returns what is remembered of supernode i, nil when it is none.
func (s *Sim) calmOf(i uint32) *calm {
	place := int(s.hosts[i].super)
	if place == 0 {
		return nil
	}
	for len(s.calms) <= place {
		s.calms = append(s.calms, calm{})
	}
	return &s.calms[place]
}

// acked returns from whom the input under way is an ack of a keepalive, or None.
func (s *Sim) acked() ident.Handle {
	if s.naps != nil && s.in.Kind == core.InputMessage && wire.KindOf(s.in.Bytes) == wire.KindKeepaliveAck {
		return s.in.From
	}
	return ident.None
}

// foresee looks, after a step of node i, at the keepalives that are foretold and that
// could be. ack is from whom one has just been answered.
func (s *Sim) foresee(i uint32, h *host, ack ident.Handle) {
	if h.naps != 0 {
		s.reconsider(i)
	}
	switch {
	case h.super != 0:
		s.attend(i, s.supers.get(h.super))
	case ack != ident.None:
		s.doze(i, ack)
	}
}

// doze foretells the keepalives of node i with peer, from whom an ack has just come.
func (s *Sim) doze(i uint32, peer ident.Handle) {
	p := index(peer)
	c := s.calmOf(p)
	if c == nil || !c.ok || s.net.cut != nil || s.hosts[p].busy > s.now {
		return
	}
	n := &s.core.nodes[i]
	s.peek.Cache, s.peek.Super, s.peek.Watching = s.cacheOf(i), nil, s.lookout.get(s.hosts[i].watch)
	k := 0
	if at, _ := n.Heard(0); at != peer {
		k = 1
	}
	if at, _ := n.Heard(k); at != peer || s.naps[i][k].peer != ident.None {
		return
	}
	w, ok := n.Calm(&s.peek, k, c.told)
	if !ok || float64(s.rtt(i, p)) > promptly*float64(w.Step) {
		return
	}
	t := nap{peer: peer, since: w.Heard, first: w.Wait, able: n.Able()}
	lost := s.rounds(i, &t, &w, vtime.Never)
	if t.rounds == 0 || !s.supers.get(s.hosts[p].super).Foretold(handle(i), n, k, t.heard) {
		return
	}
	t.enter(n, k, lost)
	s.naps[i][k] = t
	s.hosts[i].naps |= 1 << k
	c.naps++
	s.trace = fold(s.trace, uint64(t.until))
	s.rearm(i)
}

// rearm sets the deadline of node i, which is not being stepped.
func (s *Sim) rearm(i uint32) {
	s.peek.Super, s.peek.Calls, s.peek.Watching = nil, s.callers.get(s.hosts[i].calls), s.lookout.get(s.hosts[i].watch)
	s.arm(i, s.core.nodes[i].Next(&s.peek))
}

// rounds draws the rounds that begin with t.since, up to the first in which all checks but
// the last are in vain, the first that has not ended before limit, or the last of many, and
// enters them in t. It returns how many checks of the round after those are sent before
// t.until, in vain. The draws depend on node and beginning alone, so that they can be
// repeated.
func (s *Sim) rounds(i uint32, t *nap, w *core.Watch, limit vtime.Time) (lost int) {
	draw := s.book.hash(handle(i), labelNap) ^ uint64(t.since)
	pass := 1<<16 - uint64(s.net.loss)
	vain := 1<<32 - pass*pass // a check or its answer is lost, in 2^-32
	rtt, wait, tenth := s.rtt(i, index(t.peer)), t.first, w.Interval/10
	t.heard, t.rounds = t.since, 0
	for {
		t.until = t.heard.Add(wait)
		if t.until >= limit || t.rounds == maxRounds {
			return 0
		}
		draw = mix(draw)
		lost = 0
		for odds := vain; lost < core.Checks-1 && draw>>32 < odds; odds = odds * vain >> 32 {
			if lost++; t.until.Add(w.Step) >= limit || lost == core.Checks-1 {
				t.until = t.until.Add(w.Step)
				return lost
			}
			t.until = t.until.Add(w.Step)
		}
		t.heard = t.until.Add(rtt)
		t.rounds++
		wait = w.Interval - tenth + vtime.Duration((draw&(1<<32-1))*uint64(2*tenth)>>32)
	}
}

// rtt is the round trip between two hosts, without jitter.
func (s *Sim) rtt(a, b uint32) vtime.Duration {
	return s.net.latency.RTT(s.book.hash(handle(a), labelPlace), s.book.hash(handle(b), labelPlace))
}

// reconsider looks, after a step of node i, at what was foretold: where the machine has
// thought of something else, it is void.
func (s *Sim) reconsider(i uint32) {
	n := &s.core.nodes[i]
	for k := range s.naps[i] {
		t := &s.naps[i][k]
		if t.peer == ident.None {
			continue
		}
		if at, heard := n.Heard(k); at != t.peer || heard != t.at {
			s.over(i, k, s.past(t), s.now)
		} else if n.Able() != t.able {
			s.wake(i, k)
		}
	}
}

// past is how many of the foretold rounds are over, by their mean length.
func (s *Sim) past(t *nap) uint32 {
	if s.now >= t.heard {
		return t.rounds
	}
	return uint32(float64(t.rounds) * float64(s.now.Sub(t.since)) / float64(t.heard.Sub(t.since)))
}

// foretold counts the foretold rounds that are over, ever.
func (s *Sim) foretold() uint64 {
	n := s.stats.foretold
	for i := range s.naps {
		for k := range s.naps[i] {
			if t := &s.naps[i][k]; t.peer != ident.None {
				n += uint64(s.past(t))
			}
		}
	}
	return n
}

// over ends what was foretold of attachment k of node i: so many rounds have happened, and
// in the last of them the supernode has heard the node at heard.
func (s *Sim) over(i uint32, k int, rounds uint32, heard vtime.Time) {
	t := &s.naps[i][k]
	s.stats.foretold += uint64(rounds)
	if c := s.calmOf(index(t.peer)); c != nil {
		c.naps--
		s.supers.get(s.hosts[index(t.peer)].super).Unheard(handle(i), heard, s.now)
	}
	*t = nap{}
	s.hosts[i].naps &^= 1 << k
}

// wake lets the keepalives of attachment k of node i be messages from now on.
func (s *Sim) wake(i uint32, k int) {
	t := &s.naps[i][k]
	n := &s.core.nodes[i]
	s.peek.Cache = s.cacheOf(i)
	w, _ := n.Calm(&s.peek, k, core.Told{})
	t.enter(n, k, s.rounds(i, t, &w, s.now))
	s.over(i, k, t.rounds, vtime.Earlier(t.heard, s.now))
	s.rearm(i)
}

// wakeNode wakes both attachments of node i.
func (s *Sim) wakeNode(i uint32) {
	for k := range s.naps[i] {
		if s.naps[i][k].peer != ident.None {
			s.wake(i, k)
		}
	}
}

// rouse wakes all nodes that nap at supernode p.
func (s *Sim) rouse(p uint32) {
	if s.naps == nil {
		return
	}
	s.rouseIf(p, func(uint32) bool { return true })
	if c := s.calmOf(p); c != nil {
		c.naps = 0
	}
}

// rouseIf wakes those nodes that nap at supernode p for which cond holds.
func (s *Sim) rouseIf(p uint32, cond func(i uint32) bool) {
	c := s.calmOf(p)
	if c == nil || c.naps <= 0 {
		return
	}
	super := s.supers.get(s.hosts[p].super)
	for j := range super.Held() {
		i := index(super.HeldAt(j))
		for k := range s.naps[i] {
			if s.naps[i][k].peer == handle(p) && cond(i) {
				s.wake(i, k)
			}
		}
	}
}

// rouseAll wakes everybody.
func (s *Sim) rouseAll() {
	for i := range s.naps {
		s.wakeNode(uint32(i))
	}
}

// attend looks, after a step of supernode p, whether its nodes can go on napping.
func (s *Sim) attend(p uint32, super *core.Supernode) {
	c := s.calmOf(p)
	if s.now.Sub(c.asked) < askEvery && c.asked != 0 && !super.Leaving() && !s.cfg.Policy.QueueAll {
		return
	}
	c.asked = s.now
	s.peek.Super, s.peek.Cache = super, nil
	told, ok := s.core.nodes[p].Told(&s.peek, s.now)
	told.Known = min(told.Known, uint32(s.cfg.Cache))
	old := c.told
	switch c.told, c.ok = told, ok; {
	case !ok || told.News(old):
		s.rouse(p)
	case told.Known > old.Known: // news for those who know fewer
		s.rouseIf(p, func(i uint32) bool { return attach.Cache(s.cacheOf(i)).Len() < int(told.Known) })
	}
}
