package runtime

import (
	"net/netip"
	"sync"

	"github.com/ada420b6/overlay/internal/ident"
)

// askedSize is how many plain messages are remembered: 8 probes are a round, and an
// answer comes within 3 s; a supernode's dial-backs are answered by nobody.
const askedSize = 32

// asked remembers who was written to at which address outside of a session. The loop
// learns from it whose answer a plain message is. The reader learns that it is one: an
// orphan's answers must not wait, or be dropped, among what strangers send.
type asked struct {
	mu   sync.Mutex
	ring [askedSize]struct {
		at netip.AddrPort
		h  ident.Handle
	}
	next int
}

func (a *asked) note(h ident.Handle, at netip.AddrPort) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ring[a.next].at, a.ring[a.next].h = at, h
	a.next = (a.next + 1) % askedSize
}

// who returns the peer that was last written to at an address, None when nobody was.
func (a *asked) who(at netip.AddrPort) ident.Handle {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.ring {
		if x := &a.ring[(a.next-1-i+2*askedSize)%askedSize]; x.h != ident.None && x.at == at {
			return x.h
		}
	}
	return ident.None
}

func (a *asked) refer(mark func(ident.Handle)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.ring {
		mark(a.ring[i].h)
	}
}
