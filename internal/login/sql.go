package login

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/ident"
)

// Dialect is the SQL that a database speaks.
type Dialect uint8

// Postgres is PostgreSQL and what understands its INSERT ... ON CONFLICT, $1 and BYTEA.
const Postgres Dialect = 1

// Schema makes the tables of a SQL store; it changes nothing where they exist.
// CreateSchema runs it, for operators whose login servers may create tables; others
// put it into their migrations. overlay_network holds the network's private keys:
// whoever can read it can sign certificates.
const Schema = `
CREATE TABLE IF NOT EXISTS overlay_network (
	one  SMALLINT PRIMARY KEY CHECK (one = 1),
	keys BYTEA NOT NULL
);
CREATE TABLE IF NOT EXISTS overlay_account (
	name       TEXT PRIMARY KEY,
	identity   BYTEA NOT NULL,
	session    BYTEA NOT NULL,
	generation INTEGER NOT NULL,
	released   BOOLEAN NOT NULL,
	since      BIGINT NOT NULL
)`

// The statements. Each is a transaction of its own: the races between login servers
// are decided by the primary key and by comparing the whole row before writing it.
const (
	sqlReadKeys   = `SELECT keys FROM overlay_network WHERE one = 1`
	sqlInsertKeys = `INSERT INTO overlay_network (one, keys) VALUES (1, $1) ON CONFLICT DO NOTHING`
	sqlRead       = `SELECT identity, session, generation, released, since FROM overlay_account WHERE name = $1`
	sqlInsert     = `INSERT INTO overlay_account (name, identity, session, generation, released, since)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`
	sqlUpdate = `UPDATE overlay_account SET identity = $2, session = $3, generation = $4, released = $5, since = $6
WHERE name = $1 AND identity = $7 AND session = $8 AND generation = $9 AND released = $10 AND since = $11`
)

// maxTries bounds how often a change of one account is tried. A try fails only when
// another server changed the same account in between, and at most one of those changes
// gives the name away: 16 in a row are no race but an attack on one name.
const maxTries = 16

// SQL is a Store in the operator's own database, for several login servers.
type SQL struct {
	db     *sql.DB
	closed atomic.Bool
}

// NewSQL returns a store on db, which must hold the tables of Schema and must answer
// reads with what was last written: no lagging replica. db stays the caller's to close.
func NewSQL(db *sql.DB, dialect Dialect) (*SQL, error) {
	if dialect != Postgres {
		return nil, fmt.Errorf("login: unknown SQL dialect %d", dialect)
	}
	return &SQL{db: db}, nil
}

// CreateSchema makes the tables unless they exist.
func (s *SQL) CreateSchema(ctx context.Context) error {
	_, err := s.db.ExecContext(ctx, Schema)
	if err == nil {
		return nil
	}
	// Two servers that start together may both try, and IF NOT EXISTS does not hold
	// against that: what counts is whether the tables are there.
	if _, probe := s.db.ExecContext(ctx, `SELECT 1 FROM overlay_network, overlay_account WHERE false`); probe == nil {
		return nil
	}
	return fmt.Errorf("login: creating the tables: %w", err)
}

// Network returns the network's private keys: see Store.
func (s *SQL) Network(ctx context.Context) (cert.KeyPair, error) {
	if s.closed.Load() {
		return cert.KeyPair{}, ErrClosed
	}
	keys, err := s.readKeys(ctx)
	if !errors.Is(err, sql.ErrNoRows) {
		return keys, err
	}
	if keys, err = cert.GenerateKeyPair(rand.Reader); err != nil {
		return cert.KeyPair{}, err
	}
	if _, err := s.db.ExecContext(ctx, sqlInsertKeys, keys.Append(nil)); err != nil {
		return cert.KeyPair{}, fmt.Errorf("login: storing the network's keys: %w", err)
	}
	return s.readKeys(ctx) // another server's, if it was faster
}

func (s *SQL) readKeys(ctx context.Context) (cert.KeyPair, error) {
	var b []byte
	if err := s.db.QueryRowContext(ctx, sqlReadKeys).Scan(&b); err != nil {
		return cert.KeyPair{}, fmt.Errorf("login: reading the network's keys: %w", err)
	}
	keys, err := cert.DecodeKeyPair(b)
	if err != nil {
		return cert.KeyPair{}, fmt.Errorf("%w: table overlay_network: %w", ErrCorrupt, err)
	}
	return keys, nil
}

// Claim binds name to identity: see Store.
func (s *SQL) Claim(ctx context.Context, name string, identity cert.PublicKey, session ident.Key, now time.Time) (uint16, error) {
	a, err := s.update(ctx, name, claim(name, identity, session, now))
	return a.Generation, err
}

// Release frees name: see Store.
func (s *SQL) Release(ctx context.Context, name string) error {
	_, err := s.update(ctx, name, release)
	return err
}

// Lookup returns the account of name: see Store.
func (s *SQL) Lookup(ctx context.Context, name string) (Account, error) {
	a, ok, err := s.read(ctx, name)
	if err == nil && !ok {
		err = ErrNotFound
	}
	return a, err
}

// Close ends the use of the store and leaves the database open.
func (s *SQL) Close() error {
	s.closed.Store(true)
	return nil
}

// update applies do to the account of name until it was written over what it was
// computed from.
func (s *SQL) update(ctx context.Context, name string, do edit) (Account, error) {
	for range maxTries {
		old, ok, err := s.read(ctx, name)
		if err != nil {
			return Account{}, err
		}
		next, err := do(old, ok)
		if err != nil {
			return Account{}, err
		}
		if ok && next == old {
			return next, nil
		}
		written, err := s.write(ctx, old, ok, next)
		if err != nil {
			return Account{}, fmt.Errorf("login: writing the account of %q: %w", name, err)
		}
		if written {
			return next, nil
		}
	}
	return Account{}, fmt.Errorf("%w: the account of %q changed %d times meanwhile", ErrBusy, name, maxTries)
}

// write puts next in the place of old and reports whether old was still there.
func (s *SQL) write(ctx context.Context, old Account, ok bool, next Account) (bool, error) {
	args := []any{next.Name, next.Identity[:], next.Session[:], int64(next.Generation), next.Released, next.Since}
	query := sqlInsert
	if ok {
		query = sqlUpdate
		args = append(args, old.Identity[:], old.Session[:], int64(old.Generation), old.Released, old.Since)
	}
	result, err := s.db.ExecContext(ctx, query, args...)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

// read returns the account of name, and whether there is one.
func (s *SQL) read(ctx context.Context, name string) (Account, bool, error) {
	if s.closed.Load() {
		return Account{}, false, ErrClosed
	}
	if err := ident.CheckName(name); err != nil {
		return Account{}, false, err
	}
	a := Account{Name: name}
	var identity, session []byte
	row := s.db.QueryRowContext(ctx, sqlRead, name)
	err := row.Scan(&identity, &session, &a.Generation, &a.Released, &a.Since)
	if errors.Is(err, sql.ErrNoRows) {
		return Account{}, false, nil
	}
	if err != nil {
		return Account{}, false, fmt.Errorf("login: reading the account of %q: %w", name, err)
	}
	if len(identity) != len(a.Identity) || len(session) != len(a.Session) {
		return Account{}, false, fmt.Errorf("%w: table overlay_account, the row of %q", ErrCorrupt, name)
	}
	a.Identity, a.Session = cert.PublicKey(identity), ident.Key(session)
	return a, true, nil
}
