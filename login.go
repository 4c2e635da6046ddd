package overlay

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/login"
	"github.com/ada420b6/overlay/internal/runtime"
)

// LoginServer gives names to keys: it signs certificates that hold for 30 days, and
// tells nodes that find nobody who the supernodes are. The network runs without it: it
// is needed when a node joins for the first time, and once a month.
type LoginServer struct {
	server *runtime.LoginServer
	store  login.Store
	temp   string // directory to remove, when no state directory was given
	once   sync.Once
	err    error
}

type loginConfig struct {
	stateDir     string
	db           *sql.DB
	logger       *slog.Logger
	listenPacket listenPacket
	admit        func(context.Context, Applicant) error
	lifetime     time.Duration
	advertise    []string
}

type loginOption func(*loginConfig) error

func (f loginOption) login(c *loginConfig) error { return f(c) }

// Applicant is who asks for a name.
type Applicant struct {
	Name string   // empty for a contribute-only node
	Key  [32]byte // its public key (Ed25519), which it has proven to hold
}

// WithAdmission sets who may have a name; anybody, first come first served, by default.
// admit is called for every application and renewal, from many goroutines; the text of
// its error is told to the applicant, up to 200 bytes of it. It has a minute, and a slow
// answer counts; but 64 are decided at a time, so one that takes 10 s lets 6 in a second.
func WithAdmission(admit func(ctx context.Context, who Applicant) error) LoginOption {
	return loginOption(func(c *loginConfig) error {
		if admit == nil {
			return errors.New("WithAdmission: nil function")
		}
		c.admit = admit
		return nil
	})
}

// WithAccountDB keeps accounts and the network's keys in a PostgreSQL database instead
// of the state directory. Several login servers on one database serve one network. The
// tables are made when they are not there (LoginSchema). The database stays the
// caller's to close. Whoever can read it can sign names: guard it accordingly.
func WithAccountDB(db *sql.DB) LoginOption {
	return loginOption(func(c *loginConfig) error {
		if db == nil {
			return errors.New("WithAccountDB: nil database")
		}
		c.db = db
		return nil
	})
}

// LoginSchema is the SQL of the tables that WithAccountDB uses.
const LoginSchema = login.Schema

// WithCertificateLifetime sets how long a certificate holds; 30 days by default, 1 hour
// to 10 years. Nodes renew at a random point in 50 to 75 % of it. Longer: the login
// servers may be down for longer; who lost the right to a name keeps it for longer.
func WithCertificateLifetime(d time.Duration) LoginOption {
	return loginOption(func(c *loginConfig) error {
		if d < time.Hour || d > 10*365*24*time.Hour {
			return fmt.Errorf("WithCertificateLifetime: %v, 1 h to 10 years are possible", d)
		}
		c.lifetime = d
		return nil
	})
}

// WithAdvertise sets the addresses, "host:port", that the invite names, at most 8; the
// address that is listened on by default. Name all login servers of the network, so
// that one invite is good while any of them is up.
func WithAdvertise(addresses ...string) LoginOption {
	return loginOption(func(c *loginConfig) error {
		if len(addresses) == 0 || len(addresses) > cert.MaxLoginAddresses {
			return fmt.Errorf("WithAdvertise: %d addresses, 1 to %d are possible", len(addresses), cert.MaxLoginAddresses)
		}
		for _, a := range addresses {
			if err := cert.CheckAddress(a); err != nil {
				return fmt.Errorf("WithAdvertise: %w", err)
			}
		}
		c.advertise = addresses
		return nil
	})
}

// ListenLogin starts a login server at a UDP address, "host:port"; ":0" takes a free
// port. WithStateDir or WithAccountDB keeps the accounts; without either the network
// ends with the process, as a test wants it.
func ListenLogin(address string, opts ...LoginOption) (*LoginServer, error) {
	var c loginConfig
	for _, o := range opts {
		if o == nil {
			return nil, errors.New("overlay: nil option")
		}
		if err := o.login(&c); err != nil {
			return nil, fmt.Errorf("overlay: %w", err)
		}
	}
	if c.db != nil && c.stateDir != "" {
		return nil, errors.New("overlay: accounts are kept either WithStateDir or WithAccountDB")
	}
	ctx, cancel := context.WithTimeout(context.Background(), loginStart)
	defer cancel()
	s := new(LoginServer)
	if err := s.open(ctx, &c); err != nil {
		return nil, errors.Join(fmt.Errorf("overlay: login server: %w", err), s.cleanUp())
	}
	rc := runtime.LoginConfig{
		Store: s.store, Address: address, Advertise: c.advertise, Logger: c.logger, ListenPacket: c.listenPacket,
		Authority: login.Policy{Lifetime: c.lifetime},
	}
	if c.admit != nil {
		rc.Authority.Decide = func(ctx context.Context, r login.Request) error {
			return c.admit(ctx, Applicant{Name: r.Name, Key: r.Identity})
		}
	}
	var err error
	if s.server, err = runtime.StartLogin(ctx, rc); err != nil {
		return nil, errors.Join(fmt.Errorf("overlay: login server: %w", err), s.cleanUp())
	}
	return s, nil
}

// loginStart bounds how long a database may take before ListenLogin gives up.
const loginStart = 30 * time.Second

// open opens the account store.
func (s *LoginServer) open(ctx context.Context, c *loginConfig) error {
	if c.db != nil {
		store, err := login.NewSQL(c.db, login.Postgres)
		if err != nil {
			return err
		}
		s.store = store
		return store.CreateSchema(ctx)
	}
	dir := c.stateDir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "overlay-login-"); err != nil {
			return err
		}
		s.temp = dir
	}
	store, err := login.OpenEmbedded(dir)
	if err != nil {
		return err
	}
	s.store = store
	return nil
}

// Invite returns the string that WithInvite takes: all that a node needs to join.
func (s *LoginServer) Invite() string { return s.server.Invite().String() }

// Release frees a name: the next key that claims it gets it. Certificates that hold the
// name stay valid until they expire, but give way to those of the next owner.
func (s *LoginServer) Release(ctx context.Context, name string) error {
	if err := s.store.Release(ctx, name); err != nil {
		if errors.Is(err, login.ErrNotFound) {
			err = fmt.Errorf("%w: %w", ErrNotFound, err)
		}
		return fmt.Errorf("overlay: release %q: %w", name, err)
	}
	return nil
}

// Close stops the server and returns when every goroutine of it has ended.
func (s *LoginServer) Close() error {
	s.once.Do(func() { s.err = errors.Join(s.server.Close(), s.cleanUp()) })
	return s.err
}

func (s *LoginServer) cleanUp() (err error) {
	if s.store != nil {
		err = s.store.Close()
	}
	if s.temp != "" {
		err = errors.Join(err, os.RemoveAll(s.temp))
	}
	return err
}
