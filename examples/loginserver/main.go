// Loginserver is a login server for operators. It gives names to keys, and prints the
// invite that nodes join with as its only line of standard output.
//
// One machine keeps accounts and the network's keys in a directory:
//
//	loginserver -listen :7000 -advertise login.example.org:7000 -state /var/lib/overlay
//
// Several machines keep them in one PostgreSQL database and serve one network; one
// invite names them all, and is good while any of them is up:
//
//	loginserver -listen :7000 -advertise a.example.org:7000,b.example.org:7000 \
//		-postgres postgres://overlay@db.example.org/overlay
//
// -postgres takes what the pgx driver takes: a URL, or words as in "host=db user=overlay".
// PGPASSWORD or a password file keeps the password off the command line. The tables are
// made at the first start. Whoever can read the directory or the database can sign
// names: guard them accordingly, and keep a copy: without the keys nobody can join, and
// after 30 days nobody can stay.
//
// SIGINT and SIGTERM end it; a second one ends it at once. The network runs on without
// it: a login server that is down for an hour, or for a day, keeps newcomers out and
// nobody else.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/ada420b6/overlay"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// maxConnections is what one login server opens to the database. A claim takes it about
// a millisecond there, so that 16 serve more log-ins a second than one core can sign;
// and five login servers fit into PostgreSQL's usual 100.
const maxConnections = 16

func main() {
	c, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "loginserver:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the next signal has its usual effect
	if err := run(ctx, c, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "loginserver:", err)
		os.Exit(1)
	}
}

// config is what the command line says, checked.
type config struct {
	listen, state, postgres string
	advertise               []string
	verbose                 bool
}

// parse reads the command line. Its error says in one line which flag is wrong and why.
func parse(args []string, usage io.Writer) (config, error) {
	var c config
	var advertise string
	fs := flag.NewFlagSet("loginserver", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&c.listen, "listen", ":7000", "UDP `address` to listen on")
	fs.StringVar(&c.state, "state", "", "keep accounts in this `directory`")
	fs.StringVar(&c.postgres, "postgres", "", "keep accounts in the database with this `DSN`")
	fs.StringVar(&advertise, "advertise", "", "`host:port,...` that the invite names (default what -listen says)")
	fs.BoolVar(&c.verbose, "v", false, "log everything to standard error")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fs.SetOutput(usage)
		fs.PrintDefaults()
		return c, err
	case err != nil:
		return c, err
	case fs.NArg() > 0:
		return c, fmt.Errorf("argument %q is not a flag", fs.Arg(0))
	case (c.state == "") == (c.postgres == ""):
		return c, errors.New("either -state or -postgres says where accounts are kept")
	}
	if advertise != "" {
		c.advertise = strings.Split(advertise, ",")
	}
	for _, a := range append([]string{c.listen}, c.advertise...) {
		if _, port, err := net.SplitHostPort(a); err != nil || port == "" {
			return c, fmt.Errorf("%q is not host:port", a)
		}
	}
	return c, nil
}

// run is a login server until ctx ends.
func run(ctx context.Context, c config, stdout, stderr io.Writer) (err error) {
	level := slog.LevelInfo
	if c.verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	opts := []overlay.LoginOption{overlay.WithLogger(log)}
	if c.postgres != "" {
		db, err := sql.Open("pgx", c.postgres)
		if err != nil {
			return fmt.Errorf("-postgres: %w", err)
		}
		defer db.Close()
		db.SetMaxOpenConns(maxConnections)
		db.SetMaxIdleConns(maxConnections) // a storm of log-ins must not be one of connections
		opts = append(opts, overlay.WithAccountDB(db))
	} else {
		opts = append(opts, overlay.WithStateDir(c.state))
	}
	if len(c.advertise) > 0 {
		opts = append(opts, overlay.WithAdvertise(c.advertise...))
	}
	server, err := overlay.ListenLogin(c.listen, opts...)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, server.Invite())
	<-ctx.Done()
	log.Info("the login server ends")
	return server.Close()
}
