package runtime

import (
	"context"
	cryptorand "crypto/rand"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
	"github.com/ada420b6/overlay/internal/login"
	"github.com/ada420b6/overlay/internal/session"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// LoginConfig is what a login server is made from. Store is required.
type LoginConfig struct {
	// Store keeps accounts and the network's keys. It stays the caller's to close.
	Store login.Store
	// Authority is who may have a certificate, and for how long it is valid.
	Authority login.Policy
	// Address is where to listen, "host:port"; default ":0".
	Address string
	// Advertise is what the invite names, as "host:port", 1 to cert.MaxLoginAddresses of
	// them; default the address that is listened on. Required when nodes on other
	// machines know this one by another address or by a DNS name.
	Advertise []string
	// Policy is what the protocol decides by; default core.DefaultPolicy.
	Policy core.Policy
	// Logger gets what an operator should know; default none.
	Logger *slog.Logger
	// ListenPacket makes the sockets; default UDP.
	ListenPacket ListenPacket
}

const (
	// decidePatience is how long an account store or a hook may take. It is far more than
	// an asker waits for one answer: who asks again means the same application, and takes
	// the answer whenever it comes. With the asker's patience as the bound, a store that
	// takes a second more than that would certify nobody, ever.
	decidePatience = time.Minute

	// loginSessions is how many sessions a login server holds: at 5 000 log-ins a second
	// (PROTOCOL.md section 11) and a minute until an idle one may be evicted, 300 000;
	// 600 MiB at 2 KiB each, reached only in a storm.
	loginSessions = 300_000
	// loginLoad is the handshakes a second that are answered without a cookie: a tenth
	// of what one core can do.
	loginLoad = 500
)

// LoginServer is a running login server.
type LoginServer struct {
	authority *login.Authority
	invite    cert.Invite
	log       *slog.Logger
	loop      *loop
	core      *core.LoginServer
	ended     context.Context
	end       context.CancelFunc
	wg        sync.WaitGroup // decisions under way, at most what the machine hands out
	once      sync.Once
	err       error
}

// StartLogin brings a login server up. ctx bounds the start itself. Errors: ErrConfig,
// and those of the store and of ListenPacket.
func StartLogin(ctx context.Context, c LoginConfig) (*LoginServer, error) {
	if c.Store == nil {
		return nil, fmt.Errorf("%w: a login server needs a store", ErrConfig)
	}
	if c.Policy == (core.Policy{}) {
		c.Policy = core.DefaultPolicy()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.ListenPacket == nil {
		c.ListenPacket = listenUDP
	}
	if c.Address == "" {
		c.Address = ":0"
	}
	authority, err := login.NewAuthority(ctx, c.Store, c.Authority)
	if err != nil {
		return nil, err
	}
	pc, err := c.ListenPacket(ctx, c.Address)
	if err != nil {
		return nil, err
	}
	addresses := c.Advertise
	if len(addresses) == 0 {
		addresses = []string{reachable(ctx, pc).String()}
	}
	invite, err := authority.Invite(addresses...)
	if err != nil {
		_ = pc.Close()
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	s := &LoginServer{authority: authority, invite: invite, log: c.Logger, core: new(core.LoginServer)}
	s.ended, s.end = context.WithCancel(context.Background())
	keys := authority.Keys()
	book := newBook(authority.Network(), keys, "", 0)
	s.loop = newLoop(book, pc, c.ListenPacket, c.Logger)
	s.begin(keys, book, c.Policy)
	return s, nil
}

func (s *LoginServer) begin(keys cert.KeyPair, book *Book, policy core.Policy) {
	l := s.loop
	l.owner, l.machine = s, s.core
	l.table = session.New(session.Config{
		Network: book.id, Private: keys.SessionPrivate(), Random: cryptorand.Reader, Out: l.socket.send,
		MaxSessions: loginSessions, HandshakeLoad: loginLoad,
	})
	l.env = core.Env{Policy: &policy, Book: book}
	book.address, _ = netip.ParseAddrPort(s.invite.Addresses[0])
	l.start(core.Input{Kind: core.InputStart, Start: core.Start{Self: book.self, Key: randomKey()}})
}

// Invite returns the invite to the network by way of this server.
func (s *LoginServer) Invite() cert.Invite { return s.invite }

// Close ends the server and returns when every goroutine has ended. The store stays
// open.
func (s *LoginServer) Close() error {
	s.once.Do(func() {
		s.end()
		s.err = s.loop.close()
		s.wg.Wait()
	})
	return s.err
}

// effect carries out what the machine decides, beyond sending.
func (s *LoginServer) effect(f *core.Effect, _ []byte) {
	invariant.Check(f.Kind == core.EffectApplication, "runtime: an effect that a login server does not know")
	e := s.loop.book.at(f.Peer)
	if !e.applied {
		s.loop.later = append(s.loop.later, s.answer(f.Peer, f.Query, nil, login.ErrBadProof))
		return
	}
	peer, query, request := f.Peer, f.Query, e.request
	e.applied = false
	s.wg.Go(func() { s.decide(peer, query, request) }) // ends within decidePatience
}

// decide asks the store, outside of the loop.
func (s *LoginServer) decide(peer ident.Handle, query uint32, r login.Request) {
	ctx, cancel := context.WithTimeout(s.ended, decidePatience)
	defer cancel()
	c, err := s.authority.Issue(ctx, r, time.Now())
	if status, _ := login.StatusOf(err); status == login.StatusUnavailable {
		s.log.Warn("application not decided", "name", r.Name, "error", err)
	}
	s.loop.post(func() {
		in := s.answer(peer, query, &c, err)
		s.loop.step(&in)
	})
}

// answer returns what tells the machine the decision. The machine has referred to peer
// since it handed the application out, so its entry is still there.
func (s *LoginServer) answer(peer ident.Handle, query uint32, c *cert.Certificate, err error) core.Input {
	in := core.Input{Kind: core.InputIssued, From: peer, Query: query}
	status, text := login.StatusOf(err)
	in.Status, in.Text = uint8(wireStatus(status)), []byte(text)
	if err == nil {
		s.loop.book.at(peer).issued = c.Append(nil)
	}
	return in
}

// wireStatus is what the protocol calls the outcome of an application.
func wireStatus(status login.Status) wire.LoginStatus {
	switch status {
	case login.StatusOK:
		return wire.LoginGranted
	case login.StatusTaken:
		return wire.LoginTaken
	case login.StatusRefused:
		return wire.LoginRefused
	case login.StatusBadProof, login.StatusName:
		return wire.LoginInvalid
	}
	return wire.LoginBusy
}

func (s *LoginServer) stepped() {}

func (s *LoginServer) chores(vtime.Time) vtime.Time { return vtime.Never }

func (s *LoginServer) refer(func(ident.Handle)) {}

func (s *LoginServer) awaits([]byte) bool { return false }

func (s *LoginServer) moved(ident.Key, netip.AddrPort) {}
