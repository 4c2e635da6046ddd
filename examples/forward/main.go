// Forward carries TCP connections and UDP datagrams of programs that know nothing of the overlay: one node
// exposes a local service under its name, another one listens on a local port for it.
//
// A login server, which prints the invite as its only line of standard output:
//
//	forward -login 127.0.0.1:7000 -state login
//
// A web server that is reached as bob:80, and a port that leads to it:
//
//	forward -invite INVITE -name bob -state bob -expose 80=127.0.0.1:8080
//	forward -invite INVITE -name alice -state alice -listen 127.0.0.1:9000=bob:80
//	curl http://127.0.0.1:9000/
//
// -expose-udp and -listen-udp do the same for datagrams of up to 1100 bytes; who sends to
// the port has a session of his own, until nothing has been said for two minutes. The
// four can be repeated and combined. A node with neither, with or without
// a name, serves others.
//
// A connection to a node that is not there waits 20 s for it, as for one that reboots, and
// is reset then. That nobody is reached is said on standard error.
//
// What happens is told on standard output, a line each, beginning with "attached",
// "exposing" and "listening". SIGUSR1 prints the node's status on standard error, as one
// line of JSON. SIGINT and SIGTERM let a node place those that it serves before it ends;
// a second one ends it at once.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ada420b6/overlay"
)

// Exit codes, as most commands have them.
const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	c, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, errHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "forward:", err)
		os.Exit(exitUsage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		stop() // the next signal has its usual effect
		fmt.Fprintln(os.Stderr, "leaving; a second signal ends it at once")
	})
	serve := runNode
	if c.login != "" {
		serve = runLogin
	}
	if err := serve(ctx, c, os.Stdout, os.Stderr); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "forward:", err)
		os.Exit(exitFailed)
	}
}

// logger tells the user of -v everything, and others what needs their attention.
func logger(c config, w io.Writer) *slog.Logger {
	level := slog.LevelWarn
	if c.verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// runLogin is a login server until ctx ends.
func runLogin(ctx context.Context, c config, stdout, stderr io.Writer) error {
	opts := []overlay.LoginOption{overlay.WithLogger(logger(c, stderr))}
	if c.state != "" {
		opts = append(opts, overlay.WithStateDir(c.state))
	}
	server, err := overlay.ListenLogin(c.login, opts...)
	if err != nil {
		return err
	}
	fmt.Fprintln(stderr, "login server: give the line below to every node, as -invite")
	fmt.Fprintln(stdout, server.Invite())
	<-ctx.Done()
	return server.Close()
}

// leavePatience is longer than a supernode takes to place the nodes that it holds, unless
// the network is overrun. What shuts a machine down rarely waits longer.
const leavePatience = 15 * time.Second

// runNode is a node until ctx ends.
func runNode(ctx context.Context, c config, stdout, stderr io.Writer) error {
	f := &forwarder{log: logger(c, stderr)}
	// Ports first: what is taken is said at once, and a program that connects early waits.
	doors, err := openDoors(ctx, c.listen)
	if err != nil {
		return err
	}
	defer closeDoors(doors)
	node, closeNetwork, err := join(ctx, c, f.log)
	if err != nil {
		return err
	}
	defer closeNetwork()
	f.node = node
	fmt.Fprintf(stdout, "attached as %s\n", node.Name())
	defer f.answerStatus(stderr)()

	for _, e := range c.expose {
		if err := f.expose(ctx, e); err != nil {
			return err
		}
		fmt.Fprintf(stdout, "exposing %s as %s:%s%s\n", e.target, node.Name(), e.service, e.kind())
	}
	for _, d := range doors {
		fmt.Fprintf(stdout, "listening on %s for %s\n", d.at(), d.target)
		if d.packets != nil {
			f.servePackets(ctx, d.packets, f.toPeer("udp", d.target))
		} else {
			f.serve(ctx, d.listener, f.toPeer("tcp", d.target))
		}
	}

	<-ctx.Done()
	closeDoors(doors)
	leave, cancel := context.WithTimeout(context.Background(), leavePatience)
	defer cancel()
	err = node.Leave(leave) // ends what the node accepts and carries
	f.wait()
	return err
}

// expose takes what others dial.
func (f *forwarder) expose(ctx context.Context, e exposure) error {
	if e.udp {
		pc, err := f.node.ListenPacket("udp", ":"+e.service)
		if err == nil {
			f.servePackets(ctx, pc, f.toLocal("udp", e.target))
		}
		return err
	}
	l, err := f.node.Listen("tcp", ":"+e.service)
	if err == nil {
		f.serve(ctx, l, f.toLocal("tcp", e.target))
	}
	return err
}

// joinPatience is how long it usually takes to be attached, and more.
const joinPatience = 5 * time.Second

// join returns a node that is attached, and what closes everything behind it.
func join(ctx context.Context, c config, log *slog.Logger) (*overlay.Node, func() error, error) {
	opts := []overlay.Option{overlay.WithInvite(c.invite), overlay.WithLogger(log)}
	if c.state != "" {
		opts = append(opts, overlay.WithStateDir(c.state))
	}
	network, err := overlay.New(opts...)
	if err != nil {
		return nil, nil, err
	}
	nodeOpts := []overlay.NodeOption{overlay.WithListenAddress(c.address), overlay.WithRole(c.role)}
	if c.capacity > 0 {
		nodeOpts = append(nodeOpts, overlay.WithCapacity(c.capacity))
	}
	if c.budget > 0 {
		nodeOpts = append(nodeOpts, overlay.WithRelayBudget(c.budget))
	}
	if c.relayed {
		nodeOpts = append(nodeOpts, overlay.WithRelayedOnly())
	}
	if c.name == "" {
		nodeOpts = append(nodeOpts, overlay.WithContributeOnly())
	}
	slow := time.AfterFunc(joinPatience, func() {
		log.Warn("not attached yet, trying on: does the login server of the invite run, and can it be reached by UDP?")
	})
	node, err := network.Join(ctx, c.name, nodeOpts...)
	slow.Stop()
	if err != nil {
		return nil, nil, errors.Join(err, network.Close())
	}
	return node, network.Close, nil
}
