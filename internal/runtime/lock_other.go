//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package runtime

import (
	"errors"
	"io/fs"
	"os"
)

// lockFile takes the lock of a state directory where there is no flock. On Windows a
// file that is open can't be removed, so a lock that can was left by a process that is
// gone. Elsewhere the removal always works and nothing is locked: a node that could not
// start again after a crash would be worse.
func lockFile(name string) (*os.File, error) {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, ErrStateInUse
	}
	return os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}
