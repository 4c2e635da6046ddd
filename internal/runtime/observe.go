package runtime

import "net/netip"

// witnesses is how many of the latest observers are remembered.
const witnesses = 8

// observer gathers what others say of the address under which this node is seen. Only an
// answer that this node awaits is a witness: what comes unasked costs a liar nothing but
// as many source addresses as there are witnesses. One peer can still lie: an address counts when most of the last observers, one per address
// group, name it, and there are two at least; in a network that is all one group, when
// most of the last observers do.
type observer struct {
	seen [witnesses]observation
	next int
}

type observation struct {
	by   netip.Addr
	what netip.AddrPort
}

// note is add, unless nothing was seen.
func (o *observer) note(by netip.Addr, what netip.AddrPort) (agreed netip.AddrPort, ok bool) {
	if !what.IsValid() {
		return agreed, false
	}
	return o.add(by, what)
}

// add notes that by sees this node at what, and returns the address that most agree on.
func (o *observer) add(by netip.Addr, what netip.AddrPort) (agreed netip.AddrPort, ok bool) {
	at := -1
	for i := range o.seen {
		if o.seen[i].by.IsValid() && sameObserver(o.seen[i].by, by) {
			at = i
		}
	}
	if at < 0 {
		at = o.next
		o.next = (o.next + 1) % witnesses
	}
	o.seen[at] = observation{by, what}
	return o.agreed()
}

// sameObserver reports whether two addresses count as one witness: in one group, or,
// where groups say nothing, on one machine.
func sameObserver(a, b netip.Addr) bool {
	ga, gb := groupOf(netip.AddrPortFrom(a, 1)), groupOf(netip.AddrPortFrom(b, 1))
	if ga == 0 && gb == 0 {
		return a == b
	}
	return ga == gb
}

func (o *observer) agreed() (netip.AddrPort, bool) {
	total, best := 0, 0
	var what netip.AddrPort
	for i := range o.seen {
		if !o.seen[i].by.IsValid() {
			continue
		}
		total++
		votes := 0
		for j := range o.seen {
			if o.seen[j].by.IsValid() && o.seen[j].what == o.seen[i].what {
				votes++
			}
		}
		if votes > best {
			best, what = votes, o.seen[i].what
		}
	}
	return what, best >= 2 && 2*best > total
}
