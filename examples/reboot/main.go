// Reboot is a power cut on real processes, in one command:
//
//	go run ./examples/reboot
//
// It starts a login server and 8 processes of 50 nodes each, every node with its own UDP
// socket and state directory. Once the network stands, the login server and the 5
// processes with the most supernodes are killed with SIGKILL at the same moment; 5 s
// later these 5 are started again, the login server is not. Then it measures how long it
// takes until every node says that it is attached, and until every node has answered a
// call by its name from a node that was not killed. It ends with an error when the last is
// attached after more than 15 s, or when a node sent too much or a process grew too large.
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

func main() { os.Exit(command(os.Args[1:])) }

// command is the program: without a verb the whole story, with one a process of it.
func command(args []string) int {
	var err error
	switch {
	case len(args) > 0 && args[0] == verbHost:
		err = hostCommand(args[1:])
	case len(args) > 0 && args[0] == verbLogin:
		err = loginCommand(args[1:])
	default:
		return storyCommand(args)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "reboot:", err)
		return 1
	}
	return 0
}

func storyCommand(args []string) int {
	c := config{watch: believed}
	flags := flag.NewFlagSet("reboot", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // an error is one line
	flags.IntVar(&c.processes, "processes", 8, "how many processes, 2 to 16")
	flags.IntVar(&c.each, "each", 50, "how many nodes in each, 2 to 100")
	flags.IntVar(&c.kill, "kill", 5, "how many processes are killed, 1 to one less than there are")
	flags.DurationVar(&c.down, "down", defaultDown, "how long they are away, 0 to 1m")
	flags.BoolVar(&c.json, "json", false, "the last line of stdout is the result as a JSON object")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(os.Stdout)
		flags.PrintDefaults()
		return 0
	}
	if err == nil {
		err = c.check(flags.Args())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "reboot:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	out := os.Stdout
	if c.json {
		out = os.Stderr
	}
	r, err := run(ctx, c, newTeller(out))
	if c.json {
		line, _ := json.Marshal(r) // a struct of numbers
		fmt.Println(string(line))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "reboot:", err)
		return 1
	}
	return 0
}
