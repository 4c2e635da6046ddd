package core

import (
	"testing"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/slots"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// TestTicket: a node that was attached is known again, by its own ticket at the supernode
// that gave it, and by nobody else's.
func TestTicket(t *testing.T) {
	l, h, super := settledLab(t, 20)
	node, sn := l.host(h), l.host(super)
	mark := node.node.tickets.of(super)
	if mark == 0 {
		t.Fatal("an attachment brought no ticket")
	}
	s := step{n: &sn.node, env: &sn.env, p: &l.policy, now: l.now, in: &Input{Origin: 5}, out: &sn.out}
	id := labBook{}.ID(h)
	for name, c := range map[string]struct {
		probe wire.Probe
		want  slots.Class
	}{
		"its own":        {wire.Probe{Class: wire.ClassTicket, Ticket: mark, ID: id}, slots.Ticket},
		"another's":      {wire.Probe{Class: wire.ClassTicket, Ticket: mark, ID: id + 1}, slots.Orphan},
		"a forged one":   {wire.Probe{Class: wire.ClassTicket, Ticket: mark ^ 2, ID: id}, slots.Orphan},
		"not asked with": {wire.Probe{Class: wire.ClassSecond, Ticket: mark, ID: id}, slots.Second},
	} {
		if q := s.request(&c.probe); q.Class != c.want {
			t.Errorf("%s counts as class %d, want %d", name, q.Class, c.want)
		}
	}
	// It comes back with what was on disk: it shows the ticket, and is served.
	asked := false
	l.lose = func(from, _ ident.Handle, b []byte) bool {
		var m wire.Probe
		asked = asked || from == h && m.Parse(b, labBook{}) == nil && m.Class == wire.ClassTicket
		return false
	}
	l.reboot(h, vtime.Second)
	l.run(20 * vtime.Second)
	if up, attached, _ := l.census(); !asked || up != attached {
		t.Errorf("ticket shown: %v, %d of %d attached", asked, attached, up)
	}
}

func TestTicketsKeepTheLatest(t *testing.T) {
	var k Tickets
	for i := range ident.Handle(MaxTickets + 2) {
		k.keep(Ticket{Peer: i + 1, Mark: uint32(i) + 10})
	}
	k.keep(Ticket{Peer: 4, Mark: 99})
	if k[0] != (Ticket{4, 99}) || k.of(1) != 0 || k.of(2) != 0 || k.of(6) != 15 {
		t.Errorf("tickets are %v", k)
	}
}
