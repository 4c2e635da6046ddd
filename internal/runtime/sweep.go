package runtime

import "github.com/ada420b6/overlay/internal/ident"

// Strangers can have entries made: a message may name 32 peers that nobody has heard
// of. What nothing refers to is swept out when there are more than twice as many
// entries as were in use at the last sweep, plus sweepSlack: a sweep is then paid for
// by at least as many new entries, and garbage is at most half of the book, or 1.5 MiB
// (1024 entries of at most 1.5 KiB).
const sweepSlack = 1024

// slack is sweepSlack; a test sweeps after every step, to see that nothing is forgotten
// that somebody refers to.
var slack = sweepSlack

// crowded reports whether it is time for a sweep.
func (k *Book) crowded() bool { return k.size() > 2*k.inUse+slack }

// sweep forgets every entry that refer does not mark, and that is not this node's own or
// a login server's. It must not run during a Step.
func (k *Book) sweep(refer func(mark func(ident.Handle))) {
	marked := make([]bool, len(k.entries))
	mark := func(h ident.Handle) {
		if h != ident.None && !h.Transient() {
			marked[h] = true
		}
	}
	mark(k.self)
	refer(mark)
	for h := 1; h < len(k.entries); h++ {
		if e := &k.entries[h]; e.used && !marked[h] && !e.login {
			k.forget(ident.Handle(h))
		}
	}
	k.inUse = k.size()
}

// forget frees an entry.
func (k *Book) forget(h ident.Handle) {
	e := &k.entries[h]
	if k.byKey[e.key] == h {
		delete(k.byKey, e.key)
	}
	if k.byID[e.id] == h {
		delete(k.byID, e.id)
	}
	*e = entry{}
	k.free = append(k.free, h)
	k.n.Swept++
}
