package runtime

import (
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/login"
	"github.com/ada420b6/overlay/internal/path"
	"github.com/ada420b6/overlay/internal/session"
	"github.com/ada420b6/overlay/internal/stream"
	"github.com/ada420b6/overlay/internal/vtime"
)

// Node is a running node. Its methods may be called from several goroutines at once.
type Node struct {
	config Config
	keys   cert.KeyPair
	log    *slog.Logger
	boot   uint32
	loop   *loop
	paths  *path.Conn
	keeper *keeper   // nil without a state directory
	record *recorder // nil when nothing is recorded
	events events
	once   sync.Once
	err    error           // of Close
	ended  context.Context // ends with Close
	end    context.CancelFunc
	wg     sync.WaitGroup // the resolver

	// What follows belongs to the loop.
	core         *core.Node
	queries      map[uint32]*query // at most core.MaxCalls, and those it has just refused
	query        uint32
	floors       floors
	calls        map[ident.Key]*call
	named        map[string]ident.Key // the keys of calls, by name
	watches      map[string]*watched  // at most core.MaxWatched
	watchedNames map[ident.NameID]string
	left         []func()
	saveAt       vtime.Time // when what has changed is saved
	savedAt      vtime.Time // when it was last
	idleAt       vtime.Time // when calls that are not used are looked for
	logins       []loginAddress

	certificate atomic.Pointer[[]byte]
	onRoute     atomic.Pointer[func(ident.Key)]
	standing    standing
}

// loginAddress is one login server of the invite.
type loginAddress struct {
	handle  ident.Handle
	address string
}

// Start brings a node up and returns at once: WaitAttached tells when it can be found.
// ctx bounds the start itself, not the node's life. Errors: ErrConfig, ErrStateInUse, and
// those of the disk and of ListenPacket.
func Start(ctx context.Context, c Config) (*Node, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	had, st, err := load(c.StateDir)
	if err != nil {
		return nil, err
	}
	pc, err := listen(ctx, &c, st, had.port)
	if err != nil {
		return nil, errors.Join(err, closeState(st))
	}
	n := newNode(c, had)
	for _, x := range had.damaged {
		n.log.Error("a file of the state directory was damaged and is replaced", "file", x.File, "error", x.Err)
		n.events.begin(Event{Kind: EventDamaged, Err: fmt.Errorf("%s: %w", x.File, x.Err)})
	}
	if st != nil {
		n.keeper = newKeeper(st, n.log, func(err error) { n.events.emit(Event{Kind: EventUnsaved, Err: err}) })
	}
	book := newBook(c.Invite.Network, had.keys, c.Name, c.Slots)
	book.time.clock = c.Clock
	n.loop = newLoop(book, pc, c.ListenPacket, n.log)
	n.begin(ctx, had)
	return n, nil
}

// load reads the state directory, or draws a new identity when there is none.
func load(dir string) (*stored, *state, error) {
	if dir == "" {
		keys, err := cert.GenerateKeyPair(cryptorand.Reader)
		return &stored{keys: keys, boot: 1}, nil, err
	}
	st, err := openState(dir)
	if err != nil {
		return nil, nil, err
	}
	had, err := st.load()
	if err != nil {
		return nil, nil, errors.Join(err, st.close())
	}
	return had, st, nil
}

func closeState(st *state) error {
	if st == nil {
		return nil
	}
	return st.close()
}

func newNode(c Config, had *stored) *Node {
	n := &Node{
		config:       c,
		keys:         had.keys,
		log:          c.Logger,
		boot:         had.boot,
		core:         new(core.Node),
		queries:      make(map[uint32]*query),
		calls:        make(map[ident.Key]*call),
		named:        make(map[string]ident.Key),
		watches:      make(map[string]*watched),
		watchedNames: make(map[ident.NameID]string),
		saveAt:       vtime.Never,
		savedAt:      -vtime.Time(saveDelay),
	}
	n.ended, n.end = context.WithCancel(context.Background())
	n.standing.changed = make(chan struct{})
	return n
}

