// Package core is the protocol: a value that is stepped.
//
// A machine starts no goroutine, opens no socket, reads no clock and draws no
// randomness of its own. It is handed what has happened (an Input) and the moment at
// which it did, and it appends what shall be done (Effects) to a buffer of its caller.
// Two drivers step it, the runtime and the simulator, so what heals or collapses in
// one heals or collapses in the other.
//
// The ordinary node is Node: pointer-free and small, so that ten million of them are
// one flat array. What only some nodes need, the Supernode and the Calls, hangs apart
// and is lent through Env. A login server is a machine of its own, LoginServer.
//
// The files follow a node's life: enrol.go gets a certificate, healing.go finds a
// supernode, attachment.go keeps it, publish.go tells where the node is, calls.go
// serves the application, rising.go makes a supernode of it. What a supernode does is
// in the files that begin with super.
package core

import (
	"github.com/ada420b6/overlay/internal/attach"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/roster"
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/tier"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// CacheEntry is one place of the host cache.
type CacheEntry = attach.Entry

// Node is the machine of one node. The zero value waits for InputStart.
type Node struct {
	rng   seed.Rand
	name  ident.NameID
	seq   uint64 // of the newest record
	self  ident.Handle
	inc   uint32 // newest incarnation as a supernode
	slots uint32 // offered as a supernode
	bad   uint32 // messages that did not parse or made no sense

	role      Role
	storm     uint8
	started   bool
	certified bool
	doubted   bool // its certificate may be over: see Start.Doubted
	wasSuper  bool // it was a supernode when it last went down
	leaving   bool
	standby   uint8 // its rank among its supernode's standbys, 0 when it is none
	asked     uint8 // orphans that have taken it for a supernode since its own were heard of
	fruitless uint8 // rounds in a row that brought no attachment, whoever answered
	dry       bool  // the last round found nobody to ask
	first     bool  // no attachment has stood since the start: anchors are asked first

	at        [2]attachment
	seek      attach.Seeker
	tickets   Tickets
	ticketKey [2]uint64 // keys the tickets that it gives as a supernode
	budget    attach.Budget
	login     enrolment
	pub       publication
	tier      wire.Tier    // as the supernodes of this node see it
	hint      ident.Handle // a supernode that one who said goodbye has named
	rise      rising
	heirs     [2]ident.Handle // who serves when attachment i's supernode dies; kept when it has
}

// step is one Step under way.
type step struct {
	n   *Node
	env *Env
	p   *Policy
	now vtime.Time
	in  *Input
	out *Effects
	tp  tier.Policy // see tierPolicy
}

// Step tells the machine that in has happened at now, and appends to out what shall be
// done. now never goes back. Afterwards the driver asks Next for the one deadline.
func (n *Node) Step(env *Env, now vtime.Time, in *Input, out *Effects) {
	if !n.started && in.Kind != InputStart {
		return
	}
	s := step{n: n, env: env, p: env.Policy, now: now, in: in, out: out}
	switch in.Kind {
	case InputStart:
		s.start()
	case InputMessage:
		s.message()
	case InputReset:
		s.forgotten(in.From)
	case InputCookie:
		s.cookie(in.From)
	case InputNetwork:
		s.hurry()
	case InputLeave:
		s.leave()
	case InputLookup:
		s.lookup()
	case InputDial:
		s.dial()
	case InputSilent:
		s.silent()
	case InputCrowded:
		s.crowded()
	case InputHangup:
		s.hangup()
	case InputWatch:
		s.watchName()
	case InputUnwatch:
		s.unwatchName()
	case InputCertified:
		n.login.renew = now.Add(in.Start.RenewIn)
		s.renumber(in.Start.Seq)
	}
	s.due()
}

// due does everything whose time has come.
func (s *step) due() {
	s.enrolDue()
	s.keepalivesDue()
	s.publishDue()
	s.seekDue()
	s.riseDue()
	if s.env.Watching != nil { // when it is settled who is attached where
		s.watchDue()
	}
	if s.env.Super != nil {
		s.superDue()
	}
	if s.env.Calls != nil { // last: what the others answered is cleared away here
		s.callsDue()
	}
}

// Next returns the machine's one deadline: Step wants to be called with InputTimer
// then, if nothing happens before.
func (n *Node) Next(env *Env) vtime.Time {
	if !n.started {
		return vtime.Never
	}
	t := vtime.Earlier(n.seek.Deadline(), n.login.deadline())
	t = vtime.Earlier(t, n.pub.deadline())
	t = vtime.Earlier(t, n.riseDeadline())
	for i := range n.at {
		if n.at[i].peer != ident.None {
			t = vtime.Earlier(t, n.at[i].alive.Next())
		}
	}
	if env.Calls != nil {
		t = vtime.Earlier(t, env.Calls.deadline())
	}
	if env.Watching != nil && env.Super == nil {
		t = vtime.Earlier(t, env.Watching.deadline())
	}
	if env.Super != nil {
		t = vtime.Earlier(t, env.Super.deadline())
	}
	return t
}

// start brings the node up with what was on disk.
func (s *step) start() {
	n, w := s.n, &s.in.Start
	*n = Node{
		rng: seed.Keyed(w.Key[0], w.Key[1]), self: w.Self, name: w.Name, seq: w.Seq, inc: w.Inc, slots: w.Slots,
		tickets: w.Tickets, ticketKey: w.TicketKey,
		role: w.Role, started: true, certified: w.HasCert, wasSuper: w.WasSuper, first: true,
	}
	if n.slots == 0 {
		n.slots = uint32(s.p.NormalSlots)
	}
	n.login.renew = vtime.Never
	s.remember(w.Roster)
	attach.Cache(s.env.Cache).Forgive()
	if !n.certified || s.p.LoginFirst {
		s.enrol()
		return
	}
	n.login.renew = s.now.Add(w.RenewIn)
	if n.doubted = w.Doubted; n.doubted {
		s.enrol()
	}
	if w.Serving {
		s.promote()
		return
	}
	s.arrive(vtime.Duration(n.rng.Between(0, int64(s.p.StartSpread))))
}

// arrive begins the way into the network after a pause.
func (s *step) arrive(pause vtime.Duration) {
	if s.n.role == RoleSupernode {
		s.promote()
		return
	}
	s.n.seek.Rest(s.now.Add(pause))
}

// hurry starts over at once: the network has changed, or a person is waiting.
func (s *step) hurry() {
	attach.Cache(s.env.Cache).Forgive()
	s.n.seek.Heard()
	s.n.seek.Hurry(s.now)
	s.n.login.hurry(s.now)
	if !s.n.certified && s.n.login.phase == enrolled { // it was denied; perhaps no longer
		s.n.login.tries = 0
		s.enrol()
	}
	for i := range s.n.at {
		if s.n.at[i].peer != ident.None {
			s.check(i)
		}
	}
	s.n.rise.reach.Reset()
}

// cookie tells that a loaded peer wants a cookie with the request: it has one now, so
// whatever waits for that peer's answer is asked again.
func (s *step) cookie(from ident.Handle) {
	if s.n.seek.Phase == attach.Joining && s.n.seek.Held().Peer == from {
		s.n.seek.Again(s.now)
	}
	s.n.login.again(from, s.now)
}

// message hands a message to the part that it is for.
func (s *step) message() {
	k := wire.KindOf(s.in.Bytes)
	if k == wire.KindNone || k.Plain() != s.in.Plain {
		s.n.bad++
		return
	}
	if !s.mayReach(k) {
		s.n.bad++
		return
	}
	if s.nodeMessage(k) {
		return
	}
	if s.env.Super != nil {
		s.superMessage(k)
		return
	}
	s.notServing(k)
}

// mayReach says whether a message of kind k from this sender is looked into. A session
// proves a key and no more; what enters peers, addresses or doubts is taken from those
// whom this node has turned to, or who have shown a certificate.
func (s *step) mayReach(k wire.Kind) bool {
	switch k {
	case wire.KindKeepaliveAck, wire.KindNotAttached, wire.KindPublishAck, wire.KindFound, wire.KindAppoint, wire.KindLost, wire.KindStandby, wire.KindRelayIncoming:
		return s.n.holds(s.in.From) >= 0
	case wire.KindAccept, wire.KindRefuse, wire.KindDigest, wire.KindSummary, wire.KindWant, wire.KindPingRequest, wire.KindPut, wire.KindGot, wire.KindPresence, wire.KindPresenceAck:
		return s.known(s.in.From)
	}
	return true
}

// known reports whether h is a login server, or a supernode that this node remembers or
// has in its roster.
func (s *step) known(h ident.Handle) bool {
	if s.env.Super != nil { // the roster is the quickest to look into
		if s.env.Super.roster.Has(h) {
			return true
		}
	} else if s.n.seek.Held().Peer == h {
		return true
	}
	return s.isLogin(h) || s.n.holds(h) >= 0 || attach.Cache(s.env.Cache).Has(h)
}

// nodeMessage handles what every node understands.
func (s *step) nodeMessage(k wire.Kind) bool {
	switch k {
	case wire.KindLoginReply:
		s.onLoginReply()
	case wire.KindList:
		s.onList()
	case wire.KindOffer:
		s.onOffer()
	case wire.KindAccept:
		s.onAccept()
	case wire.KindRefuse:
		s.onRefuse()
	case wire.KindKeepaliveAck:
		s.onKeepaliveAck()
	case wire.KindNotAttached:
		s.onNotAttached()
	case wire.KindGoodbye:
		return s.onGoodbye()
	case wire.KindPublishAck:
		s.onPublishAck()
	case wire.KindFound:
		s.onFound()
	case wire.KindDialBack:
		s.onDialBack()
	case wire.KindAppoint:
		s.onAppoint()
	case wire.KindLost:
		s.onLost()
	case wire.KindStandby:
		s.onStandby()
	case wire.KindPresence:
		if s.n.holds(s.in.From) < 0 {
			return false
		}
		s.onWords()
	case wire.KindRelayReady:
		s.onRelayReady()
	case wire.KindRelayIncoming:
		s.onRelayIncoming()
	case wire.KindRelayClose:
		s.onRelayClose()
	default:
		return false
	}
	return true
}

// parsed counts a message that did not parse.
func (s *step) parsed(err error) bool {
	if err != nil {
		s.n.bad++
	}
	return err == nil
}

// notServing answers what only a supernode can do: whoever asks is sent on, so that a
// node that was a supernode once is still a way into the network.
func (s *step) notServing(k wire.Kind) {
	switch k {
	case wire.KindProbe:
		var m wire.Probe
		if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
			return
		}
		if m.Class != wire.ClassSecond {
			s.askedByOrphan()
		}
		o := wire.Offer{Nonce: m.Nonce, Status: wire.OfferNotServing}
		for i := range s.n.at {
			o.Peers.Add(s.n.at[i].peer)
		}
		if s.n.count() == 0 { // it is on its way to one itself
			o.Peers.Add(s.n.seek.Held().Peer)
			o.Peers.Add(s.n.hint)
		}
		s.out.sendPlain(s.in.From, o.Append(s.out.begin(), s.env.Book))
	case wire.KindAttach:
		var m wire.Attach
		if s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
			r := wire.Refuse{Nonce: m.Nonce, Reason: wire.RefusedClosed}
			s.out.send(s.in.From, r.Append(s.out.begin(), s.env.Book), false)
		}
	case wire.KindKeepalive:
		var m wire.Keepalive
		if s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
			s.sayNotAttached(m.Token)
		}
	case wire.KindPing, wire.KindPresence, wire.KindSubscribe:
		s.foundBy(s.in.From)
		// Whoever pings, asks after a name, or tells of one, takes this node for a supernode,
		// which it was before it rebooted or stepped down: its own word spares the tier the
		// doubt.
		var m wire.News
		m.Notices.Add(wire.Notice{Peer: s.n.self, Inc: s.n.inc, State: wire.Left})
		s.out.send(s.in.From, m.Append(s.out.begin(), s.env.Book), false)
	case wire.KindNews:
		s.foundBy(s.in.From)
		// A supernode looks for others, perhaps of a tier that it has lost: here are some.
		var m wire.List
		for i := range s.n.at {
			m.Peers.Add(s.n.at[i].peer)
		}
		if len(m.Peers.All()) > 0 {
			s.out.send(s.in.From, m.Append(s.out.begin(), s.env.Book), false)
		}
	default:
		s.n.bad++
	}
}

