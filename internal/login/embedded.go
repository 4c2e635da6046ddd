package login

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/ident"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

const (
	// accountsFile is the name of the embedded store's only file in its directory.
	accountsFile = "accounts.db"

	// MaxAccountsFile bounds the file, in bytes: 100 million accounts (ten times the
	// target size) of at most 63 + 80 + 16 bytes, in pages that are half full in the
	// worst case, are 32 GB. Beyond it claims of new names fail and all else works.
	MaxAccountsFile = 32 << 30

	// lockTimeout is how long to wait for another process to let go of the file: enough
	// for one that is just ending, short enough for an operator at a terminal.
	lockTimeout = 500 * time.Millisecond
)

var (
	accountsBucket = []byte("accounts")
	networkBucket  = []byte("network")
	keysKey        = []byte("keys")
)

// Embedded is a Store in one file: the default, for a single login server. Every
// change is synced to disk before it is acknowledged.
type Embedded struct {
	db   *bbolt.DB
	path string
	keys cert.KeyPair

	writer  chan struct{} // holds one token: who has it commits (commit.go)
	mu      sync.Mutex    // guards pending
	pending []*job

	// damage is set once the file was found damaged: from then on nothing is read or
	// written, because the engine's own state can't be trusted any more.
	damage atomic.Pointer[error]
}

// OpenEmbedded opens the store in directory dir and creates both when they don't
// exist. The whole file is read and checked, about a second per million accounts. It
// returns ErrLocked when another process has it open and ErrCorrupt when it is
// damaged: a file that was once created is never replaced.
func OpenEmbedded(dir string) (*Embedded, error) { return openEmbedded(dir, MaxAccountsFile) }

func openEmbedded(dir string, maxSize int64) (*Embedded, error) {
	path := filepath.Join(dir, accountsFile)
	if err := createAccounts(dir, path); err != nil {
		return nil, err
	}
	e := &Embedded{path: path, writer: make(chan struct{}, 1)}
	err := e.guard(func() error {
		db, err := openBolt(path, maxSize)
		if err != nil {
			return err
		}
		e.db = db
		return e.verify()
	})
	if err != nil {
		e.abandon()
		return nil, fmt.Errorf("%w (opening %s)", err, path)
	}
	return e, nil
}

// abandon closes what openEmbedded may have opened. A damaged file can make that fail
// as well; its error would only hide the first one.
func (e *Embedded) abandon() {
	if e.db != nil && e.damage.Load() == nil {
		_ = e.db.Close()
	}
}

func openBolt(path string, maxSize int64) (*bbolt.DB, error) {
	// An empty file is what a disk that lost its content leaves behind. The engine
	// would take it for a new one and give all names away again.
	if info, err := os.Stat(path); err == nil && info.Size() == 0 {
		return nil, fmt.Errorf("%w: the file is empty", ErrCorrupt)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:      lockTimeout,
		FreelistType: bbolt.FreelistMapType,
		MaxSize:      int(min(maxSize, int64(^uint(0)>>1))),
	})
	switch {
	case err == nil:
		return db, nil
	case errors.Is(err, berrors.ErrTimeout):
		return nil, ErrLocked
	case errors.As(err, new(*os.PathError)):
		return nil, fmt.Errorf("login: the account store can't be opened: %w", err)
	}
	return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
}

// Network returns the network's private keys.
func (e *Embedded) Network(ctx context.Context) (cert.KeyPair, error) {
	if err := ctx.Err(); err != nil {
		return cert.KeyPair{}, err
	}
	err := e.view(func(*bbolt.Tx) error { return nil }) // closed or damaged?
	if err != nil {
		return cert.KeyPair{}, err
	}
	return e.keys, nil
}

// Claim binds name to identity: see Store.
func (e *Embedded) Claim(ctx context.Context, name string, identity cert.PublicKey, session ident.Key, now time.Time) (uint16, error) {
	if err := ident.CheckName(name); err != nil {
		return 0, err
	}
	a, err := e.update(ctx, name, claim(name, identity, session, now))
	return a.Generation, err
}

// Release frees name: see Store.
func (e *Embedded) Release(ctx context.Context, name string) error {
	if err := ident.CheckName(name); err != nil {
		return err
	}
	_, err := e.update(ctx, name, release)
	return err
}

// Lookup returns the account of name: see Store.
func (e *Embedded) Lookup(ctx context.Context, name string) (a Account, err error) {
	if err := ctx.Err(); err != nil {
		return Account{}, err
	}
	if err := ident.CheckName(name); err != nil {
		return Account{}, err
	}
	err = e.view(func(tx *bbolt.Tx) (err error) {
		var ok bool
		if a, ok, err = readAccount(tx, name); err == nil && !ok {
			err = ErrNotFound
		}
		return err
	})
	return a, err
}

// Close waits for the commit in progress and closes the file. An empty commit comes
// last: the engine falls back to the commit before when the newest one's page is
// damaged, and now both say the same.
func (e *Embedded) Close() error {
	e.writer <- struct{}{}
	defer func() { <-e.writer }()
	if e.damage.Load() != nil {
		return nil // the engine may hold locks for ever; the damage was reported
	}
	// A full disk refuses it; nothing that was acknowledged depends on it.
	_ = e.guard(func() error { return e.db.Update(func(*bbolt.Tx) error { return nil }) })
	if err := e.db.Close(); err != nil {
		return fmt.Errorf("login: closing %s: %w", e.path, err)
	}
	return nil
}

func (e *Embedded) view(do func(*bbolt.Tx) error) error {
	return e.guard(func() error { return e.db.View(do) })
}

// guard runs do, which uses the engine. The engine maps the file into memory and
// trusts it: damage shows as a panic, or as a fault where the file is too short. Both
// become ErrCorrupt, since a login server must say which file is damaged rather than
// crash. Failed checks of this program stay panics.
func (e *Embedded) guard(do func() error) (err error) {
	if damage := e.damage.Load(); damage != nil {
		return *damage
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		r := recover()
		if s, ok := r.(string); ok && strings.HasPrefix(s, "BUG: ") {
			panic(r)
		}
		if r != nil {
			err = fmt.Errorf("%w: %v (%s)", ErrCorrupt, r, e.path)
			e.damage.Store(&err)
		}
	}()
	err = do()
	switch {
	case errors.Is(err, berrors.ErrDatabaseNotOpen):
		return ErrClosed
	case errors.Is(err, berrors.ErrMaxSizeReached):
		return ErrFull
	}
	return err
}

func readAccount(tx *bbolt.Tx, name string) (a Account, ok bool, err error) {
	v := tx.Bucket(accountsBucket).Get([]byte(name))
	if v == nil {
		return Account{}, false, nil
	}
	a, err = parseAccount([]byte(name), v)
	return a, err == nil, err
}
