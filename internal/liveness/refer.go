package liveness

import "github.com/ada420b6/overlay/internal/ident"

// Refer calls mark for every handle that a probe or a relayed ping under way refers to.
func (p *Prober) Refer(mark func(ident.Handle)) {
	for i := range p.probes {
		mark(p.probes[i].target)
		for _, h := range p.probes[i].via {
			mark(h)
		}
	}
	for _, r := range p.relays[:p.relayed] {
		mark(r.origin)
		mark(r.target)
	}
}