// foundBy notes that an orphan has been turned to by h, which serves: it asks there next,
// and names it to whoever asks.
func (s *step) foundBy(h ident.Handle) {
	if s.n.count() == 0 && s.n.hint == ident.None {
		s.n.hint = h
	}
}

func (s *step) sayNotAttached(token uint32) {
	m := wire.NotAttached{Token: token}
	s.out.send(s.in.From, m.Append(s.out.begin(), s.env.Book), false)
}

// Attached reports whether the node can be found and called: it holds an attachment,
// or it is a supernode itself.
func (n *Node) Attached(env *Env) bool { return env.Super != nil || n.count() > 0 }

// Attachments returns the supernodes that the node is attached to, None where there
// is none. A supernode's own is itself.
func (n *Node) Attachments(env *Env) [2]ident.Handle {
	if env.Super != nil {
		return [2]ident.Handle{n.self}
	}
	return [2]ident.Handle{n.at[0].peer, n.at[1].peer}
}

// Seq returns the sequence number of the newest record, to be kept on disk.
func (n *Node) Seq() uint64 { return n.seq }

// Inc returns the newest incarnation as a supernode, to be kept on disk.
func (n *Node) Inc() uint32 { return n.inc }

// Certified reports whether the node holds a certificate.
func (n *Node) Certified() bool { return n.certified }

