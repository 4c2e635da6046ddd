package path

import (
	"encoding/binary"
	"time"
)

// recentSize is how many of the last packets to a peer are kept, to be sent once more on
// another way: 0.6 s of voice at 50 a second, the longest silence before a doubt; of a bulk
// transfer what lets QUIC see at once which packets were lost. 32 x 1.5 KiB = 48 KiB for a
// peer with traffic.
const recentSize = 32

// recent holds the last packets that were sent to a peer, each until nobody can miss it.
type recent struct {
	ring [recentSize]struct {
		b  *Buffer
		at time.Duration
	}
	next, n int
}

// push keeps b, and frees the oldest when there are too many.
func (r *recent) push(b *Buffer, now time.Duration) {
	x := &r.ring[r.next]
	if x.b != nil {
		x.b.Free()
	} else {
		r.n++
	}
	x.b, x.at = b, now
	r.next = (r.next + 1) % recentSize
}

// drop frees what was sent before t.
func (r *recent) drop(t time.Duration) {
	for r.n > 0 {
		x := &r.ring[(r.next-r.n+recentSize)%recentSize]
		if x.at >= t {
			return
		}
		x.b.Free()
		x.b = nil
		r.n--
	}
}

// each calls send for every packet sent at t or later, oldest first.
func (r *recent) each(t time.Duration, send func(*Buffer)) {
	for i := r.n; i > 0; i-- {
		if x := &r.ring[(r.next-i+recentSize)%recentSize]; x.at >= t {
			send(x.b)
		}
	}
}

// readdress puts a packed packet on another channel.
func (b *Buffer) readdress(channel uint64) { binary.BigEndian.PutUint64(b.data[1:], channel) }
