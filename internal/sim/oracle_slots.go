package sim

import (
	"maps"
	"slices"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// offers watches R5: a promised slot is kept. Whoever comes with an offer in its time is
// answered within the patience of the policy, and not told that the slot is no good.
type offers struct {
	given   map[promise]given
	order   []promise // as given, to forget the oldest
	owed    map[claim]owed
	waiting []claim // by when the answer is due
}

// promise is an offer as its receiver will present it.
type promise struct {
	super, node uint32
	slot        uint32
	cookie      uint64
}

type given struct {
	at   vtime.Time // the slot
	boot uint32     // of the supernode: a reboot breaks its promises
}

// claim is an attach that waits for its answer.
type claim struct {
	super, node uint32
	nonce       uint64
}

type owed struct {
	until vtime.Time
	slot  vtime.Time
	boot  uint32
}

// maxOffers bounds the offers that are remembered: 60 s of horizon x 20 a second x 800
// supernodes. Beyond, the oldest are forgotten and not checked.
const maxOffers = 1 << 20

func (o *offers) init() {
	o.given = make(map[promise]given)
	o.owed = make(map[claim]owed)
}

// promise notes an offer of a slot.
func (o *offers) promise(x *oracle, super uint32, to ident.Handle, m *wire.Offer) {
	if m.Status != wire.OfferSlot {
		return
	}
	p := promise{super, index(ident.Handle(uint32(to) << 1 >> 1)), m.Slot, m.Cookie}
	if len(o.order) == maxOffers {
		delete(o.given, o.order[0])
		o.order = o.order[1:]
	}
	o.given[p] = given{x.s.now.Add(m.Wait), x.s.hosts[super].boots}
	o.order = append(o.order, p)
}

// redeem notes an attach; in time means from the slot until the policy's SlotGrace after it.
func (o *offers) redeem(x *oracle, super uint32, from ident.Handle, m *wire.Attach) {
	node, now := index(from), x.s.now
	p := promise{super, node, m.Slot, m.Cookie}
	g, ok := o.given[p]
	if !ok || g.boot != x.s.hosts[super].boots || x.host[super].leaving {
		return
	}
	if now < g.at || now > g.at.Add(x.s.cfg.Policy.SlotGrace) {
		return
	}
	c := claim{super, node, m.Nonce}
	if _, ok := o.owed[c]; ok {
		return
	}
	o.owed[c] = owed{now.Add(x.s.cfg.Policy.Patience), g.at, g.boot}
	o.waiting = append(o.waiting, c)
	// A slot is good once: a copy that comes when the node has gone again is answered,
	// but it may be refused.
	delete(o.given, p)
}

// answer notes an Accept or a Refuse.
func (o *offers) answer(x *oracle, super uint32, to ident.Handle, nonce uint64, yes bool, why wire.Refusal) {
	c := claim{super, index(to), nonce}
	w, ok := o.owed[c]
	if !ok {
		return
	}
	delete(o.owed, c)
	if !yes && why == wire.RefusedSlot {
		x.s.violated("R5", super, "told node %d that its slot is no good, %.3f s after the slot", x.s.number(c.node), x.s.now.Sub(w.slot).Seconds())
	}
}

// overdue looks at the claims whose time is over: they are in the order of arrival, so
// in the order of their ends.
func (o *offers) overdue(x *oracle) {
	for len(o.waiting) > 0 {
		c := o.waiting[0]
		w, ok := o.owed[c]
		if ok && x.s.now <= w.until {
			return
		}
		o.waiting = o.waiting[1:]
		if !ok {
			continue
		}
		delete(o.owed, c)
		if h := &x.s.hosts[c.super]; h.is(hostUp) && h.boots == w.boot {
			x.s.violated("R5", c.super, "node %d came in its slot and was not answered for %.1f s", x.s.number(c.node), x.s.cfg.Policy.Patience.Seconds())
		}
	}
}

// holding watches R7: it is whom each supernode has accepted, and whether they were
// told that it is going. At most the policy's slots of each supernode are entries.
type holding map[uint32]map[uint32]farewell

type farewell struct {
	said       bool
	alternates int
}

func (t holding) accept(super uint32, node ident.Handle) {
	if t[super] == nil {
		t[super] = make(map[uint32]farewell)
	}
	t[super][index(node)] = farewell{}
}

func (t holding) goodbye(super uint32, node ident.Handle, alternates int) {
	if f, ok := t[super][index(node)]; ok {
		t[super][index(node)] = farewell{true, max(f.alternates, alternates)}
	}
}

// placed checks a supernode that steps down or leaves: every node that is still
// attached to it knows, and was told where to go if there is anywhere to go.
func (t holding) placed(x *oracle, super uint32) {
	s := x.s
	for _, node := range slices.Sorted(maps.Keys(t[super])) {
		if !s.hosts[node].is(hostUp) || node == super {
			continue
		}
		at := s.look(node).at
		if at[0] != handle(super) && at[1] != handle(super) {
			continue
		}
		switch f := t[super][node]; {
		case !f.said:
			s.violated("R7", super, "went without a goodbye to node %d, which is attached to it", s.number(node))
		case f.alternates == 0 && x.elsewhere(super):
			s.violated("R7", super, "said goodbye to node %d without naming anybody to go to", s.number(node))
		}
	}
	delete(t, super)
}

// settledIn is how long after its beginning or the end of a partition a supernode must
// be known to the others: two rounds of anti-entropy.
const settledIn = vtime.Minute

// elsewhere reports whether a supernode that goes must have known of another one that
// stays.
func (x *oracle) elsewhere(super uint32) bool {
	s := x.s
	if s.net.cut != nil || s.now.Sub(s.net.mended) < settledIn || s.now.Sub(x.host[super].promoted) < settledIn {
		return false
	}
	for i := range uint32(s.added) {
		w := &x.host[i]
		if i != super && s.hosts[i].is(hostServing) && !w.leaving && s.now.Sub(w.promoted) >= settledIn {
			return true
		}
	}
	return false
}
