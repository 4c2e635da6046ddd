package runtime

import (
	"context"
	"sync"
)

// standing is whether the node can be found, for those who wait for it.
type standing struct {
	mu       sync.Mutex
	attached bool
	denied   error // what the login server said last, nil once it gave a certificate
	err      error // the node is closed
	changed  chan struct{}
}

// update changes it and wakes everybody.
func (s *standing) update(change func(*standing)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
	close(s.changed)
	s.changed = make(chan struct{})
}

// WaitAttached returns nil when the node is attached: it can be found and called. It
// returns ctx.Err(), net.ErrClosed, or what the login server said when the node has no
// certificate and gets none: a *NameTakenError, a *RefusedError, ErrInvalid.
func (n *Node) WaitAttached(ctx context.Context) error {
	s := &n.standing
	for {
		s.mu.Lock()
		attached, denied, err, changed := s.attached, s.denied, s.err, s.changed
		s.mu.Unlock()
		switch {
		case err != nil:
			return err
		case attached:
			return nil
		case denied != nil:
			return denied
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Lacks says in words what a node that is not attached waits for.
func (n *Node) Lacks() string {
	if n.certificate.Load() == nil && !n.config.Contribute {
		return "no login server has given a certificate"
	}
	return "no supernode has attached it"
}

// Attached reports whether the node can be found and called now.
func (n *Node) Attached() bool {
	n.standing.mu.Lock()
	defer n.standing.mu.Unlock()
	return n.standing.attached
}
