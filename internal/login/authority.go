package login

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ada420b6/overlay/internal/cert"
)

const (
	// DefaultLifetime is how long a certificate is valid. A node renews at a random
	// point in 50-75 % of it, so login servers may be dead for a week before anyone
	// loses a name. Longer: they may be dead longer, and a name that the operator
	// released is claimed by its old owner for longer.
	DefaultLifetime = 30 * 24 * time.Hour
	// MinLifetime and MaxLifetime bound it. Below an hour, renewals alone are a storm;
	// beyond ten years the key will have been lost first.
	MinLifetime = time.Hour
	MaxLifetime = 10 * 366 * 24 * time.Hour
	// Backdate is how far before its issue a certificate begins, for peers whose clocks
	// are slow.
	Backdate = time.Hour
)

// Policy is what an operator decides about certificates. The zero value gives every
// free name to whoever asks first, for DefaultLifetime.
type Policy struct {
	// Decide says who may have a certificate: nil for yes. It is asked for every
	// request, also for renewals and for nodes without a name, after the proof was
	// checked and before the name is claimed, by many goroutines at once. The text of
	// its error is sent to the user, at most MaxText bytes of it. An error that is
	// ErrUnavailable, or a ctx that has ended, makes the user try again later.
	Decide func(ctx context.Context, r Request) error
	// Lifetime of a certificate: MinLifetime to MaxLifetime, 0 for DefaultLifetime.
	Lifetime time.Duration
}

// Authority issues certificates in the name of a network. Any number of them, in any
// number of processes, may work on one Store.
type Authority struct {
	store  Store
	policy Policy
	keys   cert.KeyPair
	public cert.PublicKey
	id     cert.NetworkID
}

// NewAuthority returns the authority of the network whose keys are in store. The store
// stays the caller's to close.
func NewAuthority(ctx context.Context, store Store, policy Policy) (*Authority, error) {
	if policy.Lifetime == 0 {
		policy.Lifetime = DefaultLifetime
	}
	if policy.Lifetime < MinLifetime || policy.Lifetime > MaxLifetime {
		return nil, fmt.Errorf("login: a certificate's lifetime must be %v to %v, not %v", MinLifetime, MaxLifetime, policy.Lifetime)
	}
	keys, err := store.Network(ctx)
	if err != nil {
		return nil, err
	}
	public := keys.Identity()
	return &Authority{store: store, policy: policy, keys: keys, public: public, id: public.ID()}, nil
}

// Keys returns the network's private keys: the login server's sessions are bound to
// the session key among them.
func (a *Authority) Keys() cert.KeyPair { return a.keys }

// Network returns the network's public key, which verifies certificates.
func (a *Authority) Network() cert.PublicKey { return a.public }

// Invite returns an invite to the network by way of the login servers at addresses.
func (a *Authority) Invite(addresses ...string) (cert.Invite, error) {
	i := cert.Invite{Network: a.public, Login: a.keys.Session(), Addresses: addresses}
	return i, i.Check()
}

// Issue answers a request with a certificate, valid from Backdate before now. It
// returns ErrName, ErrBadProof, a *RefusedError, a *TakenError, or an error that is
// ErrUnavailable and carries the cause for the log: see StatusOf. Work is in the order
// of its cost: name, proof, hook, store; nothing is claimed for who is refused.
func (a *Authority) Issue(ctx context.Context, r Request, now time.Time) (cert.Certificate, error) {
	if err := checkRequested(r.Name); err != nil {
		return cert.Certificate{}, err
	}
	if !r.proven(a.id) {
		return cert.Certificate{}, ErrBadProof
	}
	// A clock that lost its battery would bind names in 1970 and sign what is expired.
	if y := now.Year(); y < 2020 || y > 9000 {
		return cert.Certificate{}, fmt.Errorf("%w: this machine's clock says %v", ErrUnavailable, now)
	}
	if err := a.decide(ctx, r); err != nil {
		return cert.Certificate{}, err
	}
	c := cert.Certificate{
		Name:      r.Name,
		Identity:  r.Identity,
		Session:   r.Session,
		NotBefore: now.Add(-Backdate).Unix(),
		NotAfter:  now.Add(a.policy.Lifetime).Unix(),
	}
	if r.Name != "" {
		generation, err := a.store.Claim(ctx, r.Name, r.Identity, r.Session, now)
		if errors.Is(err, ErrTaken) || errors.Is(err, ErrName) {
			return cert.Certificate{}, err
		}
		if err != nil {
			return cert.Certificate{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		c.Generation = generation
	}
	c.Sign(a.keys.IdentityPrivate())
	return c, nil
}

func (a *Authority) decide(ctx context.Context, r Request) error {
	if a.policy.Decide == nil {
		return nil
	}
	err := a.policy.Decide(ctx, r)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrUnavailable):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return &RefusedError{Text: clean(err.Error())}
}
