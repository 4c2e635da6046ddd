package nattest

import (
	"fmt"
	"net"
	"testing"
	"time"
)

// home returns the kind of site that most users have.
func home(t *testing.T) kind {
	for _, k := range kinds {
		if k.name == "independent, port" {
			return k
		}
	}
	t.Fatal("there is no such kind")
	return kind{}
}

// homes starts two nodes at sites of that kind, and has them talk directly.
func homes(t *testing.T, change func(*site)) (w *world, sites [2]*site, a, b *end, c net.Conn) {
	w = newWorld(t)
	var ends [2]*end
	for i := range sites {
		sites[i] = w.net.site(fmt.Sprint("h", i), 1)
		home(t).rules(sites[i])
		change(sites[i])
		ends[i] = w.start(sites[i].host, fmt.Sprint("h", i), nil)
	}
	a, b = ends[0], ends[1]
	c = w.talk(a, b)
	return w, sites, a, b, c
}

// talk lets two ends talk directly.
func (w *world) talk(a, b *end) net.Conn {
	w.t.Helper()
	c, err := a.call(b)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	if took, ok := direct(a, b, patience); !ok {
		w.t.Fatalf("%s and %s are not direct after %v", a.name, b.name, took)
	}
	return c
}

// mustEcho says something every 20 ms until it comes back for some time, or has come back
// again after a silence, and returns the longest time that took.
func mustEcho(a, b *end, c net.Conn, d time.Duration) (longest time.Duration) {
	t := a.t
	t.Helper()
	for begun := time.Now(); time.Since(begun) < d; <-time.After(20 * time.Millisecond) {
		took, err := echoes(c, 2*patience)
		if err != nil {
			t.Fatalf("nothing comes back: %v\n%+v\n%+v", err, a.node.Status(), b.node.Status())
		}
		longest = max(longest, took)
	}
	return longest
}

// NATs that forget a binding after 30 s are kept open by an idle conversation.
func TestNATForgets(t *testing.T) {
	needs(t)
	t.Parallel()
	_, _, a, b, c := homes(t, func(s *site) {
		s.routers[0].sh("sysctl -qw net.netfilter.nf_conntrack_udp_timeout=30 net.netfilter.nf_conntrack_udp_timeout_stream=30")
	})
	<-time.After(40 * time.Second)
	took := mustEcho(a, b, c, time.Second)
	t.Logf("after 40 s: answers within %v", took)
	if !a.node.Reaches(b.node.Key()) || !b.node.Reaches(a.node.Key()) {
		t.Error("the direct way was lost")
	}
}

// A router between two ends that begins to drop what goes directly costs a moment, and one
// that stops to do so is used again.
func TestDirectWayIsBlocked(t *testing.T) {
	needs(t)
	t.Parallel()
	w, sites, a, b, c := homes(t, func(*site) {})
	block := fmt.Sprintf(`
table ip blocked {
	chain forward {
		type filter hook forward priority 0
		ip saddr %[1]s ip daddr %[2]s drop
		ip saddr %[2]s ip daddr %[1]s drop
	}
}
`, sites[0].public, sites[1].public)
	w.net.nft(block)
	t.Logf("blocked: answers within %v", mustEcho(a, b, c, 2*time.Second))
	if a.node.Reaches(b.node.Key()) {
		t.Error("a way that is blocked is used")
	}
	w.net.nft("delete table ip blocked\n")
	took, ok := direct(a, b, 2*patience)
	if !ok {
		t.Fatalf("not direct again after %v", took)
	}
	t.Logf("direct again after %v", took)
	mustEcho(a, b, c, time.Second)
}

// A router that reboots and has another address then breaks every way. The conversation
// goes on when the sessions have found to their new address, and directly at last.
func TestNATReboots(t *testing.T) {
	needs(t)
	t.Parallel()
	_, sites, a, b, c := homes(t, func(*site) {})
	for i := range sites {
		sites[i].reboots()
		t.Logf("the router of end %d has rebooted: answers within %v", i, mustEcho(a, b, c, 2*time.Second))
		took, ok := direct(a, b, 2*patience)
		if !ok {
			t.Fatalf("not direct again after %v", took)
		}
		t.Logf("direct again after %v", took)
		mustEcho(a, b, c, time.Second)
	}
}

// Two hosts in one LAN, and two nodes on one host, are direct, though their router does not
// send back what is for itself.
func TestShortWay(t *testing.T) {
	needs(t)
	t.Parallel()
	w := newWorld(t)
	s := w.net.site("h", 1)
	home(t).rules(s)
	near := w.net.neighbour(s, "near")
	a, b := w.start(s.host, "a", nil), w.start(near, "b", nil)
	w.talk(a, b)
	same := w.start(s.host, "same", at(":4042"))
	w.talk(a, same)
	w.talk(b, same)
}
