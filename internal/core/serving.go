package core

import (
	"slices"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/liveness"
	"github.com/ada420b6/overlay/internal/slots"
	"github.com/ada420b6/overlay/internal/sorted"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// How a supernode serves (PROTOCOL.md section 5): it offers slots, takes whoever comes
// in one, and holds the attachments until they fall silent. What it has taken on is
// never delayed by what asks to be taken on: a keepalive is answered in the step in
// which it arrives (rule R6).

// holding is one attachment as its supernode sees it.
type holding struct {
	peer   ident.Handle
	token  uint32
	nonce  uint64 // of the attach, to answer it again when the answer got lost
	heard  vtime.Time
	since  vtime.Time // it has been held
	record wire.Record
	thin   bool
	able   bool
}

// hear notes that the node showed itself. A simulator may have entered a later moment
// (foretell.go), which a copy of an old message does not take back.
func (h *holding) hear(now vtime.Time) { h.heard = vtime.Later(h.heard, now) }

func (sn *Supernode) find(h ident.Handle) (int, bool) { return sorted.Number(sn.peers, h) }

func (sn *Supernode) findName(name ident.NameID) (int, bool) { return sorted.Hash(sn.names, name) }

// thinSlots is how many nodes are held beyond the normal slots.
func (s *step) thinSlots() int { return int(s.n.slots) * s.p.ThinSlots / s.p.NormalSlots }

// load is this supernode's utilisation in 1/128: how much of its normal slots is
// taken, or how far its slots are booked, whichever is more. Booked for LoadedAfter it
// is as loaded as makes the tier grow.
func (s *step) load() uint8 {
	sn := s.env.Super
	held := len(sn.held) * 128 / int(s.n.slots)
	booked := int(sn.cal.Backlog(s.now) * vtime.Duration(s.p.PromoteAbove) / s.p.LoadedAfter)
	return uint8(min(max(held, booked), wire.MaxUtil))
}

func (s *step) onProbe() {
	sn := s.env.Super
	var m wire.Probe
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	o := wire.Offer{Nonce: m.Nonce, Storm: s.storm(), Load: s.load(), Peers: s.alternates(s.in.From)}
	s.offer(&o, &m)
	if sn.leaveBy != vtime.Never || s.now < sn.queue.opens {
		o.Status, o.Wait = wire.OfferNotServing, 0
	}
	s.out.sendPlain(s.in.From, o.Append(s.out.begin(), s.env.Book))
}

// offer fills in what this supernode can give to the asker.
func (s *step) offer(o *wire.Offer, m *wire.Probe) {
	sn := s.env.Super
	room := len(sn.held) < int(s.n.slots)+s.thinSlots()
	if m.Class == wire.ClassSecond {
		room = sn.full < int(s.n.slots)*int(s.p.SecondBelow)/128
	}
	if s.p.Queue > 0 { // as in 2007: come at once, and wait in the queue
		o.Status, o.Wait = wire.OfferSlot, 0
		return
	}
	if !room {
		o.Status = wire.OfferFull
		o.Wait = s.fullWait()
		return
	}
	given := sn.cal.Offer(s.request(m), s.now, &s.n.rng)
	if !given.OK {
		o.Status, o.Wait = wire.OfferFull, given.Wait
		return
	}
	o.Status, o.Wait, o.Slot, o.Cookie = wire.OfferSlot, given.Wait, given.Slot, given.Cookie
}

func (s *step) fullWait() vtime.Duration {
	return vtime.Duration(s.n.rng.Between(int64(s.p.FullWait/60), int64(s.p.FullWait)))
}

// alternates draws living supernodes to name to from; the first of them by how much each
// can hold.
func (s *step) alternates(from ident.Handle) (p wire.Peers) {
	sn := s.env.Super
	if h := s.drawBySlots(); h != ident.None && h != from && h != s.n.self {
		p.Add(h)
	}
	for range 2 * wire.MaxPeers {
		if len(p.All()) == min(wire.MaxPeers, sn.roster.Usable()-1) {
			break
		}
		if h := sn.roster.Pick(&s.n.rng, from); h != ident.None {
			p.Add(h)
		}
	}
	return p
}

func (s *step) onAttach() {
	sn := s.env.Super
	var m wire.Attach
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	leaving := sn.leaveBy != vtime.Never
	if i, ok := sn.find(s.in.From); ok && sn.held[i].nonce == m.Nonce && !leaving {
		sn.held[i].hear(s.now)
		s.accept(&sn.held[i]) // the answer got lost
		return
	}
	switch {
	case m.Record.Owner != s.in.From:
		s.refuse(m.Nonce, wire.RefusedRecord, 0)
	case leaving || s.now < sn.queue.opens:
		s.refuse(m.Nonce, wire.RefusedClosed, 0)
	case s.p.Queue > 0:
		s.enqueue(&m)
	default:
		if !s.redeem(&m) {
			s.refuse(m.Nonce, wire.RefusedSlot, 0)
			return
		}
		s.admit(s.in.From, m.Nonce, m.Class, m.Able, m.Record)
	}
}

// redeem reports whether an attach comes in the slot that it was offered. The offer of a
// ticket that this supernode did not know is one to a stranger.
func (s *step) redeem(m *wire.Attach) bool {
	cal := &s.env.Super.cal
	if m.Class == wire.ClassTicket {
		origin := ticketOrigin(s.in.Origin, s.env.Book.ID(s.in.From))
		if v := cal.Redeem(slots.Ticket, origin, m.Slot, m.Cookie, s.now); v != slots.Forged {
			return v == slots.Served
		}
		m.Class = wire.ClassOrphan
	}
	return cal.Redeem(slots.Class(m.Class), s.in.Origin, m.Slot, m.Cookie, s.now) == slots.Served
}

// admit takes a node on, if there is room for it.
func (s *step) admit(from ident.Handle, nonce uint64, class wire.Class, able bool, r wire.Record) {
	sn := s.env.Super
	i, again := sn.find(from)
	if again && r.Seq < sn.held[i].record.Seq {
		s.refuseTo(from, nonce, wire.RefusedRecord, 0)
		return
	}
	thin := !again && sn.full >= int(s.n.slots) || again && sn.held[i].thin
	if !again && (len(sn.held) >= int(s.n.slots)+s.thinSlots() || thin && class == wire.ClassSecond) {
		s.refuseTo(from, nonce, wire.RefusedFull, s.fullWait())
		return
	}
	s.noLongerServes(from)
	if again {
		s.tellChannels(from)
		s.deaf(newListenerID(from, forNodes)) // it begins anew
	}
	h := s.hold(from, r)
	h.token, h.nonce, h.thin = s.n.rng.Uint32()|1, nonce, thin
	s.considerAble(h, able)
	if !thin && !again {
		sn.full++
	}
	s.accept(h)
}

// hold enters or renews what is known of an attached node, or of this node itself when
// from is None, and lets its record go to the directory.
func (s *step) hold(from ident.Handle, r wire.Record) *holding {
	sn := s.env.Super
	if r.Name != 0 {
		if i, ok := sn.findName(r.Name); !ok || s.newest(sn.owners[i], r) {
			sn.nameTo(r.Name, from)
			s.tend(r)
			sn.presence.touched(r.Name)
		}
	}
	if from == ident.None {
		return nil
	}
	h := sn.take(from, s.now)
	h.record = r
	h.hear(s.now)
	s.meet(r.At[0])
	s.meet(r.At[1])
	return h
}

// nameTo notes whose a name is.
func (sn *Supernode) nameTo(name ident.NameID, peer ident.Handle) {
	i, ok := sn.findName(name)
	if !ok {
		sn.names = slices.Insert(sn.names, i, name)
		sn.owners = slices.Insert(sn.owners, i, ident.None)
	}
	sn.owners[i] = peer
}

// take returns the place of an attached node, a new one if it has none.
func (sn *Supernode) take(peer ident.Handle, now vtime.Time) *holding {
	i, ok := sn.find(peer)
	if !ok {
		sn.peers = slices.Insert(sn.peers, i, peer)
		sn.held = append(sn.held, holding{})
		copy(sn.held[i+1:], sn.held[i:])
		sn.held[i] = holding{peer: peer, since: now}
	}
	return &sn.held[i]
}

// newest reports whether r is not older than what the present holder of its name has
// published: a name that was given to another key has two for a while.
func (s *step) newest(owner ident.Handle, r wire.Record) bool {
	sn := s.env.Super
	if owner == ident.None {
		return true
	}
	i, ok := sn.find(owner)
	return !ok || r.Seq >= sn.held[i].record.Seq
}

// release forgets an attached node.
func (s *step) release(peer ident.Handle) {
	sn := s.env.Super
	i, ok := sn.find(peer)
	if !ok {
		return
	}
	h := sn.held[i]
	if !h.thin {
		sn.full--
	}
	sn.setAble(&sn.held[i], false)
	if sn.standbys.rank(peer) > 0 {
		s.standbysSoon()
	}
	if j, ok := sn.findName(h.record.Name); ok && sn.owners[j] == peer {
		sn.names = slices.Delete(sn.names, j, j+1)
		sn.owners = slices.Delete(sn.owners, j, j+1)
		sn.fresh.Remove(h.record.Name)
		sn.presence.touched(h.record.Name)
	}
	s.deaf(newListenerID(peer, forNodes))
	sn.held = append(sn.held[:i], sn.held[i+1:]...)
	sn.peers = append(sn.peers[:i], sn.peers[i+1:]...)
	s.closeRelays(peer)
}

func (s *step) accept(h *holding) {
	m := wire.Accept{
		Nonce: h.nonce, Token: h.token, Thin: h.thin, Storm: s.storm(), Tier: s.tierView(),
		Ticket: s.ticketFor(s.env.Book.ID(h.peer)),
		Member: wire.Member{Peer: s.n.self, Inc: s.env.Super.roster.Inc()},
	}
	all := s.alternates(h.peer)
	for _, p := range all.All()[:min(acceptPeers, len(all.All()))] {
		m.Peers.Add(p)
	}
	s.out.send(h.peer, m.Append(s.out.begin(), s.env.Book), false)
}

// acceptPeers keeps an Accept within the size of an Attach: 364 + 4 x 51 bytes.
const acceptPeers = 4

func (s *step) refuse(nonce uint64, why wire.Refusal, wait vtime.Duration) {
	s.refuseTo(s.in.From, nonce, why, wait)
}

func (s *step) refuseTo(to ident.Handle, nonce uint64, why wire.Refusal, wait vtime.Duration) {
	m := wire.Refuse{Nonce: nonce, Reason: why, Wait: wait, Storm: s.storm(), Peers: s.alternates(to)}
	s.out.send(to, m.Append(s.out.begin(), s.env.Book), false)
}

func (s *step) onKeepalive() {
	var m wire.Keepalive
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	if s.p.Queue > 0 && s.p.QueueAll {
		s.enqueueKeepalive(&m)
		return
	}
	s.keepalive(s.in.From, &m)
}

func (s *step) keepalive(from ident.Handle, m *wire.Keepalive) {
	sn := s.env.Super
	i, ok := sn.find(from)
	if !ok || sn.held[i].token != m.Token {
		r := wire.NotAttached{Token: m.Token}
		s.out.send(from, r.Append(s.out.begin(), s.env.Book), false)
		return
	}
	sn.held[i].hear(s.now)
	s.considerAble(&sn.held[i], m.Able)
	s.raise(from, m.Limit)
	a := wire.KeepaliveAck{Token: m.Token, Storm: s.storm(), Tier: s.tierView(), Told: s.toldOf(from)}
	if m.Thirsty {
		a.Peers = s.alternates(from)
	}
	s.out.send(from, a.Append(s.out.begin(), s.env.Book), false)
	if m.Heirless {
		s.sayStandby(&sn.held[i])
	}
}

func (s *step) onNodeGoodbye() {
	sn := s.env.Super
	var m wire.Goodbye
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	if i, ok := sn.find(s.in.From); ok && sn.held[i].token == m.Token {
		if m.Reason == wire.FarewellRole {
			s.moves(sn.held[i].record)
		}
		s.release(s.in.From)
		s.out.add(Effect{Kind: EffectForget, Peer: s.in.From})
	}
}

func (s *step) onPublish() {
	sn := s.env.Super
	var m wire.Publish
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	i, ok := sn.find(s.in.From)
	if !ok {
		s.sayNotAttached(0)
		return
	}
	if m.Record.Owner != s.in.From || m.Record.Seq < sn.held[i].record.Seq {
		s.n.bad++
		return
	}
	if m.Record.Seq > sn.held[i].record.Seq {
		s.hold(s.in.From, m.Record)
	}
	sn.held[i].hear(s.now)
	a := wire.PublishAck{Seq: m.Record.Seq}
	s.out.send(s.in.From, a.Append(s.out.begin(), s.env.Book), false)
}

// The attachments are looked through when the first of them may have been silent for too
// long: within sweepEvery of that moment, and not more often; and every sweepMost, for those
// that came meanwhile.
const (
	sweepEvery = 2 * vtime.Second
	sweepMost  = 10 * vtime.Second
)

// servingDue drops attachments that have been silent for longer than a living node's
// can be.
func (s *step) servingDue() {
	sn := s.env.Super
	s.queueDue()
	if s.now < sn.sweepAt {
		return
	}
	next := s.now.Add(sweepMost)
	silence := [2]vtime.Duration{liveness.Silence(s.watch(false)), liveness.Silence(s.watch(true))}
	for i := 0; i < len(sn.held); {
		h := &sn.held[i]
		end := h.heard.Add(silence[0])
		if h.thin {
			end = h.heard.Add(silence[1])
		}
		if end >= s.now {
			next = vtime.Earlier(next, end)
			i++
			continue
		}
		peer := h.peer
		s.release(peer)
		s.out.add(Effect{Kind: EffectForget, Peer: peer})
	}
	sn.sweepAt = vtime.Later(next, s.now.Add(sweepEvery))
}

// storm is the level that this supernode tells: 0 to 3.
func (s *step) storm() uint8 { return s.env.Super.cal.Storm(s.now) }

// considerAble notes whether a node could be appointed, and lets a tier that is too
// small know of it at once.
func (s *step) considerAble(h *holding, able bool) {
	sn := s.env.Super
	news := able && !h.able
	sn.setAble(h, able)
	if news {
		sn.appointAt = s.now
		s.standbysSoon()
	}
}
