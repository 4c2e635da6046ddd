package stream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/ada420b6/overlay/internal/ident"
)

// Config is what an endpoint needs beside its PacketConn.
type Config struct {
	// Identity returns the current identity. It is called for every handshake, from
	// several goroutines at once.
	Identity func() Identity
}

// Endpoint is one node's end of all its conversations. Its methods may be called from
// several goroutines at once.
type Endpoint struct {
	self      Peer
	creds     *credentials
	carrier   *carrier
	transport *quic.Transport
	server    *quic.Listener
	windows   windows
	counters  counters

	ctx    context.Context // ends when Close is called
	cancel context.CancelFunc
	wg     sync.WaitGroup // every goroutine of this package; Close waits for it

	mu        sync.Mutex
	closed    bool
	out       map[target]*attempt // at most MaxOutbound
	in        map[ident.Key][]*link
	listeners map[string]*listener
	packets   map[port]*packetConn // at most MaxPacketConns
	nextFlow  uint32
}

// New returns an endpoint on pc, whose addresses are Addr values (without Service) and
// which carries packets of up to MaxPacket bytes. pc must honour SetReadDeadline. The
// endpoint owns pc and closes it. It fails when the identity does not fit together.
func New(pc net.PacketConn, config Config) (*Endpoint, error) {
	creds := &credentials{identity: config.Identity}
	self, err := creds.self()
	if err != nil {
		return nil, fmt.Errorf("stream: %w", err)
	}
	resetKey, err := creds.resetKey()
	if err != nil {
		return nil, fmt.Errorf("stream: %w", err)
	}
	e := &Endpoint{
		self:      self,
		creds:     creds,
		windows:   windows{granted: make(map[*quic.Conn]uint64)},
		out:       make(map[target]*attempt),
		in:        make(map[ident.Key][]*link),
		listeners: make(map[string]*listener),
		packets:   make(map[port]*packetConn),
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.carrier = &carrier{PacketConn: pc, counters: &e.counters}
	e.transport = &quic.Transport{
		Conn:               e.carrier.conn(),
		ConnectionIDLength: connectionIDLength,
		StatelessResetKey:  resetKey,
		ConnContext:        e.admit,
	}
	rejected := func() { e.counters.identityRejected.Add(1) }
	if e.server, err = e.transport.Listen(creds.server(rejected), e.quicConfig(MaxStreams)); err != nil {
		e.cancel()
		return nil, fmt.Errorf("stream: %w", err)
	}
	e.spawn(e.acceptLinks) // ends when Close closes e.server
	return e, nil
}

// quicConfig returns the configuration of a link on which the peer may open streams
// streams; less than 0 for none, because only the dialler of a link opens streams.
func (e *Endpoint) quicConfig(streams int64) *quic.Config {
	return &quic.Config{
		Versions:                       []quic.Version{quic.Version1},
		HandshakeIdleTimeout:           handshakeTimeout,
		MaxIdleTimeout:                 IdleTimeout,
		InitialStreamReceiveWindow:     windowStart,
		InitialConnectionReceiveWindow: windowStart,
		MaxStreamReceiveWindow:         maxStreamWindow,
		MaxConnectionReceiveWindow:     maxLinkWindow,
		AllowConnectionWindowIncrease:  e.windows.allow,
		MaxIncomingStreams:             streams,
		MaxIncomingUniStreams:          -1,
		InitialPacketSize:              MaxPacket,
		DisablePathMTUDiscovery:        true, // a path below may change at any moment
		EnableDatagrams:                true,
	}
}

// Self returns this node as its certificate described it when the endpoint was made.
func (e *Endpoint) Self() Peer { return e.self }

// spawn runs f in a goroutine that Close waits for. It reports false, and does not run
// f, when the endpoint is closed.
func (e *Endpoint) spawn(f func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.wg.Go(f)
	return true
}

// admit is quic-go's ConnContext: it is asked before a caller costs more than one
// packet.
func (e *Endpoint) admit(ctx context.Context, _ *quic.ClientInfo) (context.Context, error) {
	if e.counters.inbound.Add(1) > MaxInbound {
		e.counters.inbound.Add(-1)
		e.counters.linksRefused.Add(1)
		return nil, ErrLimit
	}
	context.AfterFunc(ctx, func() { e.counters.inbound.Add(-1) })
	return context.WithValue(ctx, callerKey{}, new(caller)), nil
}

// acceptLinks takes the links of callers whose handshake is complete.
func (e *Endpoint) acceptLinks() {
	for {
		conn, err := e.server.Accept(e.ctx)
		if err != nil {
			return
		}
		who := conn.Context().Value(callerKey{}).(*caller)
		l := newLink(e, conn, who.peer)
		if !e.addInbound(l) {
			l.close(codeShutdown)
			return
		}
	}
}

// addInbound registers l and starts its goroutines, unless the endpoint is closed. It
// closes the peer's oldest link when there are too many.
func (e *Endpoint) addInbound(l *link) bool {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return false
	}
	links := append(e.in[l.peer.Key], l)
	var oldest *link
	if len(links) > maxInboundPerPeer {
		oldest, links = links[0], links[1:]
	}
	e.in[l.peer.Key] = links
	e.wg.Go(l.receive)       // ends with the link
	e.wg.Go(l.acceptStreams) // ends with the link
	if oldest != nil {
		e.wg.Go(func() { oldest.close(codeReplaced) })
	}
	e.mu.Unlock()
	return true
}

// remove forgets a link that has ended.
func (e *Endpoint) remove(l *link) {
	e.windows.release(l.conn)
	e.mu.Lock()
	defer e.mu.Unlock()
	to := target{l.peer.Key, l.peer.Name}
	if a := e.out[to]; a != nil && a.link == l {
		delete(e.out, to)
	}
	links := e.in[l.peer.Key]
	for i := range links {
		if links[i] == l {
			links = append(links[:i:i], links[i+1:]...)
			break
		}
	}
	if e.in[l.peer.Key] = links; len(links) == 0 {
		delete(e.in, l.peer.Key)
	}
}

// Close ends every conversation at once: peers see ECONNRESET, also for data that they
// have not read yet, so whoever wants these read waits for the peers' own Close first.
// Close returns when every goroutine of this package has ended. It returns the error of
// closing the PacketConn; a second Close returns net.ErrClosed.
func (e *Endpoint) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return net.ErrClosed
	}
	e.closed = true
	var links []*link
	for _, a := range e.out {
		if a.link != nil {
			links = append(links, a.link)
		}
	}
	for _, in := range e.in {
		links = append(links, in...)
	}
	listeners, packets := e.listeners, e.packets
	e.listeners, e.packets = nil, nil
	e.mu.Unlock()

	e.cancel()
	for _, l := range listeners {
		l.shut()
	}
	for _, p := range packets {
		p.inbox.close()
	}
	var closing sync.WaitGroup
	for _, l := range links {
		closing.Go(func() { l.close(codeShutdown) })
	}
	closing.Wait()
	err := errors.Join(e.transport.Close(), e.carrier.Close())
	e.wg.Wait()
	return err
}

// aLongTimeAgo is a deadline that has passed.
var aLongTimeAgo = time.Unix(1, 0)
