package runtime

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
)

// ErrTooMany means that the node watches as many names as it may.
var ErrTooMany = errors.New("the most that a node watches")

// Presence is what is known of a watched name. Err says why it can't be watched.
type Presence struct {
	Name  string
	State core.Presence
	Err   error
}

// watched is a name that somebody watches. It belongs to the loop.
type watched struct {
	state core.Presence
	by    []*Watch
}

// Watch tells what changes of some names. A reader that falls behind gets the newest state
// of each name, and none that it has been told already.
type Watch struct {
	node  *Node
	names []string // that it watches, from when it was made
	wake  chan struct{}
	once  sync.Once

	mu     sync.Mutex
	queue  []Presence // one for each name at most
	told   map[string]core.Presence
	closed bool
}

// Watch begins to watch names. The first that it tells is how each of them stands, as soon
// as that is known.
func (n *Node) Watch(names []string) *Watch {
	w := &Watch{node: n, wake: make(chan struct{}, 1), told: make(map[string]core.Presence)}
	seen := make(map[string]bool)
	for _, name := range names {
		if seen[name] {
			continue
		}
		seen[name] = true
		if err := ident.CheckName(name); err != nil {
			w.put(Presence{Name: name, Err: err})
			continue
		}
		w.names = append(w.names, name)
	}
	n.loop.post(func() { n.watch(w) })
	return w
}

// watch enters a Watch.
func (n *Node) watch(w *Watch) {
	for _, name := range w.names {
		x := n.watches[name]
		if x == nil && len(n.watches) == core.MaxWatched {
			w.put(Presence{Name: name, Err: fmt.Errorf("%w is %d", ErrTooMany, core.MaxWatched)})
			continue
		}
		if x == nil {
			x = &watched{}
			n.watches[name] = x
			n.watchedNames[ident.HashName(name)] = name
			x.by = append(x.by, w)
			n.loop.step(&core.Input{Kind: core.InputWatch, Name: ident.HashName(name)})
			continue
		}
		x.by = append(x.by, w)
		if x.state != core.PresenceNone {
			w.put(Presence{Name: name, State: x.state})
		}
	}
}

// unwatch takes it out.
func (n *Node) unwatch(w *Watch) {
	for _, name := range w.names {
		x := n.watches[name]
		if x == nil {
			continue
		}
		for i := len(x.by) - 1; i >= 0; i-- {
			if x.by[i] == w {
				x.by = append(x.by[:i], x.by[i+1:]...)
			}
		}
		if len(x.by) == 0 {
			delete(n.watches, name)
			delete(n.watchedNames, ident.HashName(name))
			n.loop.step(&core.Input{Kind: core.InputUnwatch, Name: ident.HashName(name)})
		}
	}
}

// presence takes what the machine says of a name.
func (n *Node) presence(f *core.Effect) {
	name := n.watchedNames[f.Record.Name]
	x := n.watches[name]
	if x == nil {
		return
	}
	x.state = core.Presence(f.Status)
	for _, w := range x.by {
		w.put(Presence{Name: name, State: x.state})
	}
}

// put lets a reader know, in the place of what it has not read of the name.
func (w *Watch) put(p Presence) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.queue {
		if w.queue[i].Name == p.Name {
			w.queue = append(w.queue[:i], w.queue[i+1:]...)
			break
		}
	}
	if p.Err == nil && w.told[p.Name] == p.State {
		return
	}
	w.queue = append(w.queue, p)
	w.signal()
}

func (w *Watch) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Next returns what has changed next. It returns ctx.Err(), or net.ErrClosed when the node
// or the Watch is closed.
func (w *Watch) Next(ctx context.Context) (Presence, error) {
	for {
		w.mu.Lock()
		if !w.closed && len(w.queue) > 0 {
			p := w.queue[0]
			w.queue = append(w.queue[:0], w.queue[1:]...)
			w.told[p.Name] = p.State
			w.mu.Unlock()
			return p, nil
		}
		closed := w.closed
		w.mu.Unlock()
		if closed {
			return Presence{}, net.ErrClosed
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return Presence{}, ctx.Err()
		case <-w.node.loop.closing:
			return Presence{}, net.ErrClosed
		}
	}
}

// Close ends it.
func (w *Watch) Close() {
	w.once.Do(func() {
		w.mu.Lock()
		w.closed = true
		w.signal()
		w.mu.Unlock()
		w.node.loop.post(func() { w.node.unwatch(w) })
	})
}
