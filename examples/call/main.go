// Call is a voice-like call between two names that plots its own gaps: 50 datagrams a second
// in either direction, 160 bytes each, as a telephone sends them. It is there to look at
// while somebody kills things.
//
// A login server and some supernodes, each a process that can be killed:
//
//	go run ./examples/forward -login 127.0.0.1:7000 -state login      # prints the invite
//	go run ./examples/forward -invite INVITE -role supernode          # three times
//
// Bob waits for calls, Alice calls him:
//
//	go run ./examples/call -invite INVITE -name bob
//	go run ./examples/call -invite INVITE -name alice bob
//
// Each shows a line a second, of what it hears of the other:
//
//	12 s  50 of 50  gap   23 ms  ▁▁▁▁▁▁▁▁▁▁
//	13 s  36 of 50  gap  301 ms  ▁▁▁▁   █▂▁
//
// A mark is a tenth of a second, as high as the longest time between two datagrams in it:
// up to 40 ms (one late or lost), 60, 100, 200, 400, 800 ms, and more; a blank is a tenth in which nothing
// came. ^C ends the call, for both, and then every gap is in a table. -for ends it by itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ada420b6/overlay"
)

func main() {
	var invite, name, state, address string
	var length time.Duration
	flag.StringVar(&invite, "invite", "", "join the network that this `invite` names")
	flag.StringVar(&name, "name", "", "your `name`")
	flag.StringVar(&state, "state", "", "keep the identity in this `directory`; without one the name is lost with the process")
	flag.StringVar(&address, "address", ":0", "the UDP socket, `host:port`")
	flag.DurationVar(&length, "for", 0, "end after this `time`; 0 is never")
	flag.Parse()
	if invite == "" || name == "" || flag.NArg() > 1 {
		fmt.Fprintln(os.Stderr, "call: -invite and -name are needed, and at most one name to call; -h tells more")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, length)
		defer cancel()
	}
	if err := run(ctx, invite, name, state, address, flag.Arg(0)); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "call:", err)
		os.Exit(1)
	}
}

// joinPatience is how long it usually takes to be attached, and more.
const joinPatience = 5 * time.Second

// run joins the network and calls peer, or waits for calls when there is none.
func run(ctx context.Context, invite, name, state, address, peer string) error {
	opts := []overlay.Option{overlay.WithInvite(invite)}
	if state != "" {
		opts = append(opts, overlay.WithStateDir(state))
	}
	network, err := overlay.New(opts...)
	if err != nil {
		return err
	}
	defer network.Close()
	// A telephone does not serve others: what it hears is then not its own work.
	slow := time.AfterFunc(joinPatience, func() { fmt.Println("nobody of the network has answered yet, trying on") })
	node, err := network.Join(ctx, name, overlay.WithListenAddress(address), overlay.WithRole(overlay.RoleNode))
	slow.Stop()
	if err != nil {
		return err
	}
	fmt.Println("you are", node.Name())
	if peer == "" {
		return answer(ctx, node)
	}
	return call(ctx, node, peer)
}

// reason says what an error means to a person.
func reason(err error) string {
	switch {
	case errors.Is(err, overlay.ErrDetached):
		return "this machine is not connected"
	case errors.Is(err, overlay.ErrNotFound):
		return "nobody of that name is there"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "it takes no calls"
	}
	return err.Error()
}
