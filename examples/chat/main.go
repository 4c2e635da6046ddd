// Chat is a terminal chat between names: who is there, what they say, and files.
//
// A login server, which prints the invite that all share (it may be anywhere that they reach):
//
//	go run ./examples/forward -login 127.0.0.1:7000 -state login
//
// Alice and Bob, each in a terminal, on machines of their own or on one:
//
//	go run ./examples/chat -invite INVITE -name alice bob
//	go run ./examples/chat -invite INVITE -name bob alice
//
// What follows the flags are contacts, whose coming and going is shown. In the chat:
//
//	/add carol        a contact more, kept for the next time
//	/who              the contacts, and whether they are there
//	/msg bob hello    says hello to bob, whom you talk to from then on
//	hello             says it to whom you talk to
//	/send photo.jpg   sends a file to whom you talk to
//	/quit             leaves; so does the end of the input
//
// A line that begins with "*" is news, "name>" is what name says, and "!" what went wrong.
// A message that was not confirmed by the other side is reported as not delivered. Files
// are taken from contacts only, into the folder "files" of the state directory (-state); they are
// checked by their hash, and never replace another.
//
// Names are proven by the network, conversations encrypted end to end. Everything else is
// 700 lines over net.Conn: DialContext, Listen and Watch are all of the library that they use.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ada420b6/overlay"
)

func main() {
	var c config
	flag.StringVar(&c.invite, "invite", "", "join the network that this `invite` names")
	flag.StringVar(&c.name, "name", "", "your `name`")
	flag.StringVar(&c.state, "state", "", "keep identity, contacts and files in this `directory` (default NAME.chat)")
	flag.StringVar(&c.address, "address", ":0", "the UDP socket, `host:port`")
	flag.Parse()
	c.contacts = flag.Args()
	if c.invite == "" || c.name == "" {
		fmt.Fprintln(os.Stderr, "chat: -invite and -name are needed; -h tells more")
		os.Exit(2)
	}
	if c.state == "" {
		c.state = filepath.Base(c.name) + ".chat"
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, c, os.Stdin, os.Stdout); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "chat:", err)
		os.Exit(1)
	}
}

// config is what the command line says.
type config struct {
	invite, name, state, address string
	contacts                     []string
}

// joinPatience is how long it usually takes to be attached, and more.
const joinPatience = 5 * time.Second

// leavePatience is how long the goodbye may take: a node that happens to serve others finds
// them another place first.
const leavePatience = 10 * time.Second

// run is one session at the terminal: it ends with /quit, the end of in, or ctx.
func run(ctx context.Context, c config, in io.Reader, out io.Writer) error {
	files := filepath.Join(c.state, "files")
	if err := os.MkdirAll(files, 0o700); err != nil {
		return err
	}
	network, err := overlay.New(overlay.WithInvite(c.invite), overlay.WithStateDir(filepath.Join(c.state, "node")))
	if err != nil {
		return err
	}
	defer network.Close()
	slow := time.AfterFunc(joinPatience, func() { fmt.Fprintln(out, "* nobody of the network has answered yet, trying on") })
	node, err := network.Join(ctx, c.name, overlay.WithListenAddress(c.address))
	slow.Stop()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h := newChat(ctx, node, files, out)
	h.say("* you are %s, /who shows your contacts", node.Name())
	if err := h.serve(); err != nil {
		return err
	}
	known, err := loadContacts(filepath.Join(c.state, "contacts"))
	if err != nil {
		return err
	}
	h.book = filepath.Join(c.state, "contacts")
	h.add(append(known, c.contacts...)...)

	lines := make(chan string)
	go func() { // ends with the input, or with the process
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			lines <- s.Text()
		}
	}()
	for open := true; open; {
		var line string
		select {
		case line, open = <-lines:
		case <-ctx.Done():
			open = false
		}
		if line == "/quit" {
			break
		}
		if open {
			h.command(line)
		}
	}
	cancel()
	leave, done := context.WithTimeout(context.Background(), leavePatience)
	defer done()
	_ = node.Leave(leave) // if it takes too long, the others find out
	h.wait()
	return nil
}
