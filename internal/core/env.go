package core

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/wire"
)

// Book is what the driver knows about handles: their form on the wire, and the facts
// that the protocol decides by.
type Book interface {
	wire.Book
	// ID returns the hash of h's key: the order of the roster.
	ID(h ident.Handle) ident.ID
	// Group returns h's address group, 0 when it has none that says anything (the
	// loopback, an unknown address).
	Group(h ident.Handle) ident.Group
	// Slots returns how many normal slots h offers, as its own signed record says.
	Slots(h ident.Handle) uint32
}

// Env is what a machine is given for one Step: what it may look at and the memory
// that it is lent. The driver owns all of it.
type Env struct {
	Policy *Policy
	Book   Book
	Logins []ident.Handle // the login servers, in the order of the invite

	// Cache is the host cache's memory: its length is its capacity. The core reads
	// and writes it; the driver keeps it on disk when an effect asks for that.
	Cache []CacheEntry

	// Super is the supernode's state, nil while the node is ordinary. The core sets
	// it on promotion and clears it on demotion; the driver carries it to the next
	// Step.
	Super *Supernode

	// Calls is what the application has asked for and not got yet, nil when there is
	// nothing. It is carried like Super.
	Calls *Calls

	// Watching is the names that the node watches, nil when it watches nobody. It is
	// carried like Super.
	Watching *Watching
}
