package overlay

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"sync"
	"time"

	"github.com/ada420b6/overlay/internal/runtime"
	"github.com/ada420b6/overlay/internal/stream"
)

// Node is one member of the network. Its methods may be called from any goroutine.
type Node struct {
	name       string
	network    *Network
	runtime    *runtime.Node
	streams    *stream.Endpoint // nil for a contribute-only node, and until Join returns
	contribute bool

	mu     sync.Mutex
	closed bool
	once   sync.Once
	err    error
}

// listen begins to take conversations: the node has its certificate now.
func (n *Node) listen() error {
	if n.contribute {
		return nil
	}
	streams, err := stream.New(n.runtime.PacketConn(), stream.Config{Identity: n.runtime.Identity})
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed { // by Network.Close, meanwhile
		return errors.Join(net.ErrClosed, streams.Close())
	}
	n.streams = streams
	n.runtime.OnRoute(streams.Nudge)
	return nil
}

// MaxDatagram is the largest datagram that a connection of network "udp" takes, in
// bytes. A larger one is refused with an error that unwraps to syscall.EMSGSIZE.
const MaxDatagram = stream.MaxDatagram

// Name returns the node's name, empty for a contribute-only node.
func (n *Node) Name() string { return n.name }

// Peer is another node, as the directory knows it.
type Peer struct {
	Name string
	// Key is the peer's public key, that the login server has certified for the name.
	Key [32]byte
	// Supernodes is how many supernodes the peer is attached to, 1 or 2 usually.
	Supernodes int
}

// Lookup asks the directory for the node called name. The answer is signed by the
// node's own key and never older than one that was returned before. Errors: ErrNotFound
// (the directory has said so, within a second as a rule), ErrUnavailable (it has not
// answered within 5 s; with ErrDetached when this node is not attached), ErrContributeOnly, ctx's, net.ErrClosed.
func (n *Node) Lookup(ctx context.Context, name string) (Peer, error) {
	if n.contribute {
		return Peer{}, fmt.Errorf("overlay: look up %q: %w", name, ErrContributeOnly)
	}
	c, err := n.runtime.Lookup(ctx, name)
	if err != nil {
		return Peer{}, fmt.Errorf("overlay: look up %q: %w", name, n.blame(publicError(err)))
	}
	return Peer{Name: c.Peer.Name, Key: c.Peer.Key, Supernodes: len(c.Via)}, nil
}

// DialContext connects to a service of a named node. network is "tcp" for a stream or
// "udp" for datagrams of up to MaxDatagram bytes; address is "name:service", where the
// service is what the other node listens on, a port number or a word: "bob:80". It fits
// http.Transport, grpc and database drivers unchanged.
//
// The connection is encrypted end to end, and both ends are who their names say. A
// stream has a CloseWrite method besides those of net.Conn. It survives the death of
// the supernodes between the two nodes, as long as both can be attached again.
//
// Errors are *net.OpError values that unwrap to ErrNotFound, ErrUnavailable (with
// ErrDetached when this node's own network is gone), syscall.ECONNREFUSED when nobody
// listens, ctx's error or net.ErrClosed. A stream that stands ends with
// syscall.ECONNRESET when the peer goes away, and with syscall.ETIMEDOUT when nothing is
// heard any more for 2 min: the network, of either side. A connection of network "udp"
// does not end by that: it goes on when the peer is back. Read it with a deadline, or
// Watch the peer.
func (n *Node) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	name, service, err := n.split(network, address, true)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err} // names the address that is none
	}
	fail := func(err error) (net.Conn, error) {
		if inner, ok := err.(*net.OpError); ok {
			err = inner.Err // it says the same once more
		}
		return nil, &net.OpError{Op: "dial", Net: network, Addr: stream.Addr{Name: name, Service: service}, Err: n.blame(publicError(err))}
	}
	peer, err := n.runtime.Connect(ctx, name)
	if err != nil {
		return fail(err)
	}
	dial := n.streams.Dial
	if network == "udp" {
		dial = n.streams.DialPacket
	}
	conn, err := dial(ctx, peer, service)
	if err != nil {
		return fail(err)
	}
	return conn, nil
}

// Listen takes streams that others dial. network is "tcp" and address ":service", as in
// ":80" or ":chat"; ":0" is the service of that name, as any other. The remote address of
// a connection is "name:~number": net.SplitHostPort gives the caller's name, which the
// caller has proven. Two listeners of one service: syscall.EADDRINUSE.
func (n *Node) Listen(network, address string) (net.Listener, error) {
	_, service, err := n.split(network, address, false)
	if err == nil && network != "tcp" {
		err = net.UnknownNetworkError(network)
	}
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	return n.streams.Listen(service)
}

// ListenPacket takes datagrams that others send to a service. network is "udp" and
// address ":service". Datagrams have up to MaxDatagram bytes; they may be lost, not
// reordered by this library, and not damaged. The address of one names the sender, and
// WriteTo answers to it.
func (n *Node) ListenPacket(network, address string) (net.PacketConn, error) {
	_, service, err := n.split(network, address, false)
	if err == nil && network != "udp" {
		err = net.UnknownNetworkError(network)
	}
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	return n.streams.ListenPacket(service)
}

// blame tells a peer that can't be reached from a node that reaches nobody.
func (n *Node) blame(err error) error {
	if errors.Is(err, ErrUnavailable) && !n.runtime.Attached() {
		return fmt.Errorf("%w: %w", ErrDetached, err)
	}
	return err
}

