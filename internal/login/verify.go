package login

import (
	"fmt"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/ident"
	"go.etcd.io/bbolt"
)

// verify reads everything once: the network's keys, every account, and the tree that
// holds them. Damage must be found when an operator is looking, not when the one user
// whose account it hit comes back; and a damaged tree hides names, which would be given
// away again.
func (e *Embedded) verify() error {
	return e.db.View(func(tx *bbolt.Tx) error {
		accounts, network := tx.Bucket(accountsBucket), tx.Bucket(networkBucket)
		if accounts == nil || network == nil {
			return fmt.Errorf("%w: not a file of this program", ErrCorrupt)
		}
		v := network.Get(keysKey)
		if len(v) != cert.KeyPairSize+4 || !checksumHolds(keysKey, v) {
			return fmt.Errorf("%w: the network's keys", ErrCorrupt)
		}
		keys, err := cert.DecodeKeyPair(v[:cert.KeyPairSize])
		if err != nil {
			return fmt.Errorf("%w: the network's keys: %w", ErrCorrupt, err)
		}
		e.keys = keys
		err = accounts.ForEach(func(k, v []byte) error {
			if _, err := parseAccount(k, v); err != nil {
				return err
			}
			return ident.CheckName(string(k))
		})
		if err != nil {
			return err
		}
		return checkTree(tx)
	})
}

// checkTree runs the engine's own check of order and reachability. It comes after every
// account has been read once, so that a fault has already been seen, on this goroutine.
func checkTree(tx *bbolt.Tx) (first error) {
	if err := checkPages(tx); err != nil {
		return err
	}
	for err := range tx.Check() { // read to its end: the check holds the transaction
		if first == nil {
			first = fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	}
	return first
}

// checkPages bounds the engine's check, which believes a page that says it goes on for
// 2^32 pages and visits them all. A branch or leaf of ours is always a single page:
// 63 + 80 bytes are far below one. Only the list of free pages may be longer.
func checkPages(tx *bbolt.Tx) error {
	for id := 2; ; id++ {
		p, err := tx.Page(id)
		if err != nil {
			return err
		}
		if p == nil { // behind the last page
			return nil
		}
		switch p.Type {
		case "branch", "leaf":
			if p.OverflowCount != 0 {
				return fmt.Errorf("%w: page %d claims %d more", ErrCorrupt, id, p.OverflowCount)
			}
		case "freelist":
			if last, err := tx.Page(id + p.OverflowCount); err != nil || last == nil {
				return fmt.Errorf("%w: the list of free pages goes beyond the last page", ErrCorrupt)
			}
			id += p.OverflowCount
		}
	}
}
