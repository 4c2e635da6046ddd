package runtime

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"time"

	"golang.org/x/crypto/curve25519"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/stream"
)

const (
	// connectMin and connectMax bound the pause before the directory is asked again for
	// a peer that could not be reached: a peer that lost its supernode has another one
	// within seconds.
	connectMin = 500 * time.Millisecond
	connectMax = 8 * time.Second

	// fresh is how short ago something must have been heard on a way for it to be used
	// without asking the directory.
	fresh = 10 * time.Second
)

// call is a peer that this node wants a way to, until Hangup.
type call struct {
	name    string
	peer    stream.Peer
	dialled bool          // the machine has been asked and has not answered
	waiting []func(error) // each is called once; one per Connect under way
}

// Connect finds a way to the node called name, so that PacketConn reaches it, and tries
// for as long as ctx lasts. The way is kept, and replaced when it dies, until Hangup or
// until nothing was sent or heard for three minutes. Errors: those of Lookup; when ctx
// ends, what was wrong last is joined to ctx.Err().
func (n *Node) Connect(ctx context.Context, name string) (stream.Peer, error) {
	if err := ident.CheckName(name); err != nil {
		return stream.Peer{}, err
	}
	var last error
	for pause := connectMin; ; pause = min(2*pause, connectMax) {
		peer, err := n.connectOnce(ctx, name)
		again := errors.Is(err, ErrNoChannel) || errors.Is(err, ErrUnavailable)
		switch {
		case err == nil:
			return peer, nil
		case !again && ctx.Err() != nil: // it ended in the midst of a try
			return stream.Peer{}, errors.Join(last, err)
		case !again:
			return stream.Peer{}, err
		}
		last = err
		t := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return stream.Peer{}, errors.Join(err, ctx.Err())
		case <-n.loop.closing:
			t.Stop()
			return stream.Peer{}, net.ErrClosed
		}
	}
}

func (n *Node) connectOnce(ctx context.Context, name string) (stream.Peer, error) {
	var peer stream.Peer
	answers := make(chan error, 1)
	err := n.loop.call(ctx, func() {
		n.connect(name, func(p stream.Peer, err error) {
			peer = p
			answers <- err
		})
	})
	if err != nil {
		return stream.Peer{}, err
	}
	select {
	case err := <-answers:
		return peer, err
	case <-ctx.Done():
		return stream.Peer{}, ctx.Err()
	case <-n.loop.closing:
		return stream.Peer{}, net.ErrClosed
	}
}

// connect calls done when there is a way to name, or can be none.
func (n *Node) connect(name string, done func(stream.Peer, error)) {
	if key, ok := n.named[name]; ok {
		if ok, silent := n.paths.Has(key); ok && silent < fresh {
			done(n.calls[key].peer, nil)
			return
		}
	}
	n.ask(name, func(f *finding, err error) {
		switch {
		case err != nil:
			done(stream.Peer{}, err)
		case f.owner == n.loop.book.self: // packets to oneself need no way
			done(f.contact.Peer, nil)
		default:
			peer := f.contact.Peer
			n.dial(f, func(err error) { done(peer, err) })
		}
	})
}

// dial has the machine open a channel, unless it is at it already.
func (n *Node) dial(f *finding, done func(error)) {
	peer := f.contact.Peer
	c := n.calls[peer.Key]
	if c == nil {
		c = &call{name: peer.Name, peer: peer}
		n.calls[peer.Key], n.named[peer.Name] = c, peer.Key
	}
	c.waiting = append(c.waiting, done)
	if c.dialled {
		return
	}
	c.dialled = true
	n.loop.later = append(n.loop.later, core.Input{
		Kind: core.InputDial, From: f.owner, At: f.at, Name: ident.HashName(peer.Name), Floor: f.contact.Seq,
	})
}

// answerCall tells everybody who waits for a way to a peer.
func (n *Node) answerCall(key ident.Key, err error) {
	c := n.calls[key]
	if c == nil {
		return
	}
	waiting := c.waiting
	c.dialled, c.waiting = false, nil
	for _, done := range waiting {
		done(err)
	}
}

// Reaches reports whether packets to a peer go to its own address, without a relay.
func (n *Node) Reaches(peer ident.Key) bool { return n.paths.Direct(peer) }

// wanted is the virtual PacketConn's wish for a way: there is none to a peer that is
// being written to, or nothing comes back. That is how conversations survive the death
// of a relay (rule R12).
func (n *Node) wanted(key ident.Key) { n.loop.try(func() { n.revive(key) }) }

// silent tells the machine that a channel does not carry: it seeks another one, and looks
// after an attachment to the relay.
func (n *Node) silent(key ident.Key, channel uint64, via ident.Key) {
	n.loop.try(func() {
		peer, relay := n.loop.book.find(key), n.loop.book.find(via)
		if peer == ident.None {
			return
		}
		n.loop.step(&core.Input{Kind: core.InputSilent, From: peer, At: [2]ident.Handle{relay}, Channel: channel})
	})
}

// crowded tells the machine that the relay's budget is shared by many.
func (n *Node) crowded() {
	n.loop.try(func() { n.loop.step(&core.Input{Kind: core.InputCrowded}) })
}

// secret is what this node and the owner of a session key find by themselves.
func (n *Node) secret(key ident.Key) (secret [32]byte, err error) {
	private := n.keys.SessionPrivate()
	b, err := curve25519.X25519(private[:], key[:])
	copy(secret[:], b)
	return secret, err
}

// revive asks the directory again where a peer is, and dials it there. The peer's name
// is known if this node called it, or holds its record.
func (n *Node) revive(key ident.Key) {
	n.choresSoon()
	name := ""
	if c := n.calls[key]; c != nil {
		if c.dialled {
			return
		}
		name = c.name
	} else if h := n.loop.book.find(key); h != ident.None {
		name = n.loop.book.at(h).record.cert.Name
	}
	if name == "" {
		return
	}
	n.ask(name, func(f *finding, err error) {
		if err != nil || f.contact.Peer.Key != key {
			return
		}
		// The relay that has fallen silent is asked last: the directory may not know yet.
		if via := n.loop.book.find(n.paths.Via(key)); via == f.at[0] && f.at[1] != ident.None {
			f.at[0], f.at[1] = f.at[1], f.at[0]
		}
		n.dial(f, func(error) {})
	})
}

// Hangup says that no conversation with the peer is left: the way to it is given up.
func (n *Node) Hangup(peer stream.Peer) {
	n.loop.post(func() { n.hangup(peer.Key) })
}

func (n *Node) hangup(key ident.Key) {
	n.paths.Forget(key)
	n.answerCall(key, ErrNoChannel)
	if h := n.loop.book.find(key); n.dropCall(key) && h != ident.None {
		n.loop.step(&core.Input{Kind: core.InputHangup, From: h})
	}
}

// dropCall forgets a call, and reports whether there was one.
func (n *Node) dropCall(key ident.Key) bool {
	c := n.calls[key]
	if c == nil {
		return false
	}
	delete(n.calls, key)
	if n.named[c.name] == key {
		delete(n.named, c.name)
	}
	return true
}
