package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/ada420b6/overlay/internal/ident"
)

// target is whom a link is dialled to. The name is part of it: a link to a key proves
// nothing to a caller who dials that key under another name.
type target struct {
	key  ident.Key
	name string
}

// attempt is one link being dialled, and then the link. Diallers of the same target
// share it.
type attempt struct {
	done chan struct{} // closed when the fields below are set
	link *link         // written under Endpoint.mu
	err  error
	at   time.Time // when it failed
}

// result returns the link, or nil while there is none.
func (a *attempt) result() *link {
	select {
	case <-a.done:
		return a.link
	default:
		return nil
	}
}

// over reports whether the attempt failed, or led to a link that has ended.
func (a *attempt) over() bool {
	select {
	case <-a.done:
		return a.err != nil || a.link.dead()
	default:
		return false
	}
}

// Dial opens a stream to a service of peer, of which Name and Key must be set. It
// returns after the peer's answer, or with the error of ctx. Its error is a
// *net.OpError around syscall.ECONNREFUSED (nobody listens on the service), ErrBusy,
// ErrIdentity, ErrLimit, ErrService, syscall.ETIMEDOUT (no answer) or net.ErrClosed
// (this endpoint is closed). When the peer has MaxStreams of this node open, Dial waits
// for one to close.
//
// The conn has a CloseWrite method, which the peer reads as io.EOF. Its Close loses
// nothing that was written: the peer can go on reading while both endpoints live.
func (e *Endpoint) Dial(ctx context.Context, peer Peer, service string) (net.Conn, error) {
	c, err := e.dial(ctx, peer, service)
	if err != nil {
		return nil, e.dialError(ctx, peer, service, err)
	}
	return c, nil
}

func (e *Endpoint) dial(ctx context.Context, peer Peer, service string) (*conn, error) {
	if err := CheckService(service); err != nil {
		return nil, err
	}
	var c *conn
	_, err := e.over(ctx, peer, func(l *link) (err error) {
		c, err = l.open(ctx, service)
		return err
	})
	return c, err
}

// over does something over the link to peer, and once more over a new one where the link
// turns out to be dead.
func (e *Endpoint) over(ctx context.Context, peer Peer, do func(*link) error) (*link, error) {
	l, fresh, err := e.connect(ctx, peer)
	if err != nil {
		return nil, err
	}
	err = do(l)
	// All of quic-go's errors of a connection unwrap to net.ErrClosed, those of a stream
	// don't.
	if errors.Is(err, net.ErrClosed) && !fresh && ctx.Err() == nil {
		// The peer rebooted, or let the link go as idle, since the link was last used:
		// it is not the peer's fault that this side did not know. QUIC tells its streams
		// of the end before it has ended.
		<-l.conn.Context().Done()
		if l, _, err = e.connect(ctx, peer); err == nil {
			err = do(l)
		}
	}
	return l, err
}

// dialError gives err the context of a dial.
func (e *Endpoint) dialError(ctx context.Context, peer Peer, service string, err error) error {
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case !errors.Is(err, ErrService) && !errors.Is(err, ErrLimit) && !errors.Is(err, ErrBusy) && !errors.Is(err, syscall.ECONNREFUSED):
		err = linkError(err, e.ctx.Err() != nil)
	}
	return &net.OpError{Op: "dial", Net: "overlay", Source: e.self.addr(""), Addr: peer.addr(service), Err: err}
}

// connect returns the link to peer, dialling it where there is none. fresh says that
// the link was not there before.
func (e *Endpoint) connect(ctx context.Context, peer Peer) (l *link, fresh bool, err error) {
	if l := e.live(target{peer.Key, peer.Name}); l != nil {
		return l, false, nil
	}
	a, err := e.attempt(peer, 0)
	if err != nil {
		return nil, false, err
	}
	select {
	case <-a.done:
		return a.link, true, a.err
	case <-ctx.Done():
		return nil, true, ctx.Err()
	}
}

// live returns the dialled link to a target, if there is one that has not ended.
func (e *Endpoint) live(to target) *link {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a := e.out[to]; a != nil && !a.over() {
		return a.result()
	}
	return nil
}

