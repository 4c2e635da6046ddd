package core

import (
	"github.com/ada420b6/overlay/internal/attach"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/liveness"
	"github.com/ada420b6/overlay/internal/roster"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// How supernodes know of each other (PROTOCOL.md section 6): they ping one another,
// spread what is new, and compare rosters. Package roster decides what is believed,
// package liveness who is asked; this file carries their words.

func (s *step) startGossip(sn *Supernode) {
	n, p := s.n, s.p
	rp := roster.Params{SuspicionMin: p.SuspicionMin, SuspicionMax: p.SuspicionMax, Tombstone: p.Tombstone, GossipBytes: p.GossipBytes}
	sn.roster.Init(rp, n.self, s.env.Book.ID(n.self), n.inc, s.now)
	lp := liveness.ProberParams{Period: p.PingPeriod, Timeout: p.PingTimeout, DeadPeriod: p.AskDead}
	sn.prober.Init(lp, n.rng.Uint32(), vtime.Duration(n.rng.Between(0, int64(p.PingPeriod))), s.now)
	sn.gossipAt, sn.news = s.now, make([]roster.Member, 0, roster.PacketNews)
	sn.entropy = s.now.Add(vtime.Duration(n.rng.Between(int64(p.AntiEntropy/10), int64(p.AntiEntropy))))
	sn.askAt = s.now.Add(vtime.Duration(n.rng.Between(0, int64(p.AskDead/youthHaste))))
}

// greet tells the supernodes that are remembered that this one serves.
func (s *step) greet() {
	cache := attach.Cache(s.env.Cache)
	for i := 0; i < greetings && i < cache.Len(); i++ {
		s.introduce(cache[i].Peer)
	}
}

// greetings is how many of the host cache's first entries, the ones that served last,
// a new supernode introduces itself to: with nine of ten dead one still answers in 57 %
// of cases, and the rest is asked one by one.
const greetings = 8

// introduce sends this supernode's own record to h, and the digest of its roster, so
// that h answers with what it has more.
func (s *step) introduce(h ident.Handle) {
	if h == s.n.self {
		return
	}
	var m wire.News
	m.Members.Add(wire.Member{Peer: s.n.self, Inc: s.env.Super.roster.Inc()})
	s.out.send(h, m.Append(s.out.begin(), s.env.Book), false)
	s.sendDigest(h)
}

func (s *step) sendDigest(to ident.Handle) {
	d := wire.Digest{Bucket: wire.DigestTop, Hashes: s.env.Super.roster.TopDigest()}
	s.out.send(to, d.Append(s.out.begin(), s.env.Book), false)
}

// announceSoon tells the login servers of this supernode: they list it as a last
// resort for those who find nobody, and name others, so that parts of the tier that do
// not know of each other find together.
func (s *step) announceSoon() { s.env.Super.announce, s.env.Super.announced = s.now, 0 }

const (
	// A supernode tells a login server that it is there every Announce for each supernode,
	// so that the login servers hear of one in each or oftener: one that has just started
	// soon knows some of the tier, mostly before it sends anybody to start another. A tier
	// counts as one of 5 to 100: with the default of 3 s that is every 15 s at least and
	// 5 min at most, and 25 000 announce themselves 83 times a second.
	announceLeast, announceMost = 5, 100
	// announceTries is how often an announcement that nobody answers is repeated, after
	// 0.5, 1, 2, 4 and 8 s, before it is left to the next one.
	announceTries = 5
)

func (s *step) announceNow() {
	sn := s.env.Super
	sn.announce = s.nextAnnouncement()
	if len(s.env.Logins) == 0 {
		return
	}
	if sn.announced < announceTries {
		sn.announce = vtime.Earlier(sn.announce, s.now.Add(s.p.PutRetry<<sn.announced))
		sn.announced++
	} else {
		sn.announced = 0
	}
	var m wire.News
	m.Members.Add(wire.Member{Peer: s.n.self, Inc: sn.roster.Inc()})
	if s.now.Sub(sn.since) < announceLeast*s.p.Announce { // a new one tells all of them
		for _, h := range s.env.Logins {
			s.out.send(h, m.Append(s.out.begin(), s.env.Book), true)
		}
		return
	}
	to := s.env.Logins[s.n.rng.Intn(len(s.env.Logins))]
	s.out.send(to, m.Append(s.out.begin(), s.env.Book), true)
}

// announcedTo ends an announcement: a login server has taken it.
func (s *step) announcedTo() {
	sn := s.env.Super
	if sn.announced == 0 {
		return
	}
	sn.announced, sn.announce = 0, s.nextAnnouncement()
}

func (s *step) nextAnnouncement() vtime.Time {
	every := s.p.Announce * vtime.Duration(min(max(s.env.Super.roster.Usable(), announceLeast), announceMost))
	return s.now.Add(every/2 + vtime.Duration(s.n.rng.Between(0, int64(every))))
}

// gossipDue does what is due between supernodes.
func (s *step) gossipDue() {
	sn, p := s.env.Super, s.p
	if s.now >= sn.prober.Next() {
		c := liveness.Candidates{Target: sn.roster.Pick(&s.n.rng), Dead: sn.roster.PickDead(&s.n.rng)}
		for i := range c.Via {
			c.Via[i] = sn.roster.Pick(&s.n.rng, c.Via[:i]...)
		}
		sn.probes = sn.prober.Tick(s.now, c, sn.probes[:0])
		s.probe()
	}
	if s.now >= sn.roster.NextDeadline() {
		s.expire()
	}
	if s.now >= sn.gossipAt {
		s.spread()
	}
	if s.now >= sn.entropy {
		sn.entropy = s.now.Add(p.AntiEntropy/2 + vtime.Duration(s.n.rng.Between(0, int64(p.AntiEntropy))))
		if h := sn.roster.Pick(&s.n.rng); h != ident.None {
			s.sendDigest(h)
		}
	}
	if s.now >= sn.askAt {
		s.askRemembered()
	}
	if s.now >= sn.announce {
		s.announceNow()
	}
}

// probe carries out what the prober wants.
func (s *step) probe() {
	sn := s.env.Super
	for _, a := range sn.probes {
		switch a.Act {
		case liveness.ActPing:
			s.ping(a.To, a.Seq)
		case liveness.ActPingRequest:
			m := wire.PingRequest{Seq: a.Seq, Target: a.Target}
			s.out.send(a.To, m.Append(s.out.begin(), s.env.Book), false)
		case liveness.ActAck, liveness.ActNack:
			s.pingAck(a.To, a.Seq, a.Act == liveness.ActNack)
		case liveness.ActSuspect:
			if m, ok := sn.roster.Lookup(a.Target); ok && m.State == roster.Alive {
				m.State, m.Accuser = roster.Suspect, s.n.self
				s.believe(sn.roster.Merge(m, s.now), m)
			}
		}
	}
}

// ping asks whether h lives. Whoever is not believed alive is told so with it, so that
// it can refute.
func (s *step) ping(h ident.Handle, seq uint32) {
	sn := s.env.Super
	m := wire.Ping{Seq: seq}
	believed, ok := sn.roster.Lookup(h)
	doubted := ok && believed.State != roster.Alive
	s.out.send(h, m.Append(s.out.begin(), s.env.Book), doubted)
	if doubted {
		s.accuse(h, believed)
	}
}

func (s *step) accuse(h ident.Handle, b roster.Member) {
	var m wire.News
	m.Notices.Add(wire.Notice{Peer: b.Peer, Inc: b.Inc, State: wire.State(b.State)})
	s.out.send(h, m.Append(s.out.begin(), s.env.Book), false)
}

func (s *step) pingAck(to ident.Handle, seq uint32, silent bool) {
	sn := s.env.Super
	m := wire.PingAck{Seq: seq, Load: s.load(), Silent: silent, Eligible: uint16(min(s.ownEligible(), 1<<16-1)), Inc: sn.roster.Inc()}
	s.out.send(to, m.Append(s.out.begin(), s.env.Book), false)
}

func (s *step) onPing() {
	sn := s.env.Super
	var m wire.Ping
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	s.pingAck(s.in.From, m.Seq, false)
	// Somebody who is not in the roster, or not believed alive, pings: it serves and
	// this one has not heard, or it has been mended out of a partition.
	if b, ok := sn.roster.Lookup(s.in.From); (!ok || b.State != roster.Alive) && !s.isLogin(s.in.From) {
		if ok {
			s.accuse(s.in.From, b)
		} else {
			s.wantFrom(s.in.From, s.in.From) // it knows this one, and has no cause to introduce itself
		}
		s.introduce(s.in.From)
	}
}

func (s *step) isLogin(h ident.Handle) bool {
	for _, l := range s.env.Logins {
		if l == h {
			return true
		}
	}
	return false
}

func (s *step) onPingAck() {
	sn := s.env.Super
	var m wire.PingAck
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	if m.Silent {
		sn.prober.Nack(m.Seq, s.in.From)
		return
	}
	sn.probes = sn.prober.Ack(m.Seq, s.in.From, sn.probes[:0])
	s.probe()
	b, ok := sn.roster.Lookup(s.in.From)
	if !ok {
		return
	}
	s.sampled(s.in.From, m.Load, m.Eligible)
	if m.Inc > b.Inc || b.State != roster.Alive {
		s.wantFrom(s.in.From, s.in.From)
	}
}

func (s *step) onPingRequest() {
	sn := s.env.Super
	var m wire.PingRequest
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	if m.Target == s.n.self {
		s.pingAck(s.in.From, m.Seq, false)
		return
	}
	sn.probes = sn.prober.Relay(m.Seq, s.in.From, m.Target, s.now, sn.probes[:0])
	s.probe()
}

// wantFrom asks to for the signed record of h.
func (s *step) wantFrom(to, h ident.Handle) {
	var m wire.Want
	m.Peers.Add(h)
	s.out.send(to, m.Append(s.out.begin(), s.env.Book), false)
}

// newsRoom is how many bytes of a message news may take: what is left of MaxMessage
// after the headers of the message and the session.
const newsRoom = wire.MaxMessage - 60

// spread sends what is new to a few members, while there is something new.
func (s *step) spread() {
	sn := s.env.Super
	sn.gossipAt = s.now.Add(s.p.GossipPeriod)
	if sn.roster.Pending() == 0 {
		sn.gossipAt = vtime.Never // believe wakes it
		return
	}
	var to wire.Peers
	for range s.p.GossipFanout {
		to.Add(sn.roster.Pick(&s.n.rng, to.All()...))
	}
	for _, h := range to.All() {
		sn.news = sn.roster.Next(s.now, newsRoom, sn.news[:0])
		if len(sn.news) == 0 {
			return
		}
		s.tell(h, sn.news)
	}
}

// tell sends members as believed: the usable ones by their own record, the others by
// notice.
func (s *step) tell(to ident.Handle, members []roster.Member) {
	for len(members) > 0 {
		var m wire.News
		k := 0
		for k < len(members) && addNews(&m, members[k]) {
			k++
		}
		members = members[k:]
		s.out.send(to, m.Append(s.out.begin(), s.env.Book), false)
	}
}

// addNews appends b to m if the message stays within MaxMessage.
func addNews(m *wire.News, b roster.Member) bool {
	records, notices := len(m.Members.All()), len(m.Notices.All())
	if b.State == roster.Alive {
		return notices <= wire.MixedNotices && m.Members.Add(wire.Member{Peer: b.Peer, Inc: b.Inc})
	}
	if records == wire.MaxMembers && notices == wire.MixedNotices {
		return false
	}
	return m.Notices.Add(wire.Notice{Peer: b.Peer, Inc: b.Inc, State: wire.State(b.State)})
}

func (s *step) onNews() {
	sn := s.env.Super
	var m wire.News
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	if s.in.From != s.n.self && !s.isLogin(s.in.From) {
		sn.synced = true
	}
	for _, x := range m.Members.All() {
		if x.Peer == s.in.From {
			s.release(x.Peer) // it serves: it is attached nowhere
		}
		b := roster.Member{Peer: x.Peer, ID: s.env.Book.ID(x.Peer), Inc: x.Inc, State: roster.Alive}
		o := sn.roster.Merge(b, s.now)
		s.believe(o, b)
		if held, ok := sn.roster.Lookup(x.Peer); ok && o.Behind {
			s.accuse(s.in.From, held)
		}
	}
	if !s.known(s.in.From) { // accusations are for members
		return
	}
	var ask wire.Peers
	for _, x := range m.Notices.All() {
		b := roster.Member{Peer: x.Peer, ID: s.env.Book.ID(x.Peer), Inc: x.Inc, State: roster.State(x.State)}
		if x.State != wire.Suspect { // who says dead has concluded it; who says suspect may only pass it on
			b.Accuser = s.in.From
		}
		var o roster.Outcome
		if x.Peer == s.in.From && x.State == wire.Left {
			o = sn.roster.Merge(b, s.now) // its own word
		} else {
			o = sn.roster.Claim(b, s.now)
		}
		s.believe(o, b)
		if o.Want && sn.wanted.once(x.Peer, s.now) {
			ask.Add(x.Peer)
		}
		if o.Behind {
			if held, ok := sn.roster.Lookup(x.Peer); ok {
				s.accuse(s.in.From, held)
			}
		}
	}
	if len(ask.All()) > 0 {
		w := wire.Want{Peers: ask}
		s.out.send(s.in.From, w.Append(s.out.begin(), s.env.Book), false)
	}
}

// believe lets the other parts know what a change of the roster means to them.
func (s *step) believe(o roster.Outcome, m roster.Member) {
	sn := s.env.Super
	if o.Refused {
		s.n.bad++
	}
	if o.Refute {
		s.n.inc = sn.roster.Inc()
	}
	if o.Gained {
		s.noteLarge(m.Peer)
		sn.ranks.Joined(m.ID)
		sn.fresh.Joined(m.ID, epoch)
		sn.presence.joined(m.ID)
		s.out.add(Effect{Kind: EffectSave})
		if sn.roster.Usable() <= wellKnown {
			s.tellNames()
		}
	}
	if o.Lost {
		s.lost(m.Peer)
	}
	if (o.Changed || o.Refute || o.Confirmed) && sn.gossipAt == vtime.Never {
		sn.gossipAt = s.now.Add(s.p.GossipPeriod / 10)
	}
}

// lost means that a supernode is believed gone.
func (s *step) lost(h ident.Handle) {
	sn := s.env.Super
	sn.ranks.Left(h)
	sn.fresh.Left(h)
	sn.presence.left(h)
	attach.Cache(s.env.Cache).Bad(h)
	s.forgetLoad(h)
	s.forgetLarge(h)
	s.tellLost(h)
}

// noLongerServes draws the conclusion from a supernode's behaviour as an ordinary node:
// it has rebooted, and what it held is without it.
func (s *step) noLongerServes(h ident.Handle) {
	sn := s.env.Super
	if b, ok := sn.roster.Lookup(h); ok && b.State.Usable() {
		b.State = roster.Dead
		s.believe(sn.roster.Merge(b, s.now), b)
	}
}

// expire buries suspects whose time is up.
func (s *step) expire() {
	sn := s.env.Super
	var buf [8]roster.Expired
	for _, e := range sn.roster.Expire(s.now, buf[:0]) {
		if !e.Forgotten {
			s.lost(e.Peer)
		}
	}
}

// A supernode is new for three times AskDead, 30 s, and asks ten times as often meanwhile.
const youth, youthHaste = 3, 10

// askRemembered asks one supernode of the host cache that the roster lacks: two tiers
// that grew apart after a disaster find together through what their members remember.
// A new supernode asks oftener: who is remembered comes back in the same seconds, and what
// the one half of the tier does not know of the other, the orphans do not hear of either.
func (s *step) askRemembered() {
	sn := s.env.Super
	every := s.p.AskDead
	if s.now.Sub(sn.since) < youth*every {
		every /= youthHaste
	}
	sn.askAt = s.now.Add(every/2 + vtime.Duration(s.n.rng.Between(0, int64(every))))
	cache := attach.Cache(s.env.Cache)
	if cache.Len() == 0 {
		return
	}
	h := cache[s.n.rng.Intn(cache.Len())].Peer
	if k := s.n.rng.Intn(2 * len(s.n.heirs)); k < len(s.n.heirs) && s.n.heirs[k] != ident.None {
		h = s.n.heirs[k] // of a supernode that died with its own, perhaps
	}
	// Also one that has left: it may have come back since, and know nobody.
	if b, ok := sn.roster.Lookup(h); (!ok || !b.State.Usable()) && h != s.n.self {
		s.introduce(h)
	}
}

// farewellTier tells the tier that this supernode serves no more.
func (s *step) farewellTier() {
	sn := s.env.Super
	var m wire.News
	m.Notices.Add(wire.Notice{Peer: s.n.self, Inc: sn.roster.Inc(), State: wire.Left})
	var to wire.Peers
	for range wire.MaxPeers {
		to.Add(sn.roster.Pick(&s.n.rng, to.All()...))
	}
	for _, h := range to.All() {
		s.out.send(h, m.Append(s.out.begin(), s.env.Book), false)
	}
	for _, h := range s.env.Logins {
		s.out.send(h, m.Append(s.out.begin(), s.env.Book), false)
	}
}
