package nattest

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// internet is the namespace in which login server and supernodes are, and through which
// all sites reach each other.
type internet struct {
	*namespace
	prefix string // of the names of all namespaces
	sites  int
}

const (
	login  = "11.9.0.1"
	port   = 4141 // of login server and supernodes
	node   = 4040 // of nodes
	supers = 3
	most   = 40 // sites
)

func newInternet(t *testing.T) *internet {
	t.Helper()
	prefix := fmt.Sprintf("direct%d-%d-", os.Getpid(), networks.Add(1))
	n := &internet{namespace: newNamespace(t, prefix+"net"), prefix: prefix}
	n.sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1\nip addr add %s/32 dev lo", login)
	for i := range supers {
		n.sh("ip addr add %s/32 dev lo", super(i))
	}
	return n
}

func super(i int) string { return fmt.Sprintf("11.%d.0.1", i+1) }

// site is one host and the routers between it and the internet.
type site struct {
	host    *namespace
	routers []*namespace // from the host outwards
	public  string       // the outermost address
	index   int
}

// site adds a site with so many routers. The host is 192.168.1.2, or at the public
// address when there is no router.
func (n *internet) site(name string, routers int) *site {
	n.t.Helper()
	n.sites++
	s := &site{host: newNamespace(n.t, n.prefix+name), public: public(n.sites), index: n.sites}
	inner, device := s.host, "eth0"
	for i := range routers {
		r := newNamespace(n.t, fmt.Sprintf("%s%s-r%d", n.prefix, name, i+1))
		r.sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
		inner.join(device, r, "lan0")
		r.sh("ip addr add 192.168.%d.1/24 dev lan0\nip link set lan0 up", i+1)
		inner.sh("ip addr add 192.168.%d.2/24 dev %s\nip link set %s up\nip route add default via 192.168.%d.1", i+1, device, device, i+1)
		s.routers = append(s.routers, r)
		inner, device = r, "wan0"
	}
	far := fmt.Sprintf("w%d", n.sites)
	inner.join(device, n.namespace, far)
	n.sh("ip addr add 12.%d.0.1/24 dev %s\nip link set %s up", s.index, far, far)
	inner.sh("ip addr add %s/24 dev %s\nip link set %s up\nip route add default via 12.%d.0.1", s.public, device, device, s.index)
	return s
}

// neighbour adds a host to the LAN of a site's inner router, 192.168.1.3.
func (n *internet) neighbour(s *site, name string) *namespace {
	n.t.Helper()
	h, r := newNamespace(n.t, n.prefix+name), s.routers[0]
	h.join("eth0", r, "lan1")
	r.sh("ip link add lan type bridge\nip link set lan up\nip link set lan0 master lan\nip link set lan1 master lan\nip link set lan1 up\n" +
		"ip addr del 192.168.1.1/24 dev lan0\nip addr add 192.168.1.1/24 dev lan")
	h.sh("ip addr add 192.168.1.3/24 dev eth0\nip link set eth0 up\nip route add default via 192.168.1.1")
	return h
}

func public(index int) string { return fmt.Sprintf("12.%d.0.2", index) }

// reboots has the outermost router forget everything and come back with another address,
// as a home router does that dials in anew.
func (s *site) reboots() {
	r := s.routers[len(s.routers)-1]
	r.sh("ip link set wan0 down\nip addr flush dev wan0\nip addr add 12.%d.0.3/24 dev wan0\nip link set wan0 up\nip route add default via 12.%d.0.1", s.index, s.index)
}

// A kind is what a site has between its host and the internet.
type kind struct {
	name    string
	routers int
	rules   func(s *site)
}

// filter is what every router has: nothing comes in that was not asked for, and what is
// for the router itself leaves no trace that could take a port.
const filter = `
table ip filter {
	set hosts { type ipv4_addr; flags dynamic,timeout; timeout 2m; }
	chain input { type filter hook input priority 0; policy drop; icmp type echo-request accept; }
	chain forward {
		type filter hook forward priority 0; policy drop;
		iifname "lan*" update @hosts { ip daddr } accept
		%s
	}
}
`

