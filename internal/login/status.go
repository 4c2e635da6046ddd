package login

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Errors of Authority.Issue, beside ErrTaken and ErrName.
var (
	ErrRefused     = errors.New("login: refused by the operator")
	ErrBadProof    = errors.New("login: the request is not signed by its identity")
	ErrUnavailable = errors.New("login: the server can't decide now")
)

// RefusedError carries what the operator's hook said. errors.Is finds ErrRefused.
type RefusedError struct {
	Text string // for the user, at most MaxText bytes, without control characters
}

// Error gives the operator's words.
func (e *RefusedError) Error() string { return fmt.Sprintf("%v: %s", ErrRefused, e.Text) }

// Unwrap returns ErrRefused.
func (e *RefusedError) Unwrap() error { return ErrRefused }

// Status is the outcome of a request as it stands on the wire: one byte and a text.
type Status uint8

// The outcomes. Their numbers are on the wire and never change.
const (
	StatusOK          Status = 0
	StatusTaken       Status = 1 // the text is the name
	StatusRefused     Status = 2 // the text is the operator's
	StatusBadProof    Status = 3
	StatusName        Status = 4 // the text is the rule that was broken
	StatusUnavailable Status = 5 // and every number that a later version may add
)

// MaxText bounds the text beside a status, in bytes: a sentence, and an answer that
// stays smaller than a certificate.
const MaxText = 200

// StatusOf returns how to answer a request that ended with err. What went wrong inside
// of the server (a path, a database's words) is not in the text: it is for the
// operator's log.
func StatusOf(err error) (Status, string) {
	var taken *TakenError
	var refused *RefusedError
	switch {
	case err == nil:
		return StatusOK, ""
	case errors.Is(err, ErrUnavailable):
		return StatusUnavailable, ""
	case errors.As(err, &taken):
		return StatusTaken, taken.Name
	case errors.As(err, &refused):
		return StatusRefused, clean(refused.Text)
	case errors.Is(err, ErrBadProof):
		return StatusBadProof, ""
	case errors.Is(err, ErrName):
		return StatusName, clean(err.Error())
	}
	return StatusUnavailable, ""
}

// Err returns the error that s stands for, nil for StatusOK: the inverse of StatusOf at
// the other end. text comes from a peer; it is bounded and cleaned.
func (s Status) Err(text string) error {
	text = clean(text)
	switch s {
	case StatusOK:
		return nil
	case StatusTaken:
		return &TakenError{Name: text}
	case StatusRefused:
		return &RefusedError{Text: text}
	case StatusBadProof:
		return ErrBadProof
	case StatusName:
		return fmt.Errorf("%w (says the login server: %s)", ErrName, text)
	case StatusUnavailable:
		return ErrUnavailable
	}
	return fmt.Errorf("%w: status %d", ErrUnavailable, uint8(s))
}

// clean makes text fit for a line of a log or a dialog: valid UTF-8, at most MaxText
// bytes, nothing that moves a cursor.
func clean(text string) string {
	text = text[:min(len(text), 4*MaxText)] // no work beyond what can be left of it
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) <= MaxText {
		return text
	}
	end := MaxText
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}
