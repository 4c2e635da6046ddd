package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/ada420b6/overlay"
)

// config is what the command line says, checked.
type config struct {
	login    string // address of a login server; empty for a node
	invite   string
	name     string // empty for a node that only gives
	state    string
	address  string
	role     overlay.Role
	capacity int  // 0: the library's default
	budget   int  // 0: the library's default
	relayed  bool // all conversations go through relays
	verbose  bool
	expose   []exposure
	listen   []entrance
}

// exposure is a service of this node and the local address that it leads to.
type exposure struct {
	service, target string
	udp             bool
}

func (e exposure) kind() string {
	if e.udp {
		return "/udp"
	}
	return ""
}

// entrance is a local address and the service of another node that it leads to.
type entrance struct {
	address, target string
	udp             bool
}

// maxForwards bounds -expose and -listen each: a listener is a goroutine and an open
// socket, and 64 of each stay far below the 1024 open files of a usual process.
const maxForwards = 64

// errHelp: the user has asked for the flags and got them.
var errHelp = flag.ErrHelp

// parse reads the command line. Its error says in one line which flag is wrong and why.
func parse(args []string, usage io.Writer) (config, error) {
	var c config
	fs := flag.NewFlagSet("forward", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // an error is one line; the flags are for who asks for them
	fs.StringVar(&c.login, "login", "", "run a login server at `host:port` and print its invite")
	fs.StringVar(&c.invite, "invite", "", "join the network that this `invite` names")
	fs.StringVar(&c.name, "name", "", "join under this `name`; without one the node only gives its resources")
	fs.StringVar(&c.state, "state", "", "keep identity and accounts in this `directory`; without one they end with the process")
	fs.StringVar(&c.address, "address", ":0", "the node's UDP socket, `host:port`")
	fs.Func("role", "`auto`, node or supernode (default auto)", c.setRole)
	fs.IntVar(&c.capacity, "capacity", 0, "hold at most this `number` of nodes while serving (default 1600)")
	fs.IntVar(&c.budget, "relay-budget", 0, "forward at most this `number` of bytes a second for others while serving (default 250000; no limit with -role supernode)")
	fs.BoolVar(&c.relayed, "relayed", false, "tell no peer this machine's addresses: everything goes through relays")
	fs.BoolVar(&c.verbose, "v", false, "log everything to standard error")
	fs.Func("expose", "`service=host:port`: others reach this local address as NAME:service; repeatable", func(s string) error { return c.addExposure(s, exposure{}) })
	fs.Func("expose-udp", "the same for datagrams", func(s string) error { return c.addExposure(s, exposure{udp: true}) })
	fs.Func("listen", "`host:port=name:service`: this local address leads to a service of a node; repeatable", func(s string) error { return c.addEntrance(s, entrance{}) })
	fs.Func("listen-udp", "the same for datagrams", func(s string) error { return c.addEntrance(s, entrance{udp: true}) })
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fs.SetOutput(usage)
		fs.PrintDefaults()
		return c, errHelp
	case err != nil:
		return c, err
	case fs.NArg() > 0:
		return c, fmt.Errorf("argument %q is not a flag", fs.Arg(0))
	}
	set := make(map[string]bool)
	fs.Visit(func(f *flag.Flag) { set[f.Name] = true })
	return c, c.check(set)
}

// check finds flags that do not go together.
func (c *config) check(set map[string]bool) error {
	if set["login"] {
		for _, f := range []string{"invite", "name", "address", "role", "capacity", "relay-budget", "relayed", "expose", "expose-udp", "listen", "listen-udp"} {
			if set[f] {
				return fmt.Errorf("-%s is for a node, -login for a login server: start two processes", f)
			}
		}
		return checkAddress("login", c.login)
	}
	switch {
	case c.invite == "":
		return errors.New("-invite is missing: the line that the login server prints; or -login to start one")
	case c.name == "" && len(c.expose)+len(c.listen) > 0:
		return errors.New("-name is missing: a node without a name takes and makes no calls")
	case set["capacity"] && (c.capacity < 1 || c.capacity > overlay.MaxCapacity):
		return fmt.Errorf("-capacity %d: 1 to %d are possible", c.capacity, overlay.MaxCapacity)
	case set["relay-budget"] && c.budget < overlay.MinRelayBudget:
		return fmt.Errorf("-relay-budget %d: at least %d", c.budget, overlay.MinRelayBudget)
	}
	if err := checkAddress("address", c.address); err != nil {
		return err
	}
	// What remains are the library's own rules: a damaged invite, a bad directory.
	opts := []overlay.Option{overlay.WithInvite(c.invite)}
	if c.state != "" {
		opts = append(opts, overlay.WithStateDir(c.state))
	}
	_, err := overlay.New(opts...)
	return err
}

func (c *config) setRole(s string) error {
	for _, r := range []overlay.Role{overlay.RoleAuto, overlay.RoleNode, overlay.RoleSupernode} {
		if s == r.String() {
			c.role = r
			return nil
		}
	}
	return errors.New("auto, node and supernode are possible")
}

func (c *config) addExposure(s string, as exposure) error {
	service, target, ok := strings.Cut(s, "=")
	switch {
	case !ok || service == "":
		return errors.New("write service=host:port, as in 80=127.0.0.1:8080")
	case len(c.expose) == maxForwards:
		return fmt.Errorf("more than %d", maxForwards)
	}
	for _, e := range c.expose {
		if e.service == service && e.udp == as.udp {
			return fmt.Errorf("service %s is exposed already", service)
		}
	}
	as.service, as.target = service, target
	c.expose = append(c.expose, as)
	return checkAddress("expose", target)
}

func (c *config) addEntrance(s string, as entrance) error {
	address, target, ok := strings.Cut(s, "=")
	if !ok {
		return errors.New("write host:port=name:service, as in 127.0.0.1:9000=bob:80")
	}
	if name, service, err := net.SplitHostPort(target); err != nil || name == "" || service == "" {
		return fmt.Errorf("%q is not name:service", target)
	}
	if len(c.listen) == maxForwards {
		return fmt.Errorf("more than %d", maxForwards)
	}
	as.address, as.target = address, target
	c.listen = append(c.listen, as)
	return checkAddress("listen", address)
}

func checkAddress(name, address string) error {
	if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
		return fmt.Errorf("-%s: %q is not host:port", name, address)
	}
	return nil
}
