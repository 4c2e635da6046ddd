package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
)

// halfCloser is a connection that can end one direction and go on reading: TCP's and the
// overlay's can.
type halfCloser interface {
	CloseWrite() error
}

// bridge carries bytes between a and b, in both directions, until both have ended. The
// end of a direction is carried too, so that "send all, then wait for the answer" works.
// An error on either side ends both at once, and so does the end of ctx. It returns the
// bytes from a and from b.
func bridge(ctx context.Context, a, b net.Conn) (fromA, fromB int64, err error) {
	cut := sync.OnceFunc(func() { abort(a); abort(b) })
	stop := context.AfterFunc(ctx, cut)
	defer stop()
	var errA, errB error
	var both sync.WaitGroup
	both.Go(func() { // ends with a's direction, or by the cut
		if fromA, errA = oneWay(b, a); errA != nil {
			cut()
		}
	})
	both.Go(func() { // likewise with b's
		if fromB, errB = oneWay(a, b); errB != nil {
			cut()
		}
	})
	both.Wait()
	_, _ = a.Close(), b.Close() // both directions have ended: there is nothing left to lose
	return fromA, fromB, errors.Join(errA, errB)
}

// oneWay carries what from says to to, and its end.
func oneWay(to, from net.Conn) (int64, error) {
	n, err := io.Copy(to, from)
	if err != nil {
		return n, err
	}
	if h, ok := to.(halfCloser); ok {
		return n, h.CloseWrite()
	}
	return n, nil
}

// abort closes c, a TCP connection with a reset: its program learns that something is
// missing. A stream of the overlay can't say so: its other end reads an end.
func abort(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // fails only where the connection is gone
	}
	_ = c.Close()
}
