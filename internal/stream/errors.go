package stream

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"

	"github.com/quic-go/quic-go"
)

// Errors of Dial beside those of the context. "Nobody listens" unwraps to
// syscall.ECONNREFUSED, a peer that does not answer to syscall.ETIMEDOUT.
var (
	// ErrIdentity: the peer is not the one that was dialled, or one side did not accept
	// the other's certificate.
	ErrIdentity = errors.New("identity not proven")
	// ErrBusy: the peer has no room for one more caller now.
	ErrBusy = errors.New("peer is busy")
	// ErrLimit: this endpoint has as many links or packet conns in use as it may.
	ErrLimit = errors.New("too many conversations")
)

// Codes with which a stream is cancelled.
const (
	codeClosed    quic.StreamErrorCode = 0 // the application closed its end
	codeReset     quic.StreamErrorCode = 1 // given up before anybody accepted or answered
	codeBadHeader quic.StreamErrorCode = 2
)

// Codes with which a link is closed.
const (
	codeShutdown quic.ApplicationErrorCode = 0 // the endpoint is closed
	codeReplaced quic.ApplicationErrorCode = 1 // the peer has a newer link, or room was needed
)

// goneError is a conversation that ended because of the peer or of the way to it. It
// keeps the cause as text only: all of quic-go's errors unwrap to net.ErrClosed, which
// means here that this side closed.
type goneError struct {
	errno syscall.Errno
	cause string
}

func (e *goneError) Error() string { return e.errno.Error() + ": " + e.cause }
func (e *goneError) Unwrap() error { return e.errno }

// Timeout reports whether the peer was silent for too long. The conversation is over
// all the same: only os.ErrDeadlineExceeded can be tried again.
func (e *goneError) Timeout() bool { return e.errno == syscall.ETIMEDOUT }

// linkError translates quic-go's error of a connection. closed says that this endpoint
// is closed.
func linkError(err error, closed bool) error {
	var (
		idle        *quic.IdleTimeoutError
		handshake   *quic.HandshakeTimeoutError
		transport   *quic.TransportError
		application *quic.ApplicationError
		gone        *goneError
		identity    *identityError
	)
	switch {
	case closed:
		return net.ErrClosed
	case errors.As(err, &identity):
		return identity // without quic-go's error around it
	case errors.As(err, &gone), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &idle), errors.As(err, &handshake):
		return &goneError{syscall.ETIMEDOUT, err.Error()}
	case errors.As(err, &transport) && transport.ErrorCode.IsCryptoError():
		return &identityError{errors.New(transport.Error())} // the peer's verdict, as a TLS alert
	case errors.As(err, &transport) && transport.ErrorCode == quic.ConnectionRefused:
		return ErrBusy
	case errors.As(err, &application) && application.ErrorCode == codeShutdown:
		return &goneError{syscall.ECONNRESET, "the peer's endpoint was closed"}
	case errors.As(err, &application):
		return &goneError{syscall.ECONNRESET, "the link was replaced"}
	}
	return &goneError{syscall.ECONNRESET, err.Error()}
}

// identityError says why an identity was not proven.
type identityError struct{ cause error }

func (e *identityError) Error() string   { return ErrIdentity.Error() + ": " + e.cause.Error() }
func (e *identityError) Unwrap() []error { return []error{ErrIdentity, e.cause} }

// streamError translates quic-go's error of a stream. io.EOF never comes here.
func streamError(op string, err error, closed bool) error {
	var cancelled *quic.StreamError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return os.ErrDeadlineExceeded
	case errors.As(err, &cancelled) && op == "write" && cancelled.ErrorCode == codeClosed:
		return &goneError{syscall.EPIPE, "the peer closed its end"}
	case errors.As(err, &cancelled):
		return &goneError{syscall.ECONNRESET, "the peer gave the stream up"}
	}
	return linkError(err, closed)
}
