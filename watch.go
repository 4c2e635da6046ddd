package overlay

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/ada420b6/overlay/internal/core"
)

// MaxWatched is how many names one node watches at most, all calls of Watch together.
const MaxWatched = core.MaxWatched

// PresenceState is whether the node of a name is there.
type PresenceState uint8

// The states. A peer that goes away is told apart from a network that does: the one is
// PresenceOffline, the other PresenceUnknown.
const (
	PresenceUnknown PresenceState = iota // this node is not attached itself, so it can't know
	PresenceOffline                      // no node of that name is attached
	PresenceOnline                       // it is attached: it can be found and called
)

var presenceNames = [...]string{"unknown", "offline", "online"}

// String returns the state in a word.
func (s PresenceState) String() string {
	if int(s) < len(presenceNames) {
		return presenceNames[s]
	}
	return "invalid"
}

// Presence is what has become known of a watched name.
type Presence struct {
	Name  string
	State PresenceState
	Time  time.Time // when this node heard of it
	// Err says why the name can't be watched: it is none, there are MaxWatched already
	// (ErrWatchLimit), or this node is contribute-only. Such a name is yielded once.
	Err error
}

// Watch yields whether the nodes of the given names are there: each of them once, as soon
// as it is known, and then whenever it changes, until ctx ends or the node is closed. Watching
// begins with the call. A reader that falls behind gets the newest state of each name.
//
// That a node has attached is told within 5 s, mostly in one; that it has left, likewise,
// or 4 to 6 s after it when it served as a supernode, since such a one may only step down;
// that it died without a word, within 30 s, by when its supernodes have noticed (a minute
// longer in an emergency in which it holds a thin place). It is a hint, not a proof: it is
// the word of supernodes, and who is online may have gone when it is called. It goes on
// whoever of them dies. 100 names cost at most 30 packets a minute in the worst storm, in
// which changes are told together and later, and nothing at rest. Anybody in the network
// can watch any name, as anybody can look one up.
func (n *Node) Watch(ctx context.Context, names ...string) iter.Seq[Presence] {
	if n.contribute {
		return func(yield func(Presence) bool) {
			for _, name := range names {
				if !yield(Presence{Name: name, Time: time.Now(), Err: fmt.Errorf("overlay: watch %q: %w", name, ErrContributeOnly)}) {
					return
				}
			}
		}
	}
	w := n.runtime.Watch(names)
	stop := context.AfterFunc(ctx, w.Close) // also when nobody ranges over it
	return func(yield func(Presence) bool) {
		defer w.Close()
		defer stop() // or ctx keeps w for as long as it lives
		for {
			p, err := w.Next(ctx)
			if err != nil {
				return
			}
			out := Presence{Name: p.Name, Time: time.Now()}
			switch p.State {
			case core.PresenceGone:
				out.State = PresenceOffline
			case core.PresenceHere:
				out.State = PresenceOnline
			}
			if p.Err != nil {
				out.Err = fmt.Errorf("overlay: watch %q: %w", p.Name, publicError(p.Err))
			}
			if !yield(out) {
				return
			}
		}
	}
}