// begin puts the parts together and starts the goroutines.
func (n *Node) begin(ctx context.Context, had *stored) {
	l, book := n.loop, n.loop.book
	l.owner, l.machine = n, n.core
	policy := n.config.Policy
	l.table = session.New(session.Config{
		Network: book.id, Private: n.keys.SessionPrivate(), Random: cryptorand.Reader, Out: l.socket.send,
		MaxSessions: maxSessions(n.config.Slots, &policy),
	})
	if rate := n.config.RelayBudget; rate > 0 {
		l.socket.relay.budget = newBudget(rate, l.socket.sendRuns, n.crowded)
	}
	l.env = core.Env{Policy: &policy, Book: book, Cache: make([]core.CacheEntry, min(policy.HostCache, MaxCache))}
	n.paths = path.New(path.Config{
		Self: n.keys.Session(), Name: n.config.Name, Send: l.socket.send, SendRun: l.socket.sendRun, Raw: l.socket.pc.Raw(),
		Wanted: n.wanted, Silent: n.silent, Secret: n.secret, Local: n.local(),
	})
	l.socket.paths = n.paths

	var first netip.AddrPort
	for _, a := range n.config.Invite.Addresses {
		at, _ := netip.ParseAddrPort(a) // a name is resolved later
		h := book.internLogin(n.config.Invite.Login, unmap(at))
		n.logins = append(n.logins, loginAddress{h, a})
		l.env.Logins = append(l.env.Logins, h)
		if !first.IsValid() {
			first = at
		}
	}
	book.address = guessAddress(ctx, l.socket.pc.PacketConn, first)
	in := core.Input{Kind: core.InputStart, Start: n.startInput(had)}
	decodeCache(book, had.cache, l.env.Cache)
	if n.config.Record != nil {
		n.record = newRecorder(n.config.Record, n.core, &l.env)
		l.machine = n.record
	}
	l.start(in)
	n.startResolver()
}

// startInput says what the machine comes up with.
func (n *Node) startInput(had *stored) core.Start {
	book := n.loop.book
	s := core.Start{
		Self: book.self, Name: ident.HashName(n.config.Name), Key: randomKey(),
		Role: n.config.Role, Slots: n.config.Slots, Inc: incOf(n.boot), WasSuper: had.wasSuper,
		Roster: decodeRoster(book, had.roster), Tickets: decodeTickets(book, had.tickets), TicketKey: ticketKey(n.keys),
	}
	if had.certificate != nil {
		c, _, err := cert.Parse(had.certificate)
		if err == nil {
			err = book.setOwn(c)
		}
		if err == nil {
			s.HasCert, s.RenewIn = true, renewStored(&c, n.config.Clock())
			s.Doubted = book.time.aged(&c)
			encoded := book.encoded
			n.certificate.Store(&encoded)
		} else {
			n.log.Info("the certificate on disk can't be used; a login server is asked for a new one", "error", err)
		}
	}
	s.Seq = seqOf(n.generation(), n.boot)
	return s
}

// generation is the certificate's. Before there is one, it is what a name that is
// claimed for the first time gets.
func (n *Node) generation() uint16 {
	switch book := n.loop.book; {
	case book.encoded != nil:
		return book.own.Generation
	case n.config.Name != "":
		return 1
	}
	return 0
}

// lateRenewal is what renewals that are due already are spread over: after a long time
// switched off, a whole network comes back with certificates like that.
const lateRenewal = time.Hour

// renewGranted draws when to renew a certificate that has just been issued: at a random
// point in 50-75 % of its life, counted from its own beginning. What this machine's clock
// says has no part in it: a fast one would renew every certificate at once, again and
// again, a slow one none in time.
func renewGranted(c *cert.Certificate) vtime.Duration {
	at := cert.RenewAt(c.NotBefore, c.NotAfter, rand.Float64())
	return dueIn(time.Duration(at-c.NotBefore)*time.Second - login.Backdate)
}

