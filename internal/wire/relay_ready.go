package wire

import (
	"github.com/ada420b6/overlay/internal/vtime"
)

// RelayStatus is whether a channel stands.
type RelayStatus uint8

// The outcomes.
const (
	RelayOK   RelayStatus = iota // send
	RelayBusy                    // no channel is left: come back after Wait
	RelayGone                    // the target is not attached here
)

// RelayReady answers a RelayOpen.
//
//	call 4 | status 1 | channel 8 | wait 4
type RelayReady struct {
	Call    uint32         // of the open
	Status  RelayStatus    // whether the channel stands
	Channel uint64         // names the channel on every datagram
	Wait    vtime.Duration // how long to stay away when Status is RelayBusy
}

// Append appends the message to b.
func (m *RelayReady) Append(b []byte, _ Book) []byte {
	b = header(b, KindRelayReady)
	b = u32(b, m.Call)
	b = append(b, byte(m.Status))
	b = u64(b, m.Channel)
	b = wait(b, m.Wait)
	return b
}

// Parse reads the message from b.
func (m *RelayReady) Parse(b []byte, _ Book) error {
	r := read(b, KindRelayReady)
	m.Call = r.u32()
	m.Status = RelayStatus(r.upto(uint8(RelayGone)))
	m.Channel = r.u64()
	m.Wait = r.wait()
	return r.end()
}
