package overlay

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/ada420b6/overlay/internal/login"
	"github.com/ada420b6/overlay/internal/runtime"
)

// Errors to be told apart with errors.Is. Besides these, a closed node gives
// net.ErrClosed, and an ended context its own error.
var (
	// ErrNotFound: nobody by that name is in the network now.
	ErrNotFound = errors.New("overlay: name not found")
	// ErrUnavailable: the directory did not answer in time, or the peer could not be
	// reached although it is in the network. Trying again makes sense.
	ErrUnavailable = errors.New("overlay: unavailable")
	// ErrDetached: this node is not attached itself, so that nothing is known of the peer.
	// It comes together with ErrUnavailable.
	ErrDetached = errors.New("overlay: this node is not attached")
	// ErrNameTaken: the name belongs to another key.
	ErrNameTaken = errors.New("overlay: name is taken")
	// ErrRefused: the operator of the network does not give this name to this node. The
	// error's text holds the operator's words.
	ErrRefused = errors.New("overlay: refused by the login server")
	// ErrWatchLimit: the node watches MaxWatched names already.
	ErrWatchLimit = errors.New("overlay: too many names are watched")
	// ErrContributeOnly: the node has no name, and makes and takes no calls.
	ErrContributeOnly = errors.New("overlay: node is contribute-only")
)

// publicError gives an error from inside the sentinel that it stands for.
func publicError(err error) error {
	for _, x := range []struct{ inside, public error }{
		{runtime.ErrNotFound, ErrNotFound},
		{runtime.ErrUnavailable, ErrUnavailable},
		{runtime.ErrNoChannel, ErrUnavailable},
		{runtime.ErrTooMany, ErrWatchLimit},
		{syscall.ETIMEDOUT, ErrUnavailable}, // its record is there, and it does not answer
		{login.ErrTaken, ErrNameTaken},
		{login.ErrRefused, ErrRefused},
		{runtime.ErrInvalid, ErrRefused},
	} {
		if errors.Is(err, x.inside) && !errors.Is(err, x.public) {
			return fmt.Errorf("%w: %w", x.public, err)
		}
	}
	return err
}
