package runtime

import (
	"net/netip"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/session"
)

// packet turns a datagram into an input.
func (l *loop) packet(d inbound) {
	defer d.b.Free()
	b, now := d.b.Bytes(), l.now()
	if b[0] == headPlain {
		l.plain(b, d.from)
		return
	}
	r := l.table.Receive(d.from, b, now)
	switch r.Kind {
	case session.KindMessage:
		from := l.sender(&r)
		l.step(l.message(from, r.Addr, r.Payload, false))
		if r.Fresh {
			l.table.Flush(r.Peer)
		}
	case session.KindMoved:
		l.sender(&r) // relays and paths follow at once, not with its next message
	case session.KindReset:
		l.step(&core.Input{Kind: core.InputReset, From: l.handleOf(r.Peer, r.Addr)})
	case session.KindCookie:
		l.step(&core.Input{Kind: core.InputCookie, From: l.handleOf(r.Peer, r.Addr)})
	}
}

func (l *loop) message(from ident.Handle, at netip.AddrPort, b []byte, plain bool) *core.Input {
	return &core.Input{
		Kind: core.InputMessage, Plain: plain, From: from, Bytes: b,
		Origin: originOf(l.origin[0], l.origin[1], at), Group: groupOf(at),
	}
}

// handleOf returns the handle of an authenticated key. All login servers have the same
// one: there the address tells.
func (l *loop) handleOf(key ident.Key, at netip.AddrPort) ident.Handle {
	h := l.book.intern(key)
	if !l.book.at(h).login {
		return h
	}
	for _, x := range l.env.Logins {
		if l.book.at(x).addr == at {
			return x
		}
	}
	return h
}

// sender returns the handle of a message's author, and learns where it is. The address
// of a first message proves nothing: it may have been recorded and sent from elsewhere.
func (l *loop) sender(r *session.Result) ident.Handle {
	h := l.handleOf(r.Peer, r.Addr)
	if r.Fresh {
		l.book.learn(h, r.Addr, hearsay)
		return h
	}
	at, ok := l.table.Addr(r.Peer)
	if !ok {
		at = r.Addr
	}
	was := l.book.at(h).addr
	l.book.heard(h, at, proven)
	if was != at {
		l.socket.relay.moved(r.Peer, at)
		l.owner.moved(r.Peer, at)
	}
	return h
}

// plain takes in a message outside of any session.
func (l *loop) plain(b []byte, from netip.AddrPort) {
	seen, message, ok := parsePlain(b, l.book.id)
	if !ok {
		l.n.otherNetwork++
		return
	}
	h := l.socket.asked.who(from)
	switch {
	case h == ident.None:
		l.stranger = from
		l.strangers++
		h = ident.Transient(l.strangers)
	case l.owner.awaits(message):
		// Only who was asked, and got the question, is heard: anybody can write a sender's
		// address on a datagram, and say that it sees this node elsewhere.
		l.book.heard(h, from, hearsay)
		if at, ok := l.observer.note(from.Addr(), seen); ok {
			l.book.address = at
		}
	}
	l.step(l.message(h, from, message, true))
}
