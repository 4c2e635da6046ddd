package runtime

import (
	"net/netip"
	"time"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
	"github.com/ada420b6/overlay/internal/path"
	"github.com/ada420b6/overlay/internal/stream"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// effect carries out what the machine of a node decides, beyond sending.
func (n *Node) effect(f *core.Effect, bytes []byte) {
	switch f.Kind {
	case core.EffectAttached, core.EffectDetached:
		n.attachment(f)
	case core.EffectPromoted, core.EffectDemoted:
		n.roleChanged(f.Kind == core.EffectPromoted)
	case core.EffectStorm:
		n.log.Info("storm level", "level", f.Count)
		n.events.emit(Event{Kind: EventStorm, Count: int(f.Count)})
	case core.EffectCertified:
		n.certified()
	case core.EffectDenied:
		n.denied(wire.LoginStatus(f.Status), string(bytes))
	case core.EffectFound:
		n.found(f)
	case core.EffectPresence:
		n.presence(f)
	case core.EffectChannel:
		n.channel(f)
	case core.EffectChannelOver:
		n.paths.Over(f.Channel, n.loop.book.at(n.viaOf(f)).key)
	case core.EffectNoChannel:
		n.noChannel(f)
	case core.EffectSave:
		n.saveSoon()
	case core.EffectLeft:
		for _, done := range n.left {
			done()
		}
		n.left = nil
	default:
		invariant.Check(false, "runtime: an effect that a node does not know")
	}
}

func (n *Node) attachment(f *core.Effect) {
	ev := Event{Kind: EventAttached, Peer: n.loop.book.at(f.Peer).key, Count: int(f.Count)}
	if f.Kind == core.EffectDetached {
		ev.Kind = EventDetached
	}
	n.log.Debug("attachment", "event", ev.Kind, "peer", ev.Peer.ID(), "count", ev.Count)
	n.events.emit(ev)
}

// roleChanged keeps at once what the node is: it decides how it comes back.
func (n *Node) roleChanged(super bool) {
	kind, role := EventDemoted, byte(0)
	if super {
		kind, role = EventPromoted, 1
	}
	n.log.Info("role", "event", kind)
	n.events.emit(Event{Kind: kind})
	if n.keeper == nil || !super && len(n.left) > 0 {
		// Who steps down to leave is a supernode again when it comes back: else a network
		// whose supernodes all leave in good order has nobody who starts the tier.
		return
	}
	n.keeper.put(nameRole, fileRole, []byte{role})
}

// certified keeps the certificate that the book has taken, and says when to renew it.
func (n *Node) certified() {
	book := n.loop.book
	encoded := book.encoded
	n.certificate.Store(&encoded)
	if n.keeper != nil {
		n.keeper.put(nameCertificate, fileCertificate, encoded)
	}
	n.standing.update(func(s *standing) { s.denied = nil })
	n.log.Info("certificate", "name", book.own.Name, "until", time.Unix(book.own.NotAfter, 0))
	n.events.emit(Event{Kind: EventCertified})
	n.loop.later = append(n.loop.later, core.Input{Kind: core.InputCertified, Start: core.Start{
		RenewIn: renewGranted(&book.own),
		Seq:     seqOf(book.own.Generation, n.boot),
	}})
}

func (n *Node) denied(status wire.LoginStatus, text string) {
	err := denial(status, text, n.config.Name)
	n.log.Warn("no certificate", "error", err)
	n.standing.update(func(s *standing) { s.denied = err })
	n.events.emit(Event{Kind: EventDenied, Err: err})
}

// channel enters the way to a peer that a relay has opened. When this node is the relay
// itself, packets go to where the peer's session is.
func (n *Node) channel(f *core.Effect) {
	l := n.loop
	key, via := l.book.at(f.Peer).key, n.viaOf(f)
	r := path.Route{Channel: f.Channel, Via: l.book.at(via).key, Addr: l.addressOf(via)}
	var err error
	if !r.Addr.IsValid() || !n.paths.Open(key, r) {
		err = ErrNoChannel
	}
	n.choresSoon()
	n.answerCall(key, err)
	if tell := n.onRoute.Load(); tell != nil && err == nil {
		(*tell)(key)
	}
}

// viaOf returns whose address the packets on a channel go to.
func (n *Node) viaOf(f *core.Effect) ident.Handle {
	if f.Relay == n.loop.book.self {
		return f.Peer
	}
	return f.Relay
}

// OnRoute has tell called, from the node's own goroutine, whenever there is a new way to
// a peer: whoever waits for the old one to answer need not wait any longer.
func (n *Node) OnRoute(tell func(ident.Key)) { n.onRoute.Store(&tell) }

// lostAfter is how long nothing must have been heard on a way for it to be given up
// when no new channel can be had: the peer may have opened one that works.
const lostAfter = 3 * time.Second

func (n *Node) noChannel(f *core.Effect) {
	key := n.loop.book.at(f.Peer).key
	n.paths.Lost(key, lostAfter)
	n.answerCall(key, ErrNoChannel)
	if ok, _ := n.paths.Has(key); !ok {
		n.dropCall(key) // the machine has given it up as well
	}
}

// stepped tells those who wait whether the node is attached now.
func (n *Node) stepped() {
	attached := n.core.Attached(&n.loop.env)
	if attached != n.standing.attached { // only the loop writes it
		n.standing.update(func(s *standing) { s.attached = attached })
	}
}

// saveSoon has the host cache and the roster written: at once when the last time is long
// ago, so that a node that has just been attached can be killed, else when they have had
// time to change more.
func (n *Node) saveSoon() {
	if n.saveAt == vtime.Never {
		n.saveAt = vtime.Later(n.loop.now(), n.savedAt.Add(saveDelay))
		n.loop.choresAt = vtime.Earlier(n.loop.choresAt, n.saveAt)
	}
}

// save hands what has changed to the disk.
func (n *Node) save() {
	n.saveAt, n.savedAt = vtime.Never, n.loop.now()
	if n.keeper == nil {
		return
	}
	book := n.loop.book
	n.keeper.put(nameCache, fileCache, encodeCache(book, n.loop.env.Cache))
	n.keeper.put(nameTickets, fileTickets, encodeTickets(book, n.core.Tickets()))
	if n.loop.env.Super != nil {
		n.keeper.put(nameRoster, fileRoster, encodeRoster(book))
	}
}

// idleEvery is how often calls that nobody uses are looked for, and idleCall after how
// long without a packet one is: QUIC has given up a minute before.
const (
	idleEvery = 10 * vtime.Second
	idleCall  = stream.IdleTimeout + time.Minute
)

func (n *Node) chores(now vtime.Time) vtime.Time {
	if now >= n.saveAt {
		n.save()
	}
	if now >= n.idleAt {
		n.idleAt = now.Add(idleEvery)
		for _, key := range n.paths.Unused(idleCall) {
			n.hangup(key)
		}
	}
	next := n.saveAt
	if n.paths.Len() > 0 || len(n.calls) > 0 {
		next = vtime.Earlier(next, n.idleAt)
	}
	return next
}

// choresSoon lets calls that are not used be looked for.
func (n *Node) choresSoon() {
	n.loop.choresAt = vtime.Earlier(n.loop.choresAt, vtime.Later(n.idleAt, n.loop.now()))
}

func (n *Node) refer(mark func(ident.Handle)) {
	for key := range n.calls {
		mark(n.loop.book.find(key))
	}
	for _, x := range n.logins {
		mark(x.handle)
	}
}

func (n *Node) awaits(message []byte) bool { return n.core.Awaits(message) }

func (n *Node) moved(key ident.Key, to netip.AddrPort) { n.paths.Moved(key, to) }
