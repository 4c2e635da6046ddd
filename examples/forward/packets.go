package main

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ada420b6/overlay"
)

const (
	// maxSessions bounds how many local programs, or peers, talk through one UDP port at a
	// time. Each costs one open file or one flow, and two goroutines.
	maxSessions = 256
	// maxOfPeer bounds those of one peer, which can begin as many as it likes, so that it
	// leaves room for others. Local programs all have one address.
	maxOfPeer = maxSessions / 4
	// sessionIdle is how long a session lives in which nothing is said: as routers keep an
	// address translated that has been answered (RFC 4787).
	sessionIdle = 2 * time.Minute
	// sessionQueue is how many datagrams wait for the other side to be found. A program
	// that begins with one does not always repeat it.
	sessionQueue = 64
)

// sessions carries the datagrams of one port: who sends to it gets a connection of his own
// to the other side, by which the answers come back.
type sessions struct {
	f    *forwarder
	port net.PacketConn
	dial dialer
	idle time.Duration

	mu   sync.Mutex
	open map[string]*packetSession // by who sends, at most maxSessions
}

// packetSession is one sender's.
type packetSession struct {
	from   net.Addr
	queue  chan []byte
	active atomic.Int64 // when something was said last, in Unix nanoseconds
}

// servePackets carries what comes to port until it is closed, in a goroutine of its own.
func (f *forwarder) servePackets(ctx context.Context, port net.PacketConn, dial dialer) {
	s := &sessions{f: f, port: port, dial: dial, idle: sessionIdle, open: make(map[string]*packetSession)}
	f.wg.Go(func() { s.run(ctx) }) // ends when port is closed: runNode closes both kinds
}

func (s *sessions) run(ctx context.Context) {
	b := make([]byte, 1<<16)
	for ctx.Err() == nil {
		n, from, err := s.port.ReadFrom(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.f.log.Warn("read", "port", s.port.LocalAddr(), "error", err)
			pause(ctx, acceptPause)
			continue
		}
		if x := s.session(ctx, from); x != nil && n <= overlay.MaxDatagram {
			select {
			case x.queue <- append([]byte(nil), b[:n]...):
				continue
			default:
			}
		}
		s.f.dropped.Add(1)
	}
}

// session returns the sender's session, and begins it where there is none; nil when there
// are too many.
func (s *sessions) session(ctx context.Context, from net.Addr) *packetSession {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.open[from.String()]
	if x == nil && len(s.open) < maxSessions && s.ofPeer(from) < maxOfPeer {
		x = &packetSession{from: from, queue: make(chan []byte, sessionQueue)}
		s.open[from.String()] = x
		s.f.wg.Go(func() { s.carry(ctx, x) }) // ends when nothing is said, or with ctx
	}
	return x
}

// ofPeer returns how many sessions the peer at an address has, 0 if it is a local program's.
func (s *sessions) ofPeer(from net.Addr) (n int) {
	name := peerName(from)
	for _, x := range s.open {
		if name != "" && peerName(x.from) == name {
			n++
		}
	}
	return n
}

// peerName returns the name in an address of the overlay, "" for one of a machine.
func peerName(a net.Addr) string {
	if a.Network() == "udp" {
		return ""
	}
	name, _, _ := net.SplitHostPort(a.String())
	return name
}

func (s *sessions) carry(ctx context.Context, x *packetSession) {
	s.f.accepted.Add(1)
	s.f.open.Add(1)
	defer s.f.open.Add(-1)
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, x.from.String())
	}()
	out, err := s.dial(ctx)
	if err != nil {
		s.f.failed.Add(1)
		s.f.log.Debug("not connected", "from", x.from.String(), "error", err)
		return
	}
	ctx, end := context.WithCancel(ctx)
	defer context.AfterFunc(ctx, func() { _ = out.Close() })()
	x.active.Store(time.Now().UnixNano())
	var answers sync.WaitGroup
	answers.Go(func() { defer end(); s.answer(out, x) }) // ends with out
	for {
		select {
		case p := <-x.queue:
			x.active.Store(time.Now().UnixNano())
			if _, err := out.Write(p); err != nil { // nobody listens there yet, or it is lost
				s.f.dropped.Add(1)
			}
			continue
		case <-ctx.Done():
		}
		_ = out.Close()
		answers.Wait()
		return
	}
}

// answer carries what comes back, until nothing has been said for a while.
func (s *sessions) answer(out net.Conn, x *packetSession) {
	b := make([]byte, 1<<16)
	for {
		last := time.Unix(0, x.active.Load())
		_ = out.SetReadDeadline(last.Add(s.idle))
		n, err := out.Read(b)
		switch {
		case err == nil:
			x.active.Store(time.Now().UnixNano())
			if _, err := s.port.WriteTo(b[:n], x.from); err != nil {
				s.f.dropped.Add(1)
			}
		case errors.Is(err, net.ErrClosed) || time.Since(time.Unix(0, x.active.Load())) >= s.idle:
			return
		case !isTimeout(err): // a refusal by the system: the program may be starting
			s.f.dropped.Add(1)
		}
	}
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}
