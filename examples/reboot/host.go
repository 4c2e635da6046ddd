package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ada420b6/overlay"
)

// The verbs of the processes that the story starts. Each obeys orders on its standard
// input, a JSON object a line, answers on its standard output in the same way, and ends
// when its input does, so that nothing is left behind when the story ends early.
const (
	verbHost  = "host"
	verbLogin = "login"
)

// order is what the story asks of a host.
type order struct {
	Do    string   `json:"do"` // doReport or doCall
	Names []string `json:"names,omitempty"`
}

const (
	doReport = "report" // say how every node stands
	doCall   = "call"   // call these names until each has answered
)

// word is what a process says. Exactly one field is set, but for Error, which ends it.
type word struct {
	Invite string      `json:"invite,omitempty"` // a login server is ready
	Joined string      `json:"joined,omitempty"` // a node is attached for the first time
	Called string      `json:"called,omitempty"` // a node has answered a call by its name
	Report []nodeState `json:"report,omitempty"`
	Error  string      `json:"error,omitempty"`
}

// nodeState is how a node stands, by its own word.
type nodeState struct {
	Name       string `json:"name"`
	Attached   bool   `json:"attached"`
	Supernode  bool   `json:"supernode,omitempty"`
	Supernodes int    `json:"supernodes,omitempty"`
	Packets    int    `json:"packets"` // sent to become attached
}

const (
	joinPatience = time.Minute     // for one node to become attached
	callPatience = 2 * time.Second // for one call
	callers      = 16              // calls at a time in each process
)

func loginCommand(args []string) error {
	flags := flag.NewFlagSet(verbLogin, flag.ContinueOnError)
	state := flags.String("state", "", "state directory")
	if err := flags.Parse(args); err != nil {
		return err
	}
	login, err := overlay.ListenLogin("127.0.0.1:0", overlay.WithStateDir(*state))
	if err != nil {
		return err
	}
	say(os.Stdout, new(sync.Mutex), word{Invite: login.Invite()})
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, login.Close())
}

// host is one process of nodes.
type host struct {
	network *overlay.Network
	first   int
	ctx     context.Context

	saying sync.Mutex
	mu     sync.Mutex
	nodes  []*overlay.Node // nil until it has joined
}

func nodeName(i int) string { return fmt.Sprintf("node-%03d", i) }

func hostCommand(args []string) error {
	flags := flag.NewFlagSet(verbHost, flag.ContinueOnError)
	invite := flags.String("invite", "", "the network's invite")
	state := flags.String("state", "", "state directory")
	first := flags.Int("first", 0, "number of the first node")
	count := flags.Int("count", 1, "how many nodes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	network, err := overlay.New(overlay.WithInvite(*invite), overlay.WithStateDir(*state))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := &host{network: network, first: *first, ctx: ctx, nodes: make([]*overlay.Node, *count)}
	var work sync.WaitGroup // ends with ctx
	for i := range *count {
		work.Go(func() { h.join(i) })
	}
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	for err == nil {
		var o order
		if err = in.Decode(&o); err != nil {
			break
		}
		switch o.Do {
		case doReport:
			h.say(word{Report: h.report()})
		case doCall:
			work.Go(func() { h.callAll(o.Names) })
		default:
			err = fmt.Errorf("there is no order %q", o.Do)
		}
	}
	cancel()
	if errors.Is(err, io.EOF) {
		err = nil
	}
	err = errors.Join(err, network.Close())
	work.Wait()
	return err
}

func (h *host) say(w word) { say(os.Stdout, &h.saying, w) }

// say writes a line. When nobody reads any more the process is about to be ended.
func say(out io.Writer, mu *sync.Mutex, w word) {
	line, _ := json.Marshal(w) // a struct of strings, numbers and booleans
	mu.Lock()
	defer mu.Unlock()
	_, _ = out.Write(append(line, '\n'))
}

// join lets node i come up and greets whoever calls it by its name.
func (h *host) join(i int) {
	ctx, cancel := context.WithTimeout(h.ctx, joinPatience)
	defer cancel()
	node, err := h.network.Join(ctx, nodeName(h.first+i), overlay.WithListenAddress("127.0.0.1:0"))
	var l net.Listener
	if err == nil {
		l, err = node.Listen("tcp", ":hello")
	}
	if err != nil {
		if h.ctx.Err() == nil {
			h.say(word{Error: err.Error()})
		}
		return
	}
	h.mu.Lock()
	h.nodes[i] = node
	h.mu.Unlock()
	h.say(word{Joined: node.Name()})
	for {
		c, err := l.Accept() // fails when the node is closed
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, node.Name()) // who does not get it calls again
		_ = c.Close()
	}
}

func (h *host) up() (up []*overlay.Node) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range h.nodes {
		if n != nil {
			up = append(up, n)
		}
	}
	return up
}

func (h *host) report() (states []nodeState) {
	for _, n := range h.up() {
		s := n.Status()
		states = append(states, nodeState{s.Name, s.Attached, s.Supernode, s.Supernodes, s.HealingPackets})
	}
	return states
}

// callAll calls every name, from the nodes of this process in turn, until each has
// answered.
func (h *host) callAll(names []string) {
	todo := make(chan string, len(names))
	for _, name := range names {
		todo <- name
	}
	var left, work sync.WaitGroup
	var turn atomic.Int64
	left.Add(len(names))
	for range callers {
		work.Go(func() { // ends when todo is closed: all have answered, or ctx has ended
			for name := range todo {
				switch err := h.call(int(turn.Add(1)), name); {
				case err == nil:
					h.say(word{Called: name})
					left.Done()
				case h.ctx.Err() != nil:
					left.Done()
				default:
					todo <- name
				}
			}
		})
	}
	left.Wait()
	close(todo)
	work.Wait()
}

// call calls a node by its name and checks who answers.
func (h *host) call(turn int, name string) error {
	up := h.up()
	from := up[turn%len(up)]
	ctx, cancel := context.WithTimeout(h.ctx, callPatience)
	defer cancel()
	c, err := from.DialContext(ctx, "tcp", name+":hello")
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(callPatience)); err != nil {
		return err
	}
	got, err := io.ReadAll(c)
	if err == nil && string(got) != name {
		err = fmt.Errorf("%q answers for %q", got, name)
	}
	return err
}
