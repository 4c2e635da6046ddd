package stream

import (
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"
)

// conn is a stream as net.Conn. QUIC's stream does nearly all of it; what it leaves to
// its user is that Close must not meet a Write, must interrupt both a Read and a Write,
// and must say so.
type conn struct {
	link          *link
	stream        *quic.Stream
	local, remote Addr

	writing sync.Mutex // held by Write, and by whoever ends the stream behind it

	mu         sync.Mutex // guards what follows, and deadlines against Close
	closed     bool
	writeEnded bool // CloseWrite was called
}

// newConn returns the net.Conn of a stream whose link it takes into use.
func newConn(l *link, s *quic.Stream, local, remote Addr) *conn {
	l.use()
	return newConnInUse(l, s, local, remote)
}

// newConnInUse is newConn for a link that the caller took into use for the conn.
func newConnInUse(l *link, s *quic.Stream, local, remote Addr) *conn {
	return &conn{link: l, stream: s, local: local, remote: remote}
}

// Read reads what the peer has written; io.EOF when it closed its end.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.stream.Read(b)
	if err == nil {
		return n, nil
	}
	if err == io.EOF && n > 0 {
		return n, nil // as a TCP conn does: the next Read returns io.EOF alone
	}
	if err == io.EOF && !c.isClosed() {
		return 0, io.EOF
	}
	return n, c.opError("read", err)
}

// Write returns when QUIC has taken b, which is not to say that the peer has.
func (c *conn) Write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.hasEnded() {
		return 0, c.opError("write", net.ErrClosed)
	}
	n, err := c.stream.Write(b)
	if err != nil {
		return n, c.opError("write", err)
	}
	return n, nil
}

// CloseWrite ends this direction: the peer reads io.EOF after what was written.
func (c *conn) CloseWrite() error {
	c.mu.Lock()
	c.writeEnded = true
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return c.opError("close", net.ErrClosed)
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.stream.Close(); err != nil {
		return c.opError("close", &goneError{syscall.ECONNRESET, "the peer does not read"})
	}
	return nil
}

// Close ends both directions without waiting. What was written still reaches the peer,
// as long as this endpoint lives. A Write under way ends with what it has handed over.
func (c *conn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return c.opError("close", net.ErrClosed)
	}
	c.closed = true
	c.stream.SetDeadline(aLongTimeAgo)
	c.mu.Unlock()

	c.writing.Lock()
	c.stream.Close() // fails only where the peer does not want to read: nothing to say
	c.writing.Unlock()
	c.stream.CancelRead(codeClosed)
	c.link.unuse()
	return nil
}

// abort ends a conn that the application never got.
func (c *conn) abort() {
	c.stream.CancelWrite(codeReset)
	c.stream.CancelRead(codeReset)
	c.link.unuse()
}

// LocalAddr and RemoteAddr return Addr values.
func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline, SetReadDeadline and SetWriteDeadline act as net.Conn says, also on calls
// under way.
func (c *conn) SetDeadline(t time.Time) error { return c.setDeadline(t, c.stream.SetDeadline) }

func (c *conn) SetReadDeadline(t time.Time) error {
	return c.setDeadline(t, c.stream.SetReadDeadline)
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	return c.setDeadline(t, c.stream.SetWriteDeadline)
}

// setDeadline must not undo the deadline by which Close interrupts calls.
func (c *conn) setDeadline(t time.Time, set func(time.Time) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.opErrorLocked("set", net.ErrClosed)
	}
	return set(t)
}

func (c *conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// hasEnded reports whether nothing can be written any more.
func (c *conn) hasEnded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed || c.writeEnded
}

// opError is err as the application sees it.
func (c *conn) opError(op string, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opErrorLocked(op, err)
}

func (c *conn) opErrorLocked(op string, err error) error {
	switch {
	case c.closed:
		err = net.ErrClosed
	case c.writeEnded && op == "write":
		err = &goneError{syscall.EPIPE, "this end was closed for writing"}
	default:
		err = streamError(op, err, c.link.endpoint.ctx.Err() != nil)
	}
	return &net.OpError{Op: op, Net: "overlay", Source: c.local, Addr: c.remote, Err: err}
}
