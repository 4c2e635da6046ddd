package overlay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ada420b6/overlay"
	"github.com/ada420b6/overlay/internal/runtime/memnet"
)

// world is a network in memory with one login server and machines, each at an address of
// its own in an address group of its own. It lives in a synctest bubble: its time is
// virtual, everything else is what a program runs.
type world struct {
	t        *testing.T
	net      *memnet.Network
	dir      string
	login    *overlay.LoginServer // nil while it is down
	invite   string
	machines []*machine
}

// machine is one of them. Its state directory survives its node.
type machine struct {
	w     *world
	name  string
	addr  netip.Addr
	dir   string
	opts  []overlay.NodeOption
	wraps func(net.PacketConn) net.PacketConn // what its socket is put into; nil is nothing

	network *overlay.Network
	node    *overlay.Node // nil while it is down, or before its Join has returned
	joining context.CancelFunc
	joined  chan struct{}
	err     error // of Join
}

var loginAddr = netip.MustParseAddr("198.18.0.1")

// inWorld runs f in a bubble with a world. A bubble's clock begins in 2000: it is moved to
// where login servers believe it.
func inWorld(t *testing.T, c memnet.Config, f func(t *testing.T, w *world), opts ...overlay.LoginOption) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)))
		w := &world{t: t, net: memnet.New(c), dir: dir}
		w.openLogin(opts...)
		defer w.close()
		f(t, w)
	})
}

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (w *world) openLogin(opts ...overlay.LoginOption) {
	w.t.Helper()
	if w.login != nil {
		return
	}
	login, err := overlay.ListenLogin(":4040", append(opts, overlay.WithStateDir(filepath.Join(w.dir, "login")),
		overlay.WithListenPacket(w.net.Host(loginAddr)))...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.login, w.invite = login, login.Invite()
}

func (w *world) closeLogin() {
	w.t.Helper()
	if w.login == nil {
		return
	}
	if err := w.login.Close(); err != nil {
		w.t.Error(err)
	}
	w.login = nil
}

// machine adds a machine whose node will have the given name.
func (w *world) machine(name string, opts ...overlay.NodeOption) *machine {
	k := len(w.machines)
	m := &machine{
		w: w, name: name, addr: netip.AddrFrom4([4]byte{11, byte(k), 0, 1}), dir: filepath.Join(w.dir, fmt.Sprint("machine", k)),
		opts: append([]overlay.NodeOption{overlay.WithListenAddress(":4040")}, opts...),
	}
	w.machines = append(w.machines, m)
	return m
}

// options are those of the machine's network.
func (m *machine) options() []overlay.Option {
	listen := m.w.net.Host(m.addr)
	return []overlay.Option{
		overlay.WithInvite(m.w.invite), overlay.WithStateDir(m.dir),
		overlay.WithListenPacket(func(ctx context.Context, address string) (net.PacketConn, error) {
			pc, err := listen(ctx, address)
			if err != nil || m.wraps == nil {
				return pc, err
			}
			return m.wraps(pc), nil
		}),
	}
}

// start lets the machine's node join, and returns at once.
func (m *machine) start() {
	m.w.t.Helper()
	if m.joined != nil {
		return
	}
	network, err := overlay.New(m.options()...)
	if err != nil {
		m.w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(m.w.t.Context())
	m.network, m.joining, m.joined = network, cancel, make(chan struct{})
	go func() { // ends with Join: stop cancels it
		defer close(m.joined)
		if m.node, m.err = network.Join(ctx, m.name, m.opts...); m.err == nil && m.name != "" {
			m.err = m.serve()
		}
	}()
}

// serve answers calls with what the caller says.
func (m *machine) serve() error {
	l, err := m.node.Listen("tcp", ":echo")
	if err != nil {
		return err
	}
	go echo(l)
	return nil
}

func echo(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return // the node is closed
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, c)
		}()
	}
}

// wait returns the machine's node when its Join has returned, at most after the given
// time.
func (m *machine) wait(within time.Duration) *overlay.Node {
	m.w.t.Helper()
	select {
	case <-m.joined:
	case <-time.After(within):
		m.w.t.Fatalf("%q is not attached after %v", m.name, within)
	}
	if m.err != nil {
		m.w.t.Fatalf("%q joins: %v", m.name, m.err)
	}
	return m.node
}

// up starts a node and waits until it is attached.
func (w *world) up(name string, opts ...overlay.NodeOption) *overlay.Node {
	w.t.Helper()
	m := w.machine(name, opts...)
	m.start()
	return m.wait(time.Minute)
}

// stop ends the machine's process: at once, also in the midst of joining, or after a
// goodbye.
func (m *machine) stop(goodbye bool) {
	if m.joined == nil {
		return
	}
	m.joining()
	<-m.joined
	if m.node != nil && goodbye {
		ctx, cancel := context.WithTimeout(m.w.t.Context(), 3*time.Minute) // beyond LeavePatience
		defer cancel()
		if err := m.node.Leave(ctx); err != nil {
			m.w.t.Errorf("%s leaves: %v", m.name, err)
		}
	}
	if m.err != nil && !errors.Is(m.err, context.Canceled) {
		m.w.t.Errorf("%s joined: %v", m.name, m.err)
	}
	if err := m.network.Close(); err != nil {
		m.w.t.Errorf("%s closes: %v", m.name, err)
	}
	m.node, m.joined, m.err = nil, nil, nil
}

// close ends everything, so that the bubble can end.
func (w *world) close() {
	for _, m := range w.machines {
		if m.joined != nil {
			m.joining()
			<-m.joined
			if err := m.network.Close(); err != nil {
				w.t.Errorf("%s closes: %v", m.name, err)
			}
		}
	}
	w.closeLogin()
}

// talk calls the echo service of a node and reports what is wrong.
func talk(ctx context.Context, from *overlay.Node, to string) error {
	c, err := from.DialContext(ctx, "tcp", to+":echo")
	if err != nil {
		return err
	}
	defer c.Close()
	said := []byte("hello " + to)
	if _, err := c.Write(said); err != nil {
		return err
	}
	heard := make([]byte, len(said))
	if _, err := io.ReadFull(c, heard); err != nil {
		return err
	}
	if string(heard) != string(said) {
		return fmt.Errorf("said %q, heard %q", said, heard)
	}
	return nil
}
