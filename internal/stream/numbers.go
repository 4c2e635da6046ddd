package stream

import (
	"encoding/binary"
	"sync/atomic"
)

// The datagrams of a link are numbered, so that their receiver knows how many were lost:
// the number is the last 4 bytes of a frame, and given when QUIC takes it. Of what is lost
// last nobody knows before another one comes.
const numberSize = 4

// maxJump is how many datagrams may be missing in a row, 20 s at 50 MB/s: a peer that
// jumps farther makes them up.
const maxJump = 1 << 20

// numbers is what is known of the datagrams that come on a link.
type numbers struct {
	last    uint32 // the highest number that came
	missing uint64 // how many below it did not
}

// cut takes the number off a frame and counts in lost, and reports whether it can be one.
func (n *numbers) cut(frame []byte, lost *atomic.Uint64) (rest []byte, ok bool) {
	if len(frame) < numberSize {
		return nil, false
	}
	at := len(frame) - numberSize
	number := binary.BigEndian.Uint32(frame[at:])
	switch ahead := number - n.last; { // numbers wrap around
	case ahead == 0:
		return nil, false
	case ahead <= maxJump:
		n.missing += uint64(ahead - 1)
		lost.Add(uint64(ahead - 1))
		n.last = number
	case -ahead < maxJump && n.missing > 0: // it was late
		n.missing--
		lost.Add(^uint64(0))
	default:
		return nil, false
	}
	return frame[:at], true
}

// appendNumber ends a frame.
func appendNumber(frame []byte, number uint32) []byte {
	return binary.BigEndian.AppendUint32(frame, number)
}
