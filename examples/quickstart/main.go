// Quickstart is the main job of package overlay on real sockets, in one command:
//
//	go run ./examples/quickstart
//
// It starts a login server and 50 nodes, each with a UDP socket of its own. The tier of
// supernodes forms by itself. One node downloads a file from another one by its name.
// Then the login server is stopped, and 60 % of the nodes, most supernodes among them,
// are cut off without a goodbye and come back a few seconds later. The network heals,
// and the download works again.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	c := config{}
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // an error is one line
	flags.IntVar(&c.nodes, "nodes", 50, "how many nodes join, 2 to 500")
	flags.Float64Var(&c.reboot, "reboot", 0.6, "share of the nodes that is cut off, 0 to 1")
	flags.Uint64Var(&c.seed, "seed", 1, "seed of the draw of who is cut off, and of the file")
	flags.BoolVar(&c.json, "json", false, "the last line of stdout is the result as a JSON object")
	err := flags.Parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(os.Stdout)
		flags.PrintDefaults()
		return
	}
	if err == nil {
		err = c.check(flags.Args())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := run(ctx, c, newTimeline(os.Stderr, os.Stdout, c.json))
	if c.json {
		line, _ := json.Marshal(r) // a struct of numbers and booleans
		fmt.Println(string(line))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		stop()
		os.Exit(1)
	}
}

type config struct {
	nodes  int
	reboot float64
	seed   uint64
	json   bool
}

func (c config) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case c.nodes < 2 || c.nodes > 500:
		return fmt.Errorf("-nodes is %d, 2 to 500 are possible", c.nodes)
	case !(c.reboot >= 0 && c.reboot <= 1):
		return fmt.Errorf("-reboot is %g, 0 to 1 is possible", c.reboot)
	}
	return nil
}

// result is what -json prints.
type result struct {
	Nodes               int     `json:"nodes"`
	Supernodes          int     `json:"supernodes"` // before anything was cut off
	Joined              int     `json:"joined"`
	JoinS               float64 `json:"join_s"` // until the last node was attached
	TransferBytes       int64   `json:"transfer_bytes"`
	TransferOK          bool    `json:"transfer_ok"`
	TransferS           float64 `json:"transfer_s"`
	Rebooted            int     `json:"rebooted"`
	SupernodesKilled    int     `json:"supernodes_killed"`
	HealS               float64 `json:"heal_s"` // from the cut until every node answered a call by name
	AttachedAfter       int     `json:"attached_after"`
	SupernodesAfter     int     `json:"supernodes_after"`
	TransferAfterOK     bool    `json:"transfer_after_ok"`
	LoginDeadDuringHeal bool    `json:"login_dead_during_heal"`
	HealingPacketsMax   int     `json:"healing_packets_max"` // most that one node has sent to get attached
	Seed                uint64  `json:"seed"`
}
