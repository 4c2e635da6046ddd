package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"

	"github.com/ada420b6/overlay"
)

// The services of a chat: a stream carries one message, or one file.
const (
	chatService = ":chat"
	fileService = ":file"
)

const (
	// maxMessage bounds what is said at once, in bytes.
	maxMessage = 4 << 10
	// patience is how long a message, or the start of a file, may take to arrive.
	patience = 20 * time.Second
)

// chat is one person at a terminal.
type chat struct {
	ctx   context.Context
	node  *overlay.Node
	files string // where files go that come
	book  string // the file of contacts
	tasks sync.WaitGroup

	mu       sync.Mutex
	out      io.Writer
	contacts map[string]overlay.PresenceState
	peer     string // whom plain lines go to
}

func newChat(ctx context.Context, node *overlay.Node, files string, out io.Writer) *chat {
	return &chat{ctx: ctx, node: node, files: files, out: out, contacts: make(map[string]overlay.PresenceState)}
}

// say writes one line. What comes from others can't move the cursor.
func (h *chat) say(format string, args ...any) {
	line := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '·'
	}, fmt.Sprintf(format, args...))
	h.mu.Lock()
	defer h.mu.Unlock()
	fmt.Fprintln(h.out, line)
}

// wait returns when everything that was begun has ended.
func (h *chat) wait() { h.tasks.Wait() }

// command does what a line says.
func (h *chat) command(line string) {
	verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	rest = strings.TrimSpace(rest)
	switch verb {
	case "":
	case "/who":
		h.who()
	case "/add":
		h.add(strings.Fields(rest)...)
	case "/msg":
		name, text, _ := strings.Cut(rest, " ")
		h.mu.Lock()
		h.peer = name
		h.mu.Unlock()
		h.tell(name, strings.TrimSpace(text))
	case "/send":
		h.tasks.Go(func() { h.sendFile(h.talksTo(), rest) }) // ends with the file, or with ctx
	default:
		if strings.HasPrefix(verb, "/") {
			h.say("! there is /add, /who, /msg, /send and /quit")
			return
		}
		h.tell(h.talksTo(), strings.TrimSpace(line))
	}
}

func (h *chat) talksTo() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.peer
}

// who shows the contacts.
func (h *chat) who() {
	h.mu.Lock()
	var names []string
	for name, state := range h.contacts {
		names = append(names, fmt.Sprintf("* %s is %s", name, state))
	}
	h.mu.Unlock()
	slices.Sort(names)
	for _, line := range names {
		h.say("%s", line)
	}
}

// add takes contacts in, watches them, and keeps them for the next time.
func (h *chat) add(names ...string) {
	h.mu.Lock()
	var fresh []string
	for _, name := range names {
		if _, ok := h.contacts[name]; !ok && name != h.node.Name() {
			h.contacts[name] = overlay.PresenceUnknown
			fresh = append(fresh, name)
		}
	}
	h.mu.Unlock()
	if len(fresh) == 0 {
		return
	}
	seen := h.node.Watch(h.ctx, fresh...)
	h.tasks.Go(func() { // ends with ctx
		for p := range seen {
			h.mu.Lock()
			h.contacts[p.Name] = p.State
			if p.Err != nil {
				delete(h.contacts, p.Name)
			}
			h.mu.Unlock()
			switch {
			case p.Err != nil:
				h.say("! %v", p.Err)
			case p.State == overlay.PresenceUnknown:
				h.say("* whether %s is there is unknown: this machine is not connected", p.Name)
			default:
				h.say("* %s is %s", p.Name, p.State)
			}
		}
	})
	if err := h.saveContacts(); err != nil {
		h.say("! contacts are not kept: %v", err)
	}
}

func (h *chat) knows(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.contacts[name]
	return ok
}

// saveContacts writes all of them, a line each, under another name first.
func (h *chat) saveContacts() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var names []string
	for name := range h.contacts {
		names = append(names, name+"\n")
	}
	slices.Sort(names)
	if err := os.WriteFile(h.book+".new", []byte(strings.Join(names, "")), 0o600); err != nil {
		return err
	}
	return os.Rename(h.book+".new", h.book)
}

func loadContacts(file string) ([]string, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return strings.Fields(string(b)), err
}

// tell says something to somebody, and that it did not arrive.
func (h *chat) tell(name, text string) {
	switch {
	case name == "":
		h.say("! to whom? /msg NAME TEXT")
		return
	case text == "":
		h.say("* you talk to %s", name)
		return
	case len(text) > maxMessage:
		h.say("! a message has at most %d bytes", maxMessage)
		return
	}
	h.tasks.Go(func() { // ends by patience
		if err := h.deliver(name, text); err != nil {
			h.say("! not delivered to %s: %s", name, reason(err))
		}
	})
}

// deliver returns nil when the other side has confirmed the message.
func (h *chat) deliver(name, text string) error {
	ctx, cancel := context.WithTimeout(h.ctx, patience)
	defer cancel()
	conn, err := h.node.DialContext(ctx, "tcp", name+chatService)
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	if _, err := fmt.Fprintln(conn, text); err != nil {
		return err
	}
	_, err = answersOf(conn).ReadString('\n')
	return err
}

// reason says what an error means to a person.
func reason(err error) string {
	switch {
	case errors.Is(err, overlay.ErrDetached):
		return "this machine is not connected"
	case errors.Is(err, overlay.ErrNotFound):
		return "nobody of that name is there"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "no chat is open there"
	case errors.Is(err, overlay.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer"
	}
	return err.Error()
}

// serve takes what others send.
func (h *chat) serve() error {
	for service, take := range map[string]func(net.Conn, string){chatService: h.hear, fileService: h.takeFile} {
		l, err := h.node.Listen("tcp", service)
		if err != nil {
			return err
		}
		places := make(chan struct{}, maxGuests)
		var known guests
		h.tasks.Go(func() { // ends with the node
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				name, _, _ := net.SplitHostPort(conn.RemoteAddr().String()) // which the network has proven
				if !known.enter(name) {
					conn.Close()
					continue
				}
				places <- struct{}{}
				h.tasks.Go(func() { // ends with the conversation
					defer func() { <-places }()
					defer known.leave(name)
					defer conn.Close()
					take(conn, name)
				})
			}
		})
	}
	return nil
}

// hear shows one message and confirms it.
func (h *chat) hear(conn net.Conn, name string) {
	_ = conn.SetDeadline(time.Now().Add(patience))
	text, err := bufio.NewReader(io.LimitReader(conn, maxMessage+1)).ReadString('\n')
	if err != nil {
		return // the sender is told by what it does not hear
	}
	h.say("%s> %s", name, strings.TrimSuffix(text, "\n"))
	fmt.Fprintln(conn, "heard")
}