// Storm returns the storm level as the node's supernodes told it last, 0 to 3.
func (n *Node) Storm() uint8 { return n.storm }

// Able reports whether the node has been found to be reachable from outside, so that
// it may become a supernode.
func (n *Node) Able() bool { return n.able() }

// Bad returns how many messages were dropped because they made no sense.
func (n *Node) Bad() uint32 { return n.bad }

// Healing returns how many packets the node has sent to become attached.
func (n *Node) Healing() uint32 { return n.budget.Ever() }

// Tier returns what the node's supernodes say of the tier.
func (n *Node) Tier() wire.Tier { return n.tier }

// Serving reports whether the node is a supernode.
func (e *Env) Serving() bool { return e.Super != nil }

// Held returns how many nodes are attached to this supernode.
func (sn *Supernode) Held() int { return len(sn.held) }

// Holds reports whether h is attached to this supernode.
func (sn *Supernode) Holds(h ident.Handle) bool { _, ok := sn.find(h); return ok }

// Members returns how many supernodes this one believes alive, itself included.
func (sn *Supernode) Members() int { return sn.roster.Usable() }

// Channels returns how many channels this supernode forwards.
func (sn *Supernode) Channels() int { return len(sn.channels) }

// Records returns how many records of others this supernode stores.
func (sn *Supernode) Records() int { return sn.store.Len() }

// Roster appends what this supernode knows of the others, to be kept on disk.
func (sn *Supernode) Roster(dst []Known) []Known {
	for i := range sn.roster.Len() {
		m := sn.roster.Member(i)
		if m.State != roster.Left && m.Peer != sn.roster.Self().Peer {
			dst = append(dst, Known{Peer: m.Peer, Inc: m.Inc, Dead: m.State == roster.Dead})
		}
	}
	return dst
}
