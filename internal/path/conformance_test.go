package path

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/stream/packettest"
)

// TestPacketConn: the virtual PacketConn under QUIC keeps the same rules.
func TestPacketConn(t *testing.T) {
	packettest.Run(t, func(t *testing.T) *packettest.Pair {
		keys := [2]ident.Key{self, bob}
		var ends [2]*Conn
		var wires [2]chan *Buffer // to each end
		var cut atomic.Uint64     // what the wires did not take
		for i := range ends {
			wires[i] = make(chan *Buffer, 64)
			ends[i] = New(Config{
				Self: keys[i], Secret: secretOf(keys[i]), Wanted: func(ident.Key) {}, Silent: func(ident.Key, uint64, ident.Key) {},
				Send: func(_ netip.AddrPort, p []byte) {
					b := NewBuffer()
					b.SetLen(copy(b.Space(), p))
					select {
					case wires[1-i] <- b:
					default:
						b.Free()
						if !isControl(p[HeaderSize:]) {
							cut.Add(1)
						}
					}
				},
			})
		}
		done := make(chan struct{})
		var running sync.WaitGroup
		for i := range ends {
			running.Go(func() {
				for {
					select {
					case b := <-wires[i]:
						if !ends[i].Receive(b, relay1) {
							b.Free()
						}
					case <-done:
						return
					}
				}
			})
			ends[i].Open(keys[1-i], Route{Channel: 7, Via: eve, Addr: relay1})
		}
		t.Cleanup(func() { close(done); running.Wait() })
		return &packettest.Pair{A: ends[0], B: ends[1], Max: MaxPayload, Lost: func() uint64 {
			return ends[0].Counters().NoRoute + ends[1].Counters().QueueFull + cut.Load()
		}}
	})
}
