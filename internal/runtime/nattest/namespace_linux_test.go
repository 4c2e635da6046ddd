package nattest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// networks counts the networks of this process, so that each has names of its own.
var networks atomic.Int32

// namespace is a network namespace, which ends with the test.
type namespace struct {
	t    *testing.T
	name string
}

// needs skips the test where it can't be run or nobody has asked for it.
func needs(t *testing.T) {
	t.Helper()
	if os.Getenv("OVERLAY_NAT") == "" {
		t.Skip("real NATs take a minute, root and nftables: OVERLAY_NAT=1 runs this test")
	}
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	for _, program := range []string{"ip", "nft", "sysctl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
}

func newNamespace(t *testing.T, name string) *namespace {
	t.Helper()
	n := &namespace{t, name}
	run(t, "", "ip", "netns", "add", n.name)
	t.Cleanup(func() { run(t, "", "ip", "netns", "del", n.name) })
	n.sh("ip link set lo up")
	return n
}

// run runs a program with something on its standard input.
func run(t *testing.T, in string, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Stdin = strings.NewReader(in)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", program, strings.Join(args, " "), err, out, in)
	}
}

// sh runs lines of shell in the namespace.
func (n *namespace) sh(format string, args ...any) {
	n.t.Helper()
	run(n.t, fmt.Sprintf(format, args...), "ip", "netns", "exec", n.name, "sh", "-e")
}

// nft loads rules.
func (n *namespace) nft(rules string) {
	n.t.Helper()
	run(n.t, rules, "ip", "netns", "exec", n.name, "nft", "-f", "-")
}

// join lays a cable from one namespace to another.
func (n *namespace) join(here string, to *namespace, there string) {
	n.t.Helper()
	run(n.t, "", "ip", "link", "add", here, "netns", n.name, "type", "veth", "peer", "name", there, "netns", to.name)
}

// within runs f on a thread that is in the namespace. A thread that can't come back is
// not used any more.
func (n *namespace) within(f func() error) error {
	done := make(chan error)
	go func() { // ends with f
		runtime.LockOSThread()
		done <- n.enter(f)
	}()
	return <-done
}

func (n *namespace) enter(f func() error) error {
	was, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer was.Close()
	there, err := os.Open("/run/netns/" + n.name)
	if err != nil {
		return err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	err = f()
	if unix.Setns(int(was.Fd()), unix.CLONE_NEWNET) == nil {
		runtime.UnlockOSThread()
	}
	return err
}

// listen makes a socket in the namespace.
func (n *namespace) listen(ctx context.Context, address string) (pc net.PacketConn, err error) {
	err = n.within(func() (err error) {
		var c net.ListenConfig
		pc, err = c.ListenPacket(ctx, "udp", address)
		return err
	})
	return pc, err
}

// interfaces returns the addresses of the namespace.
func (n *namespace) interfaces() (list []net.Addr, err error) {
	err = n.within(func() (err error) {
		list, err = net.InterfaceAddrs()
		return err
	})
	return list, err
}
