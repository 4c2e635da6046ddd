package overlay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/runtime"
)

// Network is one overlay as this process sees it: the options that its nodes share, and
// the nodes that have joined from here. Its methods may be called from any goroutine.
type Network struct {
	config networkConfig

	mu     sync.Mutex
	nodes  map[*Node]struct{}
	closed bool
}

// New describes a network; nothing is sent before Join. WithInvite is required. The
// error names the option that is wrong and the rule that it breaks.
func New(opts ...Option) (*Network, error) {
	c := networkConfig{healing: DefaultHealing()}
	if err := apply(opts, &c); err != nil {
		return nil, err
	}
	if len(c.rehearsal) > 0 {
		return nil, fmt.Errorf("overlay: %s is for NewSimulation only", c.rehearsal[0])
	}
	if len(c.real) == 0 || len(c.invite.Addresses) == 0 {
		return nil, errors.New("overlay: New needs WithInvite")
	}
	return &Network{config: c, nodes: make(map[*Node]struct{})}, nil
}

func apply(opts []Option, c *networkConfig) error {
	for _, o := range opts {
		if o == nil {
			return errors.New("overlay: nil option")
		}
		if err := o.network(c); err != nil {
			return fmt.Errorf("overlay: %w", err)
		}
	}
	return nil
}

// Join starts a node called name and returns it once it is attached: it can then be
// found and called by its name. The name has 1 to 63 bytes out of a-z, 0-9, '-' and
// '.', and begins and ends with a letter or a digit; it is empty exactly with
// WithContributeOnly.
//
// The first node to claim a name owns it. A node that has a state directory comes back
// under its name; the login servers are needed for the first time only. While nobody
// answers, Join tries again until ctx ends.
//
// When ctx ends first, the node is closed, and the error is that of ctx and says what
// was waited for. Other errors:
// ErrNameTaken, ErrRefused, a name or an option that is wrong, a state directory that
// can't be used, net.ErrClosed. ctx does not bound the node's life afterwards.
func (n *Network) Join(ctx context.Context, name string, opts ...NodeOption) (*Node, error) {
	var c nodeConfig
	for _, o := range opts {
		if o == nil {
			return nil, errors.New("overlay: nil option")
		}
		if err := o.node(&c); err != nil {
			return nil, fmt.Errorf("overlay: %w", err)
		}
	}
	if err := checkName(name, &c); err != nil {
		return nil, err
	}
	node, err := n.start(ctx, name, &c)
	if err != nil {
		return nil, err
	}
	if err := node.Attached(ctx); err != nil {
		if err == ctx.Err() {
			err = fmt.Errorf("%w: %s", err, node.runtime.Lacks())
		}
		return nil, errors.Join(fmt.Errorf("overlay: join %q: %w", name, err), node.Close())
	}
	if err := node.listen(); err != nil {
		return nil, errors.Join(fmt.Errorf("overlay: join %q: %w", name, err), node.Close())
	}
	return node, nil
}

func checkName(name string, c *nodeConfig) error {
	switch {
	case c.contribute && name != "":
		return fmt.Errorf("overlay: a node WithContributeOnly holds no name, it can't join as %q", name)
	case c.contribute && c.role == RoleNode:
		return errors.New("overlay: a node WithContributeOnly and WithRole(RoleNode) would do nothing")
	case c.contribute:
		return nil
	}
	if err := ident.CheckName(name); err != nil {
		return fmt.Errorf("overlay: %w", err)
	}
	return nil
}

// start makes a node and enters it, unless the network is closed.
func (n *Network) start(ctx context.Context, name string, c *nodeConfig) (*Node, error) {
	rc := runtime.Config{
		Invite: n.config.invite, Name: name, Contribute: c.contribute, Role: c.role.core(), Slots: uint32(c.capacity), RelayBudget: c.budget,
		Policy: n.config.healing.core(), Logger: n.config.logger, ListenPacket: n.config.listenPacket, Address: c.address, RelayedOnly: c.relayed,
	}
	if n.config.stateDir != "" {
		folder := name
		if c.contribute {
			folder = contributeFolder
		}
		rc.StateDir = filepath.Join(n.config.stateDir, folder)
	}
	if n.isClosed() {
		return nil, fmt.Errorf("overlay: join %q: %w", name, net.ErrClosed)
	}
	r, err := runtime.Start(ctx, rc) // outside of the lock: the disk and the socket are others' business
	if err != nil {
		return nil, fmt.Errorf("overlay: join %q: %w", name, err)
	}
	node := &Node{name: name, network: n, runtime: r, contribute: c.contribute}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, errors.Join(fmt.Errorf("overlay: join %q: %w", name, net.ErrClosed), r.Close())
	}
	n.nodes[node] = struct{}{}
	return node, nil
}

func (n *Network) isClosed() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.closed
}

// contributeFolder is where a contribute-only node keeps its state: no name, since
// names begin with a letter or a digit.
const contributeFolder = "_contribute"

// Close closes all nodes that have joined from here, and returns when all of their
// goroutines have ended. The network can't be used afterwards.
func (n *Network) Close() error {
	n.mu.Lock()
	n.closed = true
	nodes := make([]*Node, 0, len(n.nodes))
	for node := range n.nodes {
		nodes = append(nodes, node)
	}
	n.mu.Unlock()
	errs := make([]error, len(nodes))
	var wg sync.WaitGroup
	for i, node := range nodes { // each ends within Node.Close
		wg.Go(func() { errs[i] = node.Close() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (n *Network) forget(node *Node) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.nodes, node)
}
