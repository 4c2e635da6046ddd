package runtime

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/ada420b6/overlay/internal/core"
)

const (
	// resolveAgain is how long the answer of the DNS is believed, and resolveMin and
	// resolveMax bound the pause after a failure.
	resolveAgain = 30 * time.Minute
	resolveMin   = time.Second
	resolveMax   = time.Minute
)

// startResolver looks up the login servers that the invite names by a DNS name. It is
// not on the way of the start: a node that holds a certificate needs no login server.
func (n *Node) startResolver() {
	var named []loginAddress
	for _, x := range n.logins {
		if _, err := netip.ParseAddrPort(x.address); err != nil {
			named = append(named, x)
		}
	}
	if len(named) > 0 {
		n.wg.Go(func() { n.resolve(named) }) // ends with n.ended
	}
}

func (n *Node) resolve(named []loginAddress) {
	known := make(map[string]netip.AddrPort)
	for pause := resolveMin; ; {
		ok := true
		for _, x := range named {
			at, err := resolveOne(n.ended, x.address)
			if err != nil {
				n.log.Debug("login server not resolved", "address", x.address, "error", err)
				ok = false
				continue
			}
			if known[x.address] != at {
				known[x.address] = at
				n.loop.post(func() { n.resolved(x, at) })
			}
		}
		if pause = min(2*pause, resolveMax); ok {
			pause = resolveAgain
		}
		t := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-t.C:
		case <-n.ended.Done():
			t.Stop()
			return
		}
		if ok {
			pause = resolveMin
		}
	}
}

// resolved enters a login server's address. A node that waits for it need not wait any
// longer.
func (n *Node) resolved(x loginAddress, at netip.AddrPort) {
	n.loop.book.at(x.handle).addr = at
	if !n.loop.book.address.IsValid() {
		n.loop.book.address = guessAddress(n.ended, n.loop.socket.pc.PacketConn, at)
	}
	if !n.core.Certified() {
		n.loop.step(&core.Input{Kind: core.InputNetwork})
	}
}

// resolveOne returns one address of "name:port", IPv4 if there is one: a socket for all
// addresses can send to both, one for IPv4 only to that.
func resolveOne(ctx context.Context, address string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	best := netip.Addr{}
	for _, ip := range ips {
		if ip = ip.Unmap(); !best.IsValid() || ip.Is4() && !best.Is4() {
			best = ip
		}
	}
	if !best.IsValid() {
		return netip.AddrPort{}, &net.DNSError{Err: "no address", Name: host}
	}
	return netip.AddrPortFrom(best, uint16(p)), nil
}
