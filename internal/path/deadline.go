package path

import (
	"sync"
	"time"
)

// deadline is a moment that can be moved while somebody waits for it.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	over  chan struct{} // closed when the moment has passed; replaced when it moves
}

func newDeadline() *deadline { return &deadline{over: make(chan struct{})} }

// set moves the deadline to t; the zero time is never.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.over // the timer runs: it closes the channel that is about to be replaced
	}
	d.timer = nil
	select {
	case <-d.over:
		d.over = make(chan struct{})
	default:
	}
	if t.IsZero() {
		return
	}
	if left := time.Until(t); left > 0 {
		over := d.over
		d.timer = time.AfterFunc(left, func() { close(over) })
		return
	}
	close(d.over)
}

// passed returns a channel that is closed when the deadline has passed.
func (d *deadline) passed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.over
}

// stop lets no timer outlive the owner.
func (d *deadline) stop() { d.set(time.Time{}) }
