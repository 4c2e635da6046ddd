package runtime

import (
	"context"
	"net"
	"net/netip"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"

	"github.com/ada420b6/overlay/internal/udp"
)

// carryOut does what one effect says.
func (l *loop) carryOut(f *core.Effect, now vtime.Time) {
	switch f.Kind {
	case core.EffectSend:
		l.n.messages++
		if f.Plain {
			l.sendPlain(f, now)
		} else {
			l.send(f, now)
		}
	case core.EffectForget:
		if e := l.book.at(f.Peer); e.keyed {
			l.table.Forget(e.key)
		}
	case core.EffectForward:
		l.forward(f)
	case core.EffectUnforward:
		l.socket.relay.close(f.Channel)
	default:
		l.owner.effect(f, l.out.Bytes(f))
	}
}

// send sends a message in a session.
func (l *loop) send(f *core.Effect, now vtime.Time) {
	if f.Peer.Transient() || f.Peer == l.book.self {
		l.n.noAddress++
		return
	}
	e := l.book.at(f.Peer)
	if !e.keyed {
		l.n.noAddress++
		return
	}
	at := e.addr
	if f.Fresh || !l.table.Established(e.key, now) {
		at = l.book.call(f.Peer)
	}
	if err := l.table.Send(e.key, at, l.out.Bytes(f), f.Fresh, now); err != nil {
		if !at.IsValid() {
			l.n.noAddress++
			return
		}
		l.n.unsent++
		l.log.Debug("message not sent", "error", err)
	}
}

// sendPlain sends a message outside of any session.
func (l *loop) sendPlain(f *core.Effect, now vtime.Time) {
	to := l.stranger
	switch {
	case f.Elsewhere && !f.Peer.Transient():
		to = l.addressOf(f.Peer)
	case !f.Peer.Transient():
		to = l.book.call(f.Peer)
	case f.Peer != ident.Transient(l.strangers):
		to = netip.AddrPort{} // one that the machine should not have kept
	}
	if !to.IsValid() {
		l.n.noAddress++
		return
	}
	b := appendPlain(l.scratch[:0], l.book.id, to, l.out.Bytes(f))
	if f.Elsewhere {
		l.sendElsewhere(to, b, now)
		return
	}
	l.socket.send(to, b)
	if !f.Peer.Transient() {
		l.socket.asked.note(f.Peer, to)
	}
}

// sendElsewhere sends from a socket that the receiver has never written to. It binds
// where the node's own socket is bound: another address of the machine might leave by
// another way.
func (l *loop) sendElsewhere(to netip.AddrPort, b []byte, now vtime.Time) {
	if !l.afar.take(now, afarBurst, afarEvery) {
		l.n.afarDropped++
		return
	}
	host := ""
	if at, ok := udp.AddrPort(l.socket.pc.LocalAddr()); ok && !at.Addr().IsUnspecified() {
		host = at.Addr().String()
	}
	pc, err := l.listen(context.Background(), net.JoinHostPort(host, "0"))
	if err != nil {
		l.log.Debug("no socket to dial back from", "error", err)
		l.n.afarDropped++
		return
	}
	if _, err := pc.WriteTo(b, net.UDPAddrFromAddrPort(to)); err != nil {
		l.n.unsent++
	}
	_ = pc.Close()
}

// addressOf returns where the packets of h go: where its session is, or where it was
// last known to be.
func (l *loop) addressOf(h ident.Handle) netip.AddrPort {
	e := l.book.at(h)
	if at, ok := l.table.Addr(e.key); ok {
		return at
	}
	return e.addr
}

// forward enters a channel between two other nodes. A channel that this node is an end
// of is a way of its own, which EffectChannel opens.
func (l *loop) forward(f *core.Effect) {
	if f.Peer == l.book.self || f.Relay == l.book.self {
		return
	}
	ends := [2]ident.Handle{f.Peer, f.Relay}
	var keys [2]ident.Key
	var addrs [2]netip.AddrPort
	for i, h := range ends {
		keys[i], addrs[i] = l.book.at(h).key, l.addressOf(h)
	}
	l.socket.relay.open(f.Channel, keys, addrs)
}