// attempt returns the attempt under way to peer, or starts one; not when the last one
// failed within the pause.
func (e *Endpoint) attempt(peer Peer, pause time.Duration) (*attempt, error) {
	to := target{peer.Key, peer.Name}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, net.ErrClosed
	}
	a := e.out[to]
	if a != nil && (!a.over() || a.err != nil && time.Since(a.at) < pause) {
		return a, nil
	}
	if a == nil && !e.makeRoom() {
		return nil, fmt.Errorf("%w: %d peers are dialled", ErrLimit, MaxOutbound)
	}
	a = &attempt{done: make(chan struct{})}
	e.out[to] = a
	e.wg.Go(func() { e.handshake(a, peer) }) // ends by 2 x handshakeTimeout, or by Close
	return a, nil
}

// makeRoom makes room for one more attempt at the cost of one that nobody uses.
func (e *Endpoint) makeRoom() bool {
	if len(e.out) < MaxOutbound {
		return true
	}
	for to, a := range e.out {
		l := a.result()
		if l != nil && l.idle() && !l.dead() {
			e.wg.Go(func() { l.close(codeReplaced) })
		} else if !a.over() {
			continue
		}
		delete(e.out, to)
		return true
	}
	return false
}

// handshake dials a link to peer. It does not end with the context of whoever asked
// first, because others may wait for the same link.
func (e *Endpoint) handshake(a *attempt, peer Peer) {
	var proven Peer
	conn, err := e.transport.Dial(e.ctx, e.carrier.route(peer.addr("")), e.creds.client(peer, &proven), e.quicConfig(-1))
	if err == nil {
		l := newLink(e, conn, proven)
		e.mu.Lock()
		if e.closed {
			err = net.ErrClosed
		} else {
			a.link = l
			e.wg.Go(l.receive) // ends with the link
		}
		e.mu.Unlock()
		if err != nil {
			l.close(codeShutdown)
		}
	}
	a.err, a.at = err, time.Now()
	close(a.done)
}

// open opens a stream for service and returns when the peer has accepted it.
func (l *link) open(ctx context.Context, service string) (*conn, error) {
	s, err := l.ask(ctx, forStream, service)
	if err != nil {
		return nil, err
	}
	return newConnInUse(l, s, l.endpoint.self.addr(streamNumber(s)), l.peer.addr(service)), nil
}

// askPacket asks whether the peer takes datagrams of a service.
func (l *link) askPacket(ctx context.Context, service string) error {
	s, err := l.ask(ctx, forDatagrams, service)
	if err == nil {
		s.Close()
		s.CancelRead(codeClosed)
		l.unuse()
	}
	return err
}

// ask opens a stream with a header and returns it when the answer is yes; the link is in use
// then.
func (l *link) ask(ctx context.Context, kind headerKind, service string) (*quic.Stream, error) {
	l.use()
	s, err := l.conn.OpenStreamSync(ctx)
	if err != nil {
		l.unuse()
		return nil, err
	}
	// A context that ends must end the read of the answer. When it does so in the moment
	// of the answer, it still wins: Dial can't return a conn with a foreign deadline.
	stop := context.AfterFunc(ctx, func() { s.SetDeadline(aLongTimeAgo) })
	err = negotiate(s, kind, service)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		s.CancelWrite(codeReset)
		s.CancelRead(codeReset)
		l.unuse()
		return nil, err
	}
	return s, nil
}

// negotiate sends the header and reads the answer.
func negotiate(s *quic.Stream, kind headerKind, service string) error {
	if _, err := s.Write(appendHeader(make([]byte, 0, headerSize), kind, service)); err != nil {
		return err
	}
	var b [1]byte
	if _, err := io.ReadFull(s, b[:]); err != nil {
		return err
	}
	switch answer(b[0]) {
	case accepted:
		return nil
	case refused:
		return syscall.ECONNREFUSED
	case busy:
		return ErrBusy
	}
	return fmt.Errorf("%w: answer %d", errHeader, b[0])
}