const (
	anybody    = `accept`
	knownHosts = `ip saddr @hosts accept`
	answers    = `ct state established,related accept`
)

// nat loads a router's rules: of the filter for what comes from outside, and of the NAT.
func (s *site) nat(router int, from, before, after string) {
	s.routers[router].nft(fmt.Sprintf(filter, from) + fmt.Sprintf(`
table ip nat {
	chain before { type nat hook prerouting priority -100; iifname "wan0" jump in; }
	chain in {
		%s
	}
	chain after {
		type nat hook postrouting priority 100;
		%s
	}
}
`, before, after))
}

const (
	// keepsPort is the mapping of the usual router: independent of the endpoint, while
	// the port is free.
	keepsPort  = `oifname "wan0" masquerade`
	randomPort = `oifname "wan0" meta l4proto udp masquerade random,fully-random`
)

// forward leads what comes to the mapped port from outside to the host, for filters that
// let more in than answers.
func forward() string { return fmt.Sprintf("udp dport %d dnat to 192.168.1.2:%d", node, node) }

// byAddress is a mapping that has another port for every address: one rule for each.
func byAddress() (before, after string) {
	var in, out strings.Builder
	each := func(address string, port int) {
		fmt.Fprintf(&in, "\t\tip saddr %s udp dport %d dnat to 192.168.1.2:%d\n", address, port, node)
		fmt.Fprintf(&out, "\t\toifname \"wan0\" ip daddr %s udp sport %d masquerade to :%d\n", address, node, port)
	}
	for i := range supers {
		each(super(i), 20000+i)
	}
	for i := range most {
		each(public(i), 21000+i)
	}
	return in.String(), out.String() + "\t\toifname \"wan0\" masquerade\n"
}

// kinds are the sites that a node may be at. Names are mapping and filter of RFC 4787.
var kinds = []kind{
	{"no NAT", 0, func(*site) {}},
	{"independent, independent", 1, func(s *site) { s.nat(0, anybody, forward(), keepsPort) }},
	{"independent, address", 1, func(s *site) { s.nat(0, knownHosts, forward(), keepsPort) }},
	{"independent, port", 1, func(s *site) { s.nat(0, answers, "", keepsPort) }},
	{"two NATs: independent, port", 2, func(s *site) {
		s.nat(0, answers, "", keepsPort)
		s.nat(1, answers, "", keepsPort)
	}},
	{"address, address", 1, func(s *site) {
		before, after := byAddress()
		s.nat(0, knownHosts, before, after)
	}},
	{"address, port", 1, func(s *site) {
		_, after := byAddress()
		s.nat(0, answers, "", after)
	}},
	{"port, port", 1, func(s *site) { s.nat(0, answers, "", randomPort) }},
	{"port, port, and IPv6", 1, func(s *site) {
		s.nat(0, answers, "", randomPort)
		s.six()
	}},
	{"UDP to supernodes only", 1, func(s *site) {
		s.nat(0, answers, "", keepsPort)
		s.routers[0].nft(fmt.Sprintf(`
table ip blocked {
	chain forward { type filter hook forward priority -10; oifname "wan0" udp dport != %d drop; }
}
`, port))
	}},
}

// six gives a site with one router IPv6, whose firewall lets in answers only.
func (s *site) six() {
	r := s.routers[0]
	s.host.sh("ip addr add 2001:db8:%d::2/64 dev eth0 nodad\nip -6 route add default via 2001:db8:%d::1", s.index, s.index)
	r.sh("ip addr add 2001:db8:%d::1/64 dev lan0 nodad\nip addr add 2001:db8:ff%02d::2/64 dev wan0 nodad\nip -6 route add default via 2001:db8:ff%02d::1", s.index, s.index, s.index)
	r.nft(`
table ip6 filter {
	chain forward {
		type filter hook forward priority 0; policy drop;
		iifname "lan0" accept
		ct state established,related accept
	}
}
`)
}

// six lets the internet reach a site by IPv6.
func (n *internet) six(s *site) {
	n.sh("ip addr add 2001:db8:ff%02d::1/64 dev w%d nodad\nip -6 route add 2001:db8:%d::/64 via 2001:db8:ff%02d::2", s.index, s.index, s.index, s.index)
}