// split checks network and address and takes the address apart.
func (n *Node) split(network, address string, named bool) (name, service string, err error) {
	if n.contribute {
		return "", "", ErrContributeOnly
	}
	if network != "tcp" && network != "udp" {
		return "", "", net.UnknownNetworkError(network)
	}
	name, service, err = net.SplitHostPort(address)
	if err != nil {
		return "", "", err
	}
	if err := stream.CheckService(service); err != nil {
		return name, service, err
	}
	if named && name == "" {
		return name, service, &net.AddrError{Err: "missing name in address", Addr: address}
	}
	if !named && name != "" && name != n.name {
		return name, service, &net.AddrError{Err: "a node listens under its own name only", Addr: address}
	}
	return name, service, nil
}

// Attached returns nil when the node is attached: it can be found and called. Until
// then it waits, as long as ctx lasts. Errors: ctx's, net.ErrClosed, and ErrNameTaken or
// ErrRefused when the login server has said so.
func (n *Node) Attached(ctx context.Context) error { return publicError(n.runtime.WaitAttached(ctx)) }

// Retry makes the node try at once whatever it is waiting to try again: call it when
// the network has changed, or a person is waiting.
func (n *Node) Retry() { n.runtime.Retry() }

// Status is a node as it stands at one moment.
type Status struct {
	Name       string
	Attached   bool // it can be found and called
	Supernode  bool // it serves
	Able       bool // it has been found to be reachable from outside, so it may serve
	Supernodes int  // supernodes that it is attached to; 0 when it is one itself
	Storm      int  // how busy the network is with healing, 0 (calm) to 3
	Cached     int  // supernodes that it remembers
	Direct     int  // peers that it reaches without a relay now
	Service    Service
	Sent       uint64 // datagrams sent, by way of the node's socket
	Received   uint64 // datagrams received
	Dropped    uint64 // of these, dropped: malformed, of strangers, of other networks, or in excess
	// Lost is how many datagrams of connections of network "udp" were lost, as far as this
	// node knows: it could not send them, they did not come, or nobody read them in time.
	Lost uint64
	// HealingPackets is how many datagrams the node has sent to become attached.
	HealingPackets int
}

// Status returns how the node stands now.
func (n *Node) Status() Status {
	s := n.runtime.Status()
	status := Status{
		Name: n.name, Attached: len(s.Attached) > 0, Supernode: s.Supernode, Able: s.Able, Supernodes: len(s.Attached),
		Storm: s.Storm, Cached: s.Remembers, Direct: s.Direct, Sent: s.Traffic.PacketsOut, Received: s.Traffic.PacketsIn,
		Dropped: s.Dropped(), HealingPackets: int(s.Healing),
	}
	status.Lost = n.lost()
	if s.Supernode {
		status.Supernodes = 0
		status.Service = Service{
			Held: s.Serving.Held, Capacity: s.Serving.Slots, Members: s.Serving.Members, Records: s.Serving.Records,
			Channels: s.Serving.Channels, RelayedBytes: s.Traffic.Relayed,
		}
	}
	return status
}

func (n *Node) lost() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.streams == nil || n.closed {
		return 0
	}
	s := n.streams.Stats()
	return s.DatagramsUnsent + s.DatagramsLost + s.InboxFull
}

// EventKind says what has happened to a node.
type EventKind uint8

// The kinds of event.
const (
	EventAttached  EventKind = iota // an attachment stands
	EventDetached                   // an attachment is gone
	EventPromoted                   // the node serves as a supernode
	EventDemoted                    // it serves no more
	EventStorm                      // the storm level has changed
	EventCertified                  // the login server has given a certificate
	EventDenied                     // it has refused to: Err says why
	EventDamaged                    // a file of the state directory was damaged and has been set aside: Err says which
	EventUnsaved                    // the state can't be written any more: Err says why
)

// String returns the kind in a word or two.
func (k EventKind) String() string { return runtime.EventKind(k).String() }

// Event is one thing that has happened to a node.
type Event struct {
	Time  time.Time
	Kind  EventKind
	Count int   // attachments that stand now, or the storm level
	Err   error // of EventDenied, EventDamaged and EventUnsaved
}

// Events yields what happens to the node from now on, until ctx ends or the node is
// closed. A reader that falls behind by more than 64 events loses the oldest.
func (n *Node) Events(ctx context.Context) iter.Seq[Event] {
	sub := n.runtime.Events()
	context.AfterFunc(ctx, sub.Close) // also when nobody ranges over it
	return func(yield func(Event) bool) {
		defer sub.Close()
		for {
			e, err := sub.Next(ctx)
			if err != nil || !yield(Event{Time: e.Time, Kind: EventKind(e.Kind), Count: e.Count, Err: publicError(e.Err)}) {
				return
			}
		}
	}
}

// Leave says goodbye and closes the node. A supernode first has every node that it
// holds find another place: about a second where there is room, up to 2 min where the
// others are overrun. When ctx ends before, the node is closed all the same and the error
// is ctx's. Call it when the process is told to end, so that a planned reboot costs nobody
// a moment without an attachment.
func (n *Node) Leave(ctx context.Context) error {
	_ = n.closeStreams()
	err := n.runtime.Leave(ctx)
	_ = n.Close()
	return err
}

// Close closes the node at once, as if the process had ended: its supernodes find out
// when it stays silent. It returns when every goroutine of the node has ended.
func (n *Node) Close() error {
	n.once.Do(func() {
		n.err = errors.Join(n.closeStreams(), n.runtime.Close())
		n.network.forget(n)
	})
	return n.err
}

// closeStreams ends all conversations.
func (n *Node) closeStreams() error {
	n.mu.Lock()
	streams := n.streams
	n.closed = true
	n.mu.Unlock()
	if streams == nil {
		return nil
	}
	return streams.Close()
}
