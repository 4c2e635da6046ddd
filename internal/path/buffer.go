package path

import (
	"bytes"
	"encoding/binary"
	"sync"

	"github.com/ada420b6/overlay/internal/udp"
)

const (
	// Head is byte 0 of a packet on a channel: version 1, type 9. Types 1 to 5 belong to
	// sessions, 8 is a plain message.
	Head = 1<<4 | 9
	// HeaderSize is what a channel adds to a payload, in bytes.
	HeaderSize = 1 + 8
	// MaxPayload is the largest payload, in bytes: QUIC's packets have 1280, and with
	// it a packet is within every Ethernet MTU, tunnels included.
	MaxPayload = 1350
	// BufferSize is the size of a Buffer: the largest datagram that an Ethernet carries,
	// rounded up.
	BufferSize = 1536
)

// Buffer is the memory of one datagram. It comes from a pool, because a relay handles
// tens of thousands of them a second.
type Buffer struct {
	data [BufferSize]byte
	n    int
	ecn  byte // what the IP header said
}

var pool = sync.Pool{New: func() any { return new(Buffer) }}

// NewBuffer returns a buffer from the pool. Whoever has it last calls Free.
func NewBuffer() *Buffer { return pool.Get().(*Buffer) }

// Free gives b back. Nobody may use it, or what Bytes returned, afterwards.
func (b *Buffer) Free() { b.n, b.ecn = 0, 0; pool.Put(b) }

// Space returns the whole memory, to be read into; SetLen then says how much it holds.
func (b *Buffer) Space() []byte { return b.data[:] }

// SetLen says that the first n bytes hold the datagram.
func (b *Buffer) SetLen(n int) { b.n = n }

// Fill copies a datagram that came in a run of its own.
func (b *Buffer) Fill(r udp.Run) { b.n, b.ecn = copy(b.data[:], r.Data), r.ECN }

// Bytes returns the datagram.
func (b *Buffer) Bytes() []byte { return b.data[:b.n] }

// Channel returns the channel of a packet, and whether it is one on a channel at all.
func Channel(packet []byte) (number uint64, ok bool) {
	if len(packet) < HeaderSize || packet[0] != Head {
		return 0, false
	}
	return binary.BigEndian.Uint64(packet[1:]), true
}

// Together returns the channel of the first datagram of a run, 0 if it is on none, and how
// many in a row are on the same.
func Together(r *udp.Run) (number uint64, n int) {
	number, ok := Channel(r.Data)
	if !ok || r.Size < HeaderSize {
		return 0, 1
	}
	for n = 1; n*r.Size < len(r.Data) && bytes.HasPrefix(r.Data[n*r.Size:], r.Data[:HeaderSize]); {
		n++
	}
	return number, n
}

// pack makes b the packet that carries payload on a channel.
func (b *Buffer) pack(channel uint64, payload []byte) {
	b.data[0] = Head
	binary.BigEndian.PutUint64(b.data[1:], channel)
	b.n = HeaderSize + copy(b.data[HeaderSize:], payload)
}

// appendPacket appends the packet that carries payload on a channel.
func appendPacket(b []byte, channel uint64, payload []byte) []byte {
	return append(binary.BigEndian.AppendUint64(append(b, Head), channel), payload...)
}

// payload returns what a packet on a channel carries.
func (b *Buffer) payload() []byte { return b.data[HeaderSize:b.n] }
