package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/login"
	"github.com/ada420b6/overlay/internal/login/storetest"
	_ "github.com/jackc/pgx/v5/stdlib"
)

// server returns the URL of a PostgreSQL server in which tests may make schemas.
func server(t *testing.T) string {
	t.Helper()
	s := os.Getenv("OVERLAY_POSTGRES")
	if s == "" {
		t.Skip("OVERLAY_POSTGRES is not set: run .ci/postgres, or set it to postgres://user@host:port/database")
	}
	return s
}

func connect(t *testing.T, address string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(10)
	t.Cleanup(func() { db.Close() })
	return db
}

// emptySchema makes a schema for one test and returns the URL that leads into it.
func emptySchema(t *testing.T) string {
	t.Helper()
	address := server(t)
	admin := connect(t, address)
	name := "overlay_" + strings.ToLower(rand.Text())
	if _, err := admin.ExecContext(t.Context(), "CREATE SCHEMA "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.ExecContext(context.WithoutCancel(t.Context()), "DROP SCHEMA "+name+" CASCADE"); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String()
}

// open returns a store over connections of its own, as another process would have.
func open(t *testing.T, address string) *login.SQL {
	t.Helper()
	s, err := login.NewSQL(connect(t, address), login.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateSchema(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// The store's own suite, which the embedded store passes as well.
func TestPostgres(t *testing.T) {
	storetest.TestStore(t, func(t *testing.T) login.Store { return open(t, emptySchema(t)) })
}

func TestTwoServersOneDatabase(t *testing.T) {
	address := emptySchema(t)
	storetest.TestShared(t, open(t, address), open(t, address))
}

// Servers that are started by one script all try to make the tables at once.
func TestSchemaMadeByManyAtOnce(t *testing.T) {
	for range 5 {
		address := emptySchema(t)
		var done sync.WaitGroup
		for range 8 {
			s, err := login.NewSQL(connect(t, address), login.Postgres)
			if err != nil {
				t.Fatal(err)
			}
			done.Go(func() {
				if err := s.CreateSchema(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		done.Wait()
	}
}

// Two authorities on one database are one authority: a certificate of either verifies
// with the key of the other.
func TestTwoAuthorities(t *testing.T) {
	address := emptySchema(t)
	a, err := login.NewAuthority(t.Context(), open(t, address), login.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := login.NewAuthority(t.Context(), open(t, address), login.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := cert.GenerateKeyPair(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := login.NewRequest(keys, a.Network().ID(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	c, err := a.Issue(t.Context(), r, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Verify(b.Network()); err != nil {
		t.Error(err)
	}
}

func TestErrorsAreClear(t *testing.T) {
	server(t)
	db := connect(t, emptySchema(t))
	s, err := login.NewSQL(db, login.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Network(t.Context()); err == nil || !strings.Contains(err.Error(), "overlay_network") {
		t.Errorf("without tables: %v", err)
	}
	if err := s.CreateSchema(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		`INSERT INTO overlay_network VALUES (1, 'short')`,
		`INSERT INTO overlay_account VALUES ('bob', 'short', 'short', 1, false, 0)`,
	} {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Network(t.Context()); !errors.Is(err, login.ErrCorrupt) {
		t.Errorf("damaged keys: %v", err)
	}
	if _, err := s.Lookup(t.Context(), "bob"); !errors.Is(err, login.ErrCorrupt) {
		t.Errorf("damaged account: %v", err)
	}
	db.Close()
	if _, err := s.Lookup(t.Context(), "bob"); err == nil || !strings.Contains(err.Error(), `"bob"`) {
		t.Errorf("database gone: %v", err)
	}
}

func BenchmarkClaimTogether(b *testing.B) {
	address := os.Getenv("OVERLAY_POSTGRES")
	if address == "" {
		b.Skip("OVERLAY_POSTGRES is not set")
	}
	db, err := sql.Open("pgx", address)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(20)
	s, err := login.NewSQL(db, login.Postgres)
	if err != nil {
		b.Fatal(err)
	}
	if err := s.CreateSchema(b.Context()); err != nil {
		b.Fatal(err)
	}
	prefix := strings.ToLower(rand.Text())
	jobs := make(chan int)
	var done sync.WaitGroup
	for range 20 {
		done.Go(func() {
			for i := range jobs {
				if _, err := s.Claim(b.Context(), fmt.Sprintf("%s-%d", prefix, i), storetest.Identity(i), storetest.Session(i), time.Unix(1_800_000_000, 0)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range b.N {
		jobs <- i
	}
	close(jobs)
	done.Wait()
}
