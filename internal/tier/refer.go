package tier

import "github.com/ada420b6/overlay/internal/ident"

// Refer calls mark for every handle whose load is remembered.
func (s *Sampler) Refer(mark func(ident.Handle)) {
	for i := range s.n {
		mark(s.ring[i].peer)
	}
}
