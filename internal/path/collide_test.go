package path

import (
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ada420b6/overlay/internal/ident"
)

// A peer that offers the number of somebody else's channel for its direct way, as one could
// that is in league with the relay, takes nothing of that.
func TestOfferedChannelIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig()
		defer r.Close()
		r.own = func() []netip.AddrPort { return nil }
		honest := ident.Key{11}
		r.Open(honest, Route{Channel: 77, Via: eve, Addr: relay2})
		h := newHostile(r, ident.Key{10}, 100)
		defer h.Close()
		h.offers(kindOffer, 77, nowhere)
		<-time.After(answerEvery)
		synctest.Wait()
		p := r.peers[h.key]
		p.mu.Lock()
		var token uint64
		if a := p.attempt; a != nil && len(a.trials) > 0 {
			token = a.trials[0].token
		}
		p.mu.Unlock()
		h.punches(kindProven, 77, 9, token, nowhere)
		synctest.Wait()
		if w := r.channels[77]; w == nil || w.to.key != honest {
			t.Error("the channel of another peer leads to who named its number")
		}
	})
}

// A relay may tell of a channel several times, while its way is in use. The race detector
// looks on.
func TestOpenAgainInUse(t *testing.T) {
	r := newRig()
	defer r.Close()
	r.own = func() []netip.AddrPort { return nil }
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 200 {
				if i%2 == 0 {
					r.Open(bob, Route{Channel: 7, Via: eve, Addr: relay1})
				} else {
					p := r.peer(bob)
					p.mu.Lock()
					r.look(p, r.now()) // as each attempt at a direct way does
					p.mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if ok, _ := r.Has(bob); !ok {
		t.Error("no way")
	}
}
