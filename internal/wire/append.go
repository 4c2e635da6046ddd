package wire

import (
	"encoding/binary"

	"github.com/ada420b6/overlay/internal/vtime"
)

func header(b []byte, k Kind) []byte { return append(b, Version, byte(k)) }

func u16(b []byte, v uint16) []byte { return binary.BigEndian.AppendUint16(b, v) }
func u32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }
func u64(b []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(b, v) }

func flag(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// wait writes d in milliseconds, rounded up, saturating at 49 days.
func wait(b []byte, d vtime.Duration) []byte {
	const most = (1<<32 - 1) * vtime.Millisecond
	d = min(max(d, 0), most) // before rounding up, which would overflow near the end of int64
	return u32(b, uint32((d+vtime.Millisecond-1)/vtime.Millisecond))
}

func appendText(b, text []byte) []byte {
	if len(text) > MaxText {
		text = text[:MaxText]
	}
	return append(append(b, byte(len(text))), text...)
}
