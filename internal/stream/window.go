package stream

import (
	"sync"

	"github.com/quic-go/quic-go"
)

// windows shares out the endpoint's windowBudget: what the receive windows of all links
// together may grow beyond their start. A link that gets nothing keeps its window and
// is only slower.
type windows struct {
	mu      sync.Mutex
	granted map[*quic.Conn]uint64
	total   uint64
}

// allow is quic-go's AllowConnectionWindowIncrease. Only the connection's own run loop
// calls it, so never after release.
func (w *windows) allow(conn *quic.Conn, delta uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.total+delta > windowBudget {
		return false
	}
	w.granted[conn] += delta
	w.total += delta
	return true
}

// release gives back what a closed connection held.
func (w *windows) release(conn *quic.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.total -= w.granted[conn]
	delete(w.granted, conn)
}
