package runtime

import (
	"errors"
	"fmt"

	"github.com/ada420b6/overlay/internal/login"
	"github.com/ada420b6/overlay/internal/wire"
)

// Errors of a node.
var (
	ErrConfig     = errors.New("overlay: configuration")
	ErrStateInUse = errors.New("a node of this or another process uses it")
	// ErrNotFound means that nobody in the network holds a record of the name.
	ErrNotFound = errors.New("nobody by that name is attached")
	// ErrUnavailable means that whoever should know did not answer: try again.
	ErrUnavailable = errors.New("the directory did not answer")
	// ErrNoChannel means that none of the peer's supernodes could open a channel to it.
	ErrNoChannel = errors.New("the peer can't be reached")
	// ErrInvalid means that the login server could make nothing of the application.
	ErrInvalid = errors.New("the login server finds the application invalid")
)

// NameTakenError says that a name belongs to another key. It unwraps to login.ErrTaken.
type NameTakenError struct {
	Name string
}

// Error names the name.
func (e *NameTakenError) Error() string {
	return fmt.Sprintf("%q belongs to another key than this node's", e.Name)
}

// Unwrap returns login.ErrTaken.
func (e *NameTakenError) Unwrap() error { return login.ErrTaken }

// RefusedError says why the operator gives no certificate. It unwraps to
// login.ErrRefused.
type RefusedError struct {
	Reason string
}

// Error gives the operator's words.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("the login server refuses: %s", e.Reason)
}

// Unwrap returns login.ErrRefused.
func (e *RefusedError) Unwrap() error { return login.ErrRefused }

// denial returns the error that a login server's answer stands for. Its text comes from
// the network: login cleans it.
func denial(status wire.LoginStatus, text, name string) error {
	switch status {
	case wire.LoginTaken:
		return &NameTakenError{Name: name}
	case wire.LoginRefused:
		var refused *login.RefusedError
		if errors.As(login.StatusRefused.Err(text), &refused) {
			text = refused.Text
		}
		return &RefusedError{Reason: text}
	}
	return ErrInvalid
}
