package login

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ada420b6/overlay/internal/cert"
	"go.etcd.io/bbolt"
)

// createAccounts makes the file at path unless it exists. It is built under another
// name and appears under its own at once, with the network's keys in it: whatever
// moment the machine crashes in, and however many processes start at once, there is
// either no file or a whole one.
func createAccounts(dir, path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil // it exists, or opening it will say what is wrong
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("login: creating the directory of the account store: %w", err)
	}
	f, err := os.CreateTemp(dir, accountsFile+".new-*")
	if err != nil {
		return fmt.Errorf("login: creating the account store: %w", err)
	}
	temp := f.Name()
	defer os.Remove(temp)
	if err := f.Close(); err != nil {
		return fmt.Errorf("login: creating the account store: %w", err)
	}
	if err := fillAccounts(temp); err != nil {
		return fmt.Errorf("login: creating the account store %s: %w", temp, err)
	}
	// A link fails when the name exists, a rename would replace what another process
	// has created meanwhile.
	if err := os.Link(temp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("login: creating the account store: %w", err)
	}
	return syncDir(dir)
}

// fillAccounts makes an empty store with new network keys.
func fillAccounts(path string) (err error) {
	keys, err := cert.GenerateKeyPair(rand.Reader)
	if err != nil {
		return err
	}
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.Update(func(tx *bbolt.Tx) error {
		if _, err := tx.CreateBucket(accountsBucket); err != nil {
			return err
		}
		b, err := tx.CreateBucket(networkBucket)
		if err != nil {
			return err
		}
		return b.Put(keysKey, appendChecksum(keys.Append(nil), keysKey))
	})
}

// syncDir makes the new name survive a power cut. Some systems can't sync a directory,
// and need not: there the error says nothing about the file.
func syncDir(dir string) error {
	d, err := os.Open(filepath.Clean(dir))
	if err != nil {
		return fmt.Errorf("login: creating the account store: %w", err)
	}
	_ = d.Sync()
	return d.Close()
}