// renewStored draws it for one that was on disk, where only the clock says how old it is.
// A clock that says less than nothing is wrong, and the age may be any.
func renewStored(c *cert.Certificate, now time.Time) vtime.Duration {
	if now.Unix() < c.NotBefore {
		return dueIn(0)
	}
	return dueIn(time.Unix(cert.RenewAt(c.NotBefore, c.NotAfter, rand.Float64()), 0).Sub(now))
}

func dueIn(in time.Duration) vtime.Duration {
	if in <= 0 {
		in = rand.N(lateRenewal)
	}
	return vtime.Duration(in)
}

// PacketConn returns the virtual PacketConn for stream.New. Close closes it.
func (n *Node) PacketConn() net.PacketConn { return n.paths }

// Identity returns who the node is now, for stream.Config. Certificate is nil until the
// node has been certified.
func (n *Node) Identity() stream.Identity {
	id := stream.Identity{Private: n.keys.IdentityPrivate(), Verify: n.verifyPeer}
	if b := n.certificate.Load(); b != nil {
		id.Certificate = *b
	}
	return id
}

// verifyPeer decides on a certificate that a peer shows at the other end of a
// conversation.
func (n *Node) verifyPeer(b []byte) (stream.Peer, error) {
	c, rest, err := cert.Parse(b)
	switch {
	case err != nil:
		return stream.Peer{}, err
	case len(rest) > 0:
		return stream.Peer{}, cert.ErrVersion
	}
	if err := n.loop.book.verify(&c); err != nil { // what it reads is safe for many goroutines
		return stream.Peer{}, err
	}
	return peerOf(&c), nil
}

func peerOf(c *cert.Certificate) stream.Peer {
	return stream.Peer{Name: c.Name, Identity: c.Identity[:], Key: c.Session}
}

// Key returns the node's session key.
func (n *Node) Key() ident.Key { return n.keys.Session() }

// Events returns a subscription to what happens from now on.
func (n *Node) Events() *Subscription { return n.events.subscribe() }

// Retry starts over at once whatever the node is waiting for: the network has changed,
// or a person is waiting.
func (n *Node) Retry() {
	n.loop.try(func() { n.loop.step(&core.Input{Kind: core.InputNetwork}) })
}

// Leave says goodbye and closes the node. A supernode first finds every node that it
// holds another place. It returns ctx.Err() when ctx ends before that is done; the node
// is closed all the same.
func (n *Node) Leave(ctx context.Context) error {
	done := make(chan struct{})
	err := n.loop.call(ctx, func() {
		n.left = append(n.left, sync.OnceFunc(func() { close(done) }))
		n.loop.step(&core.Input{Kind: core.InputLeave})
	})
	if err == nil {
		select {
		case <-done:
		case <-ctx.Done():
			err = ctx.Err()
		case <-n.ended.Done():
		}
	}
	return errors.Join(err, n.Close())
}

// Close ends the node at once, as a crash would, but keeps its state. It returns when
// every goroutine has ended. Conversations on PacketConn end with it.
func (n *Node) Close() error {
	n.once.Do(func() { n.err = n.close() })
	return n.err
}

func (n *Node) close() error {
	// In the loop, so that nothing changes any more while it is written.
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	_ = n.loop.call(ctx, n.save)
	err := n.loop.close()
	n.end()
	n.wg.Wait()
	n.standing.update(func(s *standing) { s.err = net.ErrClosed })
	n.events.close()
	if n.keeper != nil {
		err = errors.Join(err, n.keeper.close())
	}
	if n.record != nil {
		err = errors.Join(err, n.record.flush())
	}
	return errors.Join(err, n.paths.Close())
}

// closePatience is how long Close waits for the loop to look up: a step takes
// milliseconds.
const closePatience = 2 * time.Second
