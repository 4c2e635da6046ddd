package stream

import (
	"net"
	"os"
	"sync"
	"time"
)

// message is a datagram that waits for the application.
type message struct {
	payload []byte
	from    net.Addr // an Addr
}

// inbox is the bounded queue of received datagrams of one conn, with read deadlines.
// What does not fit is dropped: the newest, as a UDP socket does.
type inbox struct {
	queue chan message
	done  chan struct{} // closed by close

	mu       sync.Mutex
	isClosed bool
	expired  chan struct{} // closed when the deadline has passed; replaced by a later one
	deadline *time.Timer
}

func newInbox(size int) *inbox {
	return &inbox{
		queue:   make(chan message, size),
		done:    make(chan struct{}),
		expired: make(chan struct{}),
	}
}

// put reports whether there was room for m.
func (i *inbox) put(m message) bool {
	select {
	case i.queue <- m:
		return true
	default:
		return false
	}
}

// get waits for a message, the deadline or close.
func (i *inbox) get() (message, error) {
	i.mu.Lock()
	expired := i.expired
	i.mu.Unlock()
	// A deadline that has passed and a closed conn win over waiting messages, as they
	// do on a UDP socket; select alone would draw lots.
	select {
	case <-i.done:
		return message{}, net.ErrClosed
	case <-expired:
		return message{}, os.ErrDeadlineExceeded
	default:
	}
	select {
	case m := <-i.queue:
		return m, nil
	case <-i.done:
		return message{}, net.ErrClosed
	case <-expired:
		return message{}, os.ErrDeadlineExceeded
	}
}

// setDeadline sets the deadline of get, also for calls under way.
func (i *inbox) setDeadline(t time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.deadline != nil {
		i.deadline.Stop()
		i.deadline = nil
	}
	passed := false
	select {
	case <-i.expired:
		passed = true
	default:
	}
	wait := time.Until(t)
	switch {
	case !t.IsZero() && wait <= 0:
		if !passed {
			close(i.expired)
		}
		return
	case passed:
		i.expired = make(chan struct{})
	}
	if t.IsZero() || i.isClosed {
		return
	}
	// A timer that fires while it is being replaced must not end the next deadline.
	var timer *time.Timer
	timer = time.AfterFunc(wait, func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.deadline == timer {
			close(i.expired)
			i.deadline = nil
		}
	})
	i.deadline = timer
}

// close ends get for ever. It reports false if that has been done before.
func (i *inbox) close() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.isClosed {
		return false
	}
	i.isClosed = true
	close(i.done)
	if i.deadline != nil {
		i.deadline.Stop()
		i.deadline = nil
	}
	return true
}
