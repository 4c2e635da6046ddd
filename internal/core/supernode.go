package core

import (
	"github.com/ada420b6/overlay/internal/attach"
	"github.com/ada420b6/overlay/internal/directory"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/liveness"
	"github.com/ada420b6/overlay/internal/roster"
	"github.com/ada420b6/overlay/internal/slots"
	"github.com/ada420b6/overlay/internal/tier"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// Supernode is what a node holds besides while it serves: its attachments, the roster,
// its share of the directory, its channels. Each part's verbs are in a file of their
// own: serving.go, gossip.go, replicas.go, relaying.go, scaling.go.
type Supernode struct {
	since vtime.Time

	// Serving.
	held    []holding      // sorted by peer
	peers   []ident.Handle // of held: what is searched is close together in memory
	names   []ident.NameID // of those who are held and of this supernode itself, sorted
	owners  []ident.Handle // of names; None is this supernode
	full    int            // how many of held are in normal slots
	sweepAt vtime.Time
	cal     slots.Calendar
	queue   queue

	// The tier.
	roster    roster.Roster
	ranked    view // the roster as the directory ranks it
	prober    liveness.Prober
	gossipAt  vtime.Time
	entropy   vtime.Time // when rosters are compared next
	askAt     vtime.Time // when one believed dead is asked again
	meetAt    vtime.Time // before this nobody is met at another's word
	wanted    wanted     // whose records have just been asked for
	synced    bool       // another supernode has told what it knows
	announce  vtime.Time // when the login servers are told
	announced int        // announcements in a row that nobody has answered

	// The directory.
	ranks   directory.Cache
	store   directory.Store
	fresh   directory.Held
	puts    directory.Pending
	lookups directory.Lookups

	presence presence

	// Scaling.
	sampler   tier.Sampler
	eligible  []reported // what members said last of their eligible nodes
	scaleAt   vtime.Time
	able      int // of held, how many could be appointed
	appoint   tier.Appointer
	appointAt vtime.Time // when appointing is considered next
	view      wire.Tier
	viewAt    vtime.Time
	stormAt   vtime.Time // when the storm level was last above 0
	leaveBy   vtime.Time // when a leaving supernode goes, whoever it still holds
	remind    vtime.Time // when those who are still here are told again
	reminders uint8

	tell       telling
	tellHeirs  telling // apart, since it takes longest and is the least urgent
	large      []large
	largeSlots uint64 // of all of large
	standbys   standbys
	standbyAt  vtime.Time // when they are looked after next
	channels   []channel  // sorted by number
	crowdedBy  vtime.Time // until then no new one is opened
	act        []directory.Action
	due        []directory.Refresh
	again      []directory.Retry
	probes     []liveness.Action
	news       []roster.Member
}

// promote makes a supernode of the node. Its attachments end once it serves: it can be
// found at itself.
func (s *step) promote() {
	n := s.n
	if s.env.Super != nil || n.role == RoleNode || n.leaving {
		return
	}
	n.seek.Stop()
	n.inc++
	n.seq++
	sn := s.newSupernode()
	s.env.Super = sn
	n.wasSuper = true
	sn.synced = attach.Cache(s.env.Cache).Len() == 0 // who knows nobody has nobody to hear from
	s.out.add(Effect{Kind: EffectPromoted})
	s.greet()
	for i := range n.at {
		if a := n.at[i]; a.peer != ident.None {
			s.introduce(a.peer)
			s.goodbye(a.peer, a.token, wire.FarewellRole)
			n.at[i] = attachment{}
		}
	}
	n.pub, n.standby = publication{}, 0
	s.hold(ident.None, s.recordWith(ident.None))
	s.announceSoon()
	s.out.add(Effect{Kind: EffectAttached, Peer: n.self, Count: 1})
	s.out.add(Effect{Kind: EffectSave})
	if s.env.Calls != nil {
		s.env.Calls.hurry(s.now)
	}
}

func (s *step) newSupernode() *Supernode {
	n, p := s.n, s.p
	sn := &Supernode{since: s.now, leaveBy: vtime.Never, stormAt: s.now.Add(-p.DemoteCalm)}
	sn.sweepAt = s.now.Add(sweepEvery)
	if n.wasSuper && p.ServeDelay > 0 {
		sn.queue.opens = s.now.Add(p.ServeDelay)
	}
	sn.queue.next, sn.tell.at, sn.tellHeirs.at, sn.appointAt = vtime.Never, vtime.Never, vtime.Never, s.now
	sn.standbyAt = vtime.Never // until somebody could be one
	sn.cal = s.newCalendar()
	s.startGossip(sn)
	s.startReplicas(sn)
	s.startScaling(sn)
	return sn
}

// demote makes an ordinary node of a supernode that holds nobody any more.
func (s *step) demote() {
	n := s.n
	s.farewellTier()
	for i := range s.env.Super.channels {
		s.out.add(Effect{Kind: EffectUnforward, Channel: s.env.Super.channels[i].number})
	}
	s.recall()
	s.env.Super = nil
	n.wasSuper = false
	s.out.add(Effect{Kind: EffectDemoted})
	s.out.add(Effect{Kind: EffectSave})
	if n.leaving {
		s.out.add(Effect{Kind: EffectLeft})
		return
	}
	n.rise = rising{}
	n.seek.Rest(s.now)
}

// recall takes some of the roster into the host cache, which nobody has needed since this
// node began to serve.
func (s *step) recall() {
	cache, roster := attach.Cache(s.env.Cache), &s.env.Super.roster
	for range min(len(cache), 2*roster.Usable()) {
		if h := roster.Pick(&s.n.rng); h != ident.None {
			cache.Learn(h, s.env.Book, &s.n.rng)
		}
	}
}

// superMessage handles what only a supernode understands.
func (s *step) superMessage(k wire.Kind) {
	switch k {
	case wire.KindProbe:
		s.onProbe()
	case wire.KindAttach:
		s.onAttach()
	case wire.KindKeepalive:
		s.onKeepalive()
	case wire.KindGoodbye:
		s.onNodeGoodbye()
	case wire.KindPublish:
		s.onPublish()
	case wire.KindLookup:
		s.onLookup()
	case wire.KindSubscribe:
		s.onSubscribe()
	case wire.KindVerify:
		s.onVerify()
	case wire.KindDialBackRequest:
		s.onDialBackRequest()
	case wire.KindRelayOpen:
		s.onRelayOpen()
	case wire.KindRelayAck:
		s.onRelayAck()
	default:
		s.tierMessage(k)
	}
}

// tierMessage handles what supernodes say to each other.
func (s *step) tierMessage(k wire.Kind) {
	switch k {
	case wire.KindPing:
		s.onPing()
	case wire.KindPingAck:
		s.onPingAck()
	case wire.KindPingRequest:
		s.onPingRequest()
	case wire.KindNews:
		s.onNews()
	case wire.KindDigest:
		s.onDigest()
	case wire.KindSummary:
		s.onSummary()
	case wire.KindWant:
		s.onWant()
	case wire.KindPut:
		s.onPut()
	case wire.KindPutAck:
		s.onPutAck()
	case wire.KindGet:
		s.onGet()
	case wire.KindGot:
		s.onGot()
	case wire.KindPresence:
		s.onPresence()
	case wire.KindPresenceAck:
		s.onPresenceAck()
	default:
		s.n.bad++
	}
}

// superDue does everything of a supernode whose time has come.
func (s *step) superDue() {
	if s.idle() {
		return
	}
	s.servingDue()
	s.gossipDue()
	s.tellDue()
	s.replicasDue()
	s.presenceDue()
	s.relaysDue()
	s.scalingDue() // last: it may demote
}

// idle reports that nothing of a supernode is due, as after most messages: nothing that has
// a moment, and none of what depends on the state alone.
func (s *step) idle() bool {
	sn := s.env.Super
	return s.now < sn.deadline() && !sn.queue.made && sn.leaveBy == vtime.Never && sn.roster.Usable() >= s.p.MinTier &&
		len(sn.presence.fresh)+len(sn.presence.asks) == 0
}

func (sn *Supernode) deadline() vtime.Time {
	t := vtime.Earlier(sn.sweepAt, sn.queue.next)
	t = vtime.Earlier(t, vtime.Earlier(sn.gossipAt, sn.entropy))
	t = vtime.Earlier(t, vtime.Earlier(sn.askAt, sn.announce))
	t = vtime.Earlier(t, vtime.Earlier(sn.prober.Next(), sn.roster.NextDeadline()))
	t = vtime.Earlier(t, vtime.Earlier(sn.fresh.Next(), sn.puts.Next()))
	t = vtime.Earlier(t, vtime.Earlier(sn.lookups.Next(), vtime.Earlier(sn.tell.at, sn.tellHeirs.at)))
	t = vtime.Earlier(t, sn.presence.deadline())
	for i := range sn.channels {
		t = vtime.Earlier(t, sn.channels[i].due())
	}
	if sn.leaveBy != vtime.Never { // who leaves appoints nobody and has decided
		return vtime.Earlier(t, vtime.Earlier(sn.leaveBy, sn.remind))
	}
	t = vtime.Earlier(t, sn.standbyAt)
	return vtime.Earlier(t, vtime.Earlier(sn.scaleAt, sn.appointAt))
}

// superForgotten means that peer's machine has rebooted: what it held here is void. A
// supernode that did is heard of by its own word.
func (s *step) superForgotten(peer ident.Handle) {
	s.release(peer)
}

// superList takes an answer to an announcement or an introduction: supernodes that the
// roster lacks are parts of the tier that this part has lost.
func (s *step) superList(peers []ident.Handle) {
	if s.isLogin(s.in.From) {
		s.announcedTo()
	}
	s.learn(peers)
	for _, h := range peers {
		s.meet(h)
	}
}

// meetEvery is how often a supernode introduces itself to one that others have named: who
// names addresses to have packets sent there gets one in so long.
const meetEvery = vtime.Second / 4

// meet introduces this supernode to h if the roster lacks it: two tiers that have grown
// apart find together wherever anybody knows both.
func (s *step) meet(h ident.Handle) {
	sn := s.env.Super
	if h == ident.None || sn.roster.Has(h) || h == s.n.self || s.now < sn.meetAt {
		return
	}
	sn.meetAt = s.now.Add(meetEvery)
	s.introduce(h)
}

// remember takes the roster that was on disk into the host cache: supernodes are asked
// like any other, and merged when they answer.
func (s *step) remember(known []Known) {
	cache := attach.Cache(s.env.Cache)
	for _, k := range known {
		if !k.Dead {
			cache.Learn(k.Peer, s.env.Book, &s.n.rng)
		}
	}
}
