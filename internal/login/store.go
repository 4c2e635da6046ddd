// Package login is the account side of a login server: who may have which name, and
// the certificate that says so.
//
// It opens no socket and keeps no session. The protocol machine hands it a Request that
// came over a session, and gets a certificate or a status byte to answer with. All that
// login servers of one network share is a Store: an embedded file for one server, a SQL
// database for several.
//
// A name belongs to the first identity that claims it, until the operator releases it.
// That rule is one pure function (account.go); a store only has to apply it to one
// account at a time, atomically and durably.
package login

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/ident"
)

// Store keeps the network's keys and its accounts. All methods may be called by many
// goroutines at once; a method that returns nil has made its change durable. A method
// whose ctx ends returns an error that is ctx.Err(), and its change may or may not have
// been made: claiming again tells.
type Store interface {
	// Network returns the network's private keys: the one that signs certificates and
	// the session key of its login servers. The first call on a new store draws them;
	// every later one, by any server on the store, returns the same.
	Network(ctx context.Context) (cert.KeyPair, error)
	// Claim binds name to identity and returns the generation of the binding. The same
	// identity may claim again, also with another session key. It returns a *TakenError
	// when another identity has the name, ErrName when it is none, and ErrGenerations.
	Claim(ctx context.Context, name string, identity cert.PublicKey, session ident.Key, now time.Time) (generation uint16, err error)
	// Release frees name for whoever claims it next: the operator's action for a lost
	// key. If another identity claims it, the generation goes up by one. Certificates
	// that are out stay valid until they expire. Releasing a free name changes nothing.
	// It returns ErrNotFound when the name was never claimed.
	Release(ctx context.Context, name string) error
	// Lookup returns the account of name, or ErrNotFound when it was never claimed.
	Lookup(ctx context.Context, name string) (Account, error)
	// Close ends the use of the store; later calls return ErrClosed.
	Close() error
}

// Errors of a Store.
var (
	ErrTaken       = errors.New("login: the name belongs to another identity")
	ErrName        = ident.ErrName // the name breaks the rules for names
	ErrNotFound    = errors.New("login: the name was never claimed")
	ErrGenerations = errors.New("login: the name was bound to 65535 identities, no more can be told apart")
	ErrBusy        = errors.New("login: the account store has too much to do")
	ErrFull        = errors.New("login: the account store has reached its maximum size")
	ErrCorrupt     = errors.New("login: the account store is damaged")
	ErrLocked      = errors.New("login: the account store is in use by another process")
	ErrClosed      = fmt.Errorf("login: the account store is closed: %w", os.ErrClosed)
)

// TakenError says which name belongs to another identity. errors.Is finds ErrTaken.
type TakenError struct {
	Name string
}

// Error names the name.
func (e *TakenError) Error() string { return fmt.Sprintf("%v: %q", ErrTaken, e.Name) }

// Unwrap returns ErrTaken.
func (e *TakenError) Unwrap() error { return ErrTaken }
