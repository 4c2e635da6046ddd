package login

import (
	"context"
	"fmt"

	"go.etcd.io/bbolt"
)

// maxPending bounds the changes that wait for a commit. A commit costs one sync of the
// disk, 1 to 10 ms, for any number of changes; 4096 in it are 400 000 claims a second
// at 10 ms, far more than the login tier's 5 000. Whoever comes when it is full gets
// ErrBusy: the disk hangs, and waiting is the asker's business.
const maxPending = 4096

// job is one change that waits for a commit.
type job struct {
	ctx  context.Context
	name string
	edit edit
	done chan struct{} // closed when account and err are set

	account Account
	err     error
}

// update applies do to the account of name. Changes that come while a commit is on its
// way are gathered, and the first of their callers that gets the writer's token commits
// them all: a disk that syncs 200 times a second still takes thousands of claims.
func (e *Embedded) update(ctx context.Context, name string, do edit) (Account, error) {
	if err := ctx.Err(); err != nil {
		return Account{}, err
	}
	if a, ok, err := e.unchanged(name, do); ok || err != nil {
		return a, err
	}
	j := &job{ctx: ctx, name: name, edit: do, done: make(chan struct{})}
	e.mu.Lock()
	if len(e.pending) >= maxPending {
		e.mu.Unlock()
		return Account{}, ErrBusy
	}
	e.pending = append(e.pending, j)
	e.mu.Unlock()
	select {
	case e.writer <- struct{}{}:
		e.commitPending()
		<-e.writer
		<-j.done // by this commit, or by the one before
	case <-j.done:
	case <-ctx.Done():
		return Account{}, ctx.Err()
	}
	return j.account, j.err
}

// unchanged answers what needs no write: most claims are renewals, and a refusal must
// not cost a sync of the disk.
func (e *Embedded) unchanged(name string, do edit) (a Account, ok bool, err error) {
	err = e.view(func(tx *bbolt.Tx) error {
		old, found, err := readAccount(tx, name)
		if err != nil {
			return err
		}
		if a, err = do(old, found); err != nil {
			return err
		}
		ok = a == old
		return nil
	})
	return a, ok, err
}

// commitPending commits what waits. The caller has the writer's token.
func (e *Embedded) commitPending() {
	e.mu.Lock()
	jobs := e.pending
	e.pending = nil
	e.mu.Unlock()
	if len(jobs) == 0 {
		return
	}
	err := e.guard(func() error {
		return e.db.Update(func(tx *bbolt.Tx) error {
			for _, j := range jobs {
				if err := j.apply(tx); err != nil {
					return err
				}
			}
			return nil
		})
	})
	for _, j := range jobs {
		if err != nil {
			// Also a refusal may rest on a claim that was not committed.
			j.account, j.err = Account{}, fmt.Errorf("%w (writing %s)", err, e.path)
		}
		close(j.done)
	}
}

// apply does one change inside of a transaction. Only an error of the store is
// returned; a refusal is the job's own.
func (j *job) apply(tx *bbolt.Tx) error {
	if j.err = j.ctx.Err(); j.err != nil {
		return nil // nobody waits for it any more
	}
	old, ok, err := readAccount(tx, j.name)
	if err != nil {
		return err
	}
	if j.account, j.err = j.edit(old, ok); j.err != nil || ok && j.account == old {
		return nil
	}
	return tx.Bucket(accountsBucket).Put([]byte(j.name), j.account.encode())
}
