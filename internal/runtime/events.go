package runtime

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/ada420b6/overlay/internal/ident"
)

// EventKind says what happened to a node.
type EventKind uint8

// The events.
const (
	EventAttached  EventKind = iota // an attachment to Peer stands; Count says how many do
	EventDetached                   // the attachment to Peer is gone; Count says how many are left
	EventPromoted                   // the node is a supernode now
	EventDemoted                    // the node is an ordinary node again
	EventStorm                      // the storm level is now Count
	EventCertified                  // a certificate came
	EventDenied                     // the login server said no: Err
	EventDamaged                    // a file of the state directory was damaged: Err
	EventUnsaved                    // the state can't be kept any more: Err
)

var eventNames = [...]string{
	"attached", "detached", "promoted", "demoted", "storm", "certified", "denied", "state damaged", "state unsaved",
}

// String returns the event's name.
func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return "unknown"
}

// Event is one thing that happened to a node.
type Event struct {
	Time  time.Time
	Kind  EventKind
	Peer  ident.Key
	Count int
	Err   error
}

const (
	// eventQueue bounds what waits for one subscriber: a node has a few events a minute,
	// a supernode that is promoted in a storm a dozen. The oldest are dropped.
	eventQueue = 64
	// maxSubscribers bounds the subscribers: 256 x 64 x 88 B = 1.4 MB.
	maxSubscribers = 256
)

// events hands events to whoever subscribed. The zero value has no subscribers.
type events struct {
	mu     sync.Mutex
	to     map[*Subscription]struct{}
	first  []Event // what happened before anybody could subscribe: one per damaged file
	closed bool
}

// Subscription receives a node's events from the moment it was made, after those of the
// start itself: EventDamaged.
type Subscription struct {
	from *events
	wake chan struct{}

	mu      sync.Mutex
	queue   []Event
	dropped uint64
	closed  bool
}

// subscribe returns a subscription; one that is closed already when there are too many
// or the node is closed.
func (e *events) subscribe() *Subscription {
	s := &Subscription{from: e, wake: make(chan struct{}, 1)}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ev := range e.first {
		s.put(ev)
	}
	if e.closed || len(e.to) >= maxSubscribers {
		s.closed = true
		return s
	}
	if e.to == nil {
		e.to = make(map[*Subscription]struct{})
	}
	e.to[s] = struct{}{}
	return s
}

// begin notes what happened before the node was up: every subscription begins with it.
func (e *events) begin(ev Event) {
	ev.Time = time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.first = append(e.first, ev)
}

// emit hands ev to every subscriber, and never waits for one.
func (e *events) emit(ev Event) {
	ev.Time = time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	for s := range e.to {
		s.put(ev)
	}
}

func (e *events) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for s := range e.to {
		s.end()
	}
	e.to = nil
}

func (s *Subscription) put(ev Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == eventQueue {
		s.dropped++
		s.queue = s.queue[:copy(s.queue, s.queue[1:])]
	}
	s.queue = append(s.queue, ev)
	s.signal()
}

func (s *Subscription) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Subscription) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.signal()
}

// Next returns the next event. It returns ctx.Err(), or net.ErrClosed when the node or
// the subscription is closed and everything was read.
func (s *Subscription) Next(ctx context.Context) (Event, error) {
	for {
		s.mu.Lock()
		if len(s.queue) > 0 {
			ev := s.queue[0]
			s.queue = s.queue[:copy(s.queue, s.queue[1:])]
			if len(s.queue) > 0 {
				s.signal()
			}
			s.mu.Unlock()
			return ev, nil
		}
		closed := s.closed
		if closed {
			s.signal() // for whoever else waits
		}
		s.mu.Unlock()
		if closed {
			return Event{}, net.ErrClosed
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return Event{}, ctx.Err()
		}
	}
}

// Dropped returns how many events were dropped because nobody read them.
func (s *Subscription) Dropped() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped
}

// Close ends the subscription.
func (s *Subscription) Close() {
	s.from.mu.Lock()
	delete(s.from.to, s)
	s.from.mu.Unlock()
	s.end()
}
