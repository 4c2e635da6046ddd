package stream

import (
	"fmt"
	"net"
	"sync"
	"syscall"
)

// listener is the net.Listener of one service.
type listener struct {
	endpoint *Endpoint
	service  string
	queue    chan *conn // streams that were told "accepted"

	mu     sync.Mutex // makes an offer and shut exclude each other
	isShut bool
	done   chan struct{} // closed with isShut
}

// Listen returns a listener for the streams that peers dial to service. A second one
// for the same service fails with an error that unwraps to syscall.EADDRINUSE.
// RemoteAddr of an accepted conn is an Addr with the caller's name and key.
func (e *Endpoint) Listen(service string) (net.Listener, error) {
	l := &listener{
		endpoint: e,
		service:  service,
		queue:    make(chan *conn, AcceptQueue),
		done:     make(chan struct{}),
	}
	err := CheckService(service)
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case err != nil:
	case e.closed:
		err = net.ErrClosed
	case e.listeners[service] != nil:
		err = fmt.Errorf("service %q: %w", service, syscall.EADDRINUSE)
	default:
		e.listeners[service] = l
		return l, nil
	}
	return nil, &net.OpError{Op: "listen", Net: "overlay", Addr: e.self.addr(service), Err: err}
}

// listener returns the listener of service, nil if there is none.
func (e *Endpoint) listener(service string) *listener {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.listeners[service]
}

// offer queues c for Accept. Only when there is room, the dialler is told "accepted",
// and before Accept can return c, so that the answer is the first byte of the stream.
func (l *listener) offer(c *conn) answer {
	l.mu.Lock()
	defer l.mu.Unlock()
	said := accepted
	if l.isShut {
		said = refused
	} else if len(l.queue) == cap(l.queue) {
		said = busy
	}
	if said != accepted {
		c.link.unuse() // the stream itself is the caller's to end
		return said
	}
	// One byte on a fresh stream is only copied, so it is no wait under the lock. When
	// it fails the dialler is gone, which the first Read will say.
	c.stream.Write([]byte{byte(accepted)})
	l.queue <- c
	return accepted
}

// Accept returns the next stream, or net.ErrClosed after Close.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.done:
		return nil, &net.OpError{Op: "accept", Net: "overlay", Addr: l.Addr(), Err: net.ErrClosed}
	}
}

// Close ends Accept and resets the streams that wait for it.
func (l *listener) Close() error {
	e := l.endpoint
	e.mu.Lock()
	if e.listeners[l.service] == l {
		delete(e.listeners, l.service)
	}
	e.mu.Unlock()
	if !l.shut() {
		return &net.OpError{Op: "close", Net: "overlay", Addr: l.Addr(), Err: net.ErrClosed}
	}
	return nil
}

// shut closes the listener. It reports false if that has been done before.
func (l *listener) shut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isShut {
		return false
	}
	l.isShut = true
	close(l.done)
	for len(l.queue) > 0 {
		select {
		case c := <-l.queue:
			c.abort()
		default: // an Accept under way was faster
		}
	}
	return true
}

// Addr returns an Addr.
func (l *listener) Addr() net.Addr { return l.endpoint.self.addr(l.service) }
