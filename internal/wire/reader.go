package wire

import (
	"encoding/binary"

	"github.com/ada420b6/overlay/internal/vtime"
)

// reader takes fields from the front of a message. After the first failure it
// returns zeros, so that a Parse checks once, at its end.
type reader struct {
	b   []byte
	err error
}

func read(b []byte, k Kind) reader {
	switch {
	case len(b) < 2:
		return reader{err: ErrShort}
	case b[0] != Version:
		return reader{err: ErrVersion}
	case Kind(b[1]) != k:
		return reader{err: ErrKind}
	case len(b) > MaxMessage:
		return reader{err: ErrLimit}
	}
	return reader{b: b[2:]}
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err, r.b = err, nil
	}
}

func (r *reader) take(n int) []byte {
	if len(r.b) < n {
		r.fail(ErrShort)
		return nil
	}
	t := r.b[:n]
	r.b = r.b[n:]
	return t
}

func (r *reader) u8() uint8 {
	if t := r.take(1); t != nil {
		return t[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if t := r.take(2); t != nil {
		return binary.BigEndian.Uint16(t)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if t := r.take(4); t != nil {
		return binary.BigEndian.Uint32(t)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if t := r.take(8); t != nil {
		return binary.BigEndian.Uint64(t)
	}
	return 0
}

// upto reads a byte that may be at most max.
func (r *reader) upto(max uint8) uint8 {
	v := r.u8()
	if v > max {
		r.fail(ErrValue)
		return 0
	}
	return v
}

func (r *reader) flag() bool { return r.upto(1) == 1 }

func (r *reader) wait() vtime.Duration { return vtime.Duration(r.u32()) * vtime.Millisecond }

// count reads the length byte of a list or a text.
func (r *reader) count(max int) int {
	n := int(r.u8())
	if n > max {
		r.fail(ErrLimit)
		return 0
	}
	return n
}

// bytes reads a length byte and so many bytes, which share the message's memory.
func (r *reader) bytes(max int) []byte {
	return r.take(r.count(max))
}

// end returns the first failure, or ErrLong when bytes are left.
func (r *reader) end() error {
	if r.err == nil && len(r.b) != 0 {
		return ErrLong
	}
	return r.err
}

// padding reads zeros up to the end of a message of n bytes, which must be size long.
func (r *reader) padding(n, size int) {
	switch {
	case n < size:
		r.fail(ErrShort)
		return
	case n > size:
		r.fail(ErrLong)
		return
	}
	for _, c := range r.take(len(r.b)) {
		if c != 0 {
			r.fail(ErrValue)
			return
		}
	}
}
