package memnet

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// Socket is one end of the network.
type Socket struct {
	network *Network
	at      netip.AddrPort
	local   net.Addr
	wake    chan struct{} // holds a token when the inbox or the deadline has changed
	closed  chan struct{}

	mu       sync.Mutex
	inbox    []datagram // by due time
	deadline time.Time
	ended    bool
}

// datagram is on its way until due.
type datagram struct {
	due  time.Time
	from netip.AddrPort
	b    []byte
}

// arrive puts d in its place and reports whether there was room.
func (s *Socket) arrive(d datagram) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.inbox) == inboxSize || s.ended {
		return false
	}
	i := len(s.inbox)
	for i > 0 && s.inbox[i-1].due.After(d.due) {
		i--
	}
	s.inbox = append(s.inbox, datagram{})
	copy(s.inbox[i+1:], s.inbox[i:])
	s.inbox[i] = d
	s.signal()
	return true
}

func (s *Socket) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// ReadFrom returns the next datagram that is due.
func (s *Socket) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		d, wait, err := s.next()
		if err != nil {
			return 0, nil, &net.OpError{Op: "read", Net: "mem", Addr: s.local, Err: err}
		}
		if d.b != nil {
			return copy(p, d.b), net.UDPAddrFromAddrPort(d.from), nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-s.wake:
		case <-s.closed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// next returns a datagram that is due, or how long to wait for something to happen.
func (s *Socket) next() (d datagram, wait time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	wait = time.Hour
	switch {
	case s.ended:
		return d, 0, net.ErrClosed
	case !s.deadline.IsZero() && !now.Before(s.deadline):
		return d, 0, os.ErrDeadlineExceeded
	case !s.deadline.IsZero():
		wait = s.deadline.Sub(now)
	}
	if len(s.inbox) == 0 {
		return d, wait, nil
	}
	if due := s.inbox[0].due; due.After(now) {
		return d, min(wait, due.Sub(now)), nil
	}
	d = s.inbox[0]
	s.inbox = s.inbox[:copy(s.inbox, s.inbox[1:])]
	s.signal() // another reader may wait for what is left
	return d, 0, nil
}

// WriteTo sends p to a *net.UDPAddr, or anything that prints as "address:port".
func (s *Socket) WriteTo(p []byte, to net.Addr) (int, error) {
	at, err := addrPort(to)
	select {
	case <-s.closed:
		err = net.ErrClosed
	default:
		if err == nil && len(p) > MaxDatagram {
			err = errTooLong
		}
	}
	if err != nil {
		return 0, &net.OpError{Op: "write", Net: "mem", Addr: to, Err: err}
	}
	s.network.carry(s.at, at, p)
	return len(p), nil
}

// Close frees the address. What is on its way is lost.
func (s *Socket) Close() error {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return &net.OpError{Op: "close", Net: "mem", Addr: s.local, Err: net.ErrClosed}
	}
	s.ended = true
	close(s.closed)
	s.mu.Unlock()
	s.network.leave(s.at)
	return nil
}

// LocalAddr returns a *net.UDPAddr.
func (s *Socket) LocalAddr() net.Addr { return s.local }

// SetDeadline is SetReadDeadline: writes never wait.
func (s *Socket) SetDeadline(t time.Time) error { return s.SetReadDeadline(t) }

// SetReadDeadline sets the moment at which ReadFrom gives up; zero is never.
func (s *Socket) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	s.signal()
	return nil
}

// SetWriteDeadline does nothing: writes never wait.
func (s *Socket) SetWriteDeadline(time.Time) error { return nil }
