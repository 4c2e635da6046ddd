package runtime

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/path"
)

// relay forwards datagrams between two nodes by channel number: one look-up and one
// write per packet, in the goroutine that reads the socket, without a machine step and
// without cryptography (PROTOCOL.md section 8). The core bounds the channels
// (core.MaxChannels) and says which stand.
type relay struct {
	send func(to netip.AddrPort, packet []byte)

	mu       sync.RWMutex
	channels map[uint64]*forward

	packets, bytes, source atomic.Uint64
}

// forward is one channel; an address moves when its node roams.
type forward struct {
	keys  [2]ident.Key
	addrs [2]atomic.Pointer[netip.AddrPort]
}

func newRelay(send func(netip.AddrPort, []byte)) *relay {
	return &relay{send: send, channels: make(map[uint64]*forward)}
}

// open enters a channel between two nodes.
func (r *relay) open(number uint64, keys [2]ident.Key, addrs [2]netip.AddrPort) {
	f := &forward{keys: keys}
	for i := range addrs {
		f.addrs[i].Store(&addrs[i])
	}
	r.mu.Lock()
	r.channels[number] = f
	r.mu.Unlock()
}

// close forgets a channel.
func (r *relay) close(number uint64) {
	r.mu.Lock()
	delete(r.channels, number)
	r.mu.Unlock()
}

// moved says that the packets of key come from another address now.
func (r *relay) moved(key ident.Key, to netip.AddrPort) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, f := range r.channels {
		for i := range f.keys {
			if f.keys[i] == key {
				f.addrs[i].Store(&to)
			}
		}
	}
}

// each calls mark for both ends of every channel.
func (r *relay) each(mark func(ident.Key)) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, f := range r.channels {
		mark(f.keys[0])
		mark(f.keys[1])
	}
}

// carry forwards a packet, and reports whether it belongs to a channel of this relay.
func (r *relay) carry(packet []byte, from netip.AddrPort) bool {
	number, ok := path.Channel(packet)
	if !ok {
		return false
	}
	r.mu.RLock()
	f := r.channels[number]
	r.mu.RUnlock()
	if f == nil {
		return false
	}
	to := from
	switch from {
	case *f.addrs[0].Load():
		to = *f.addrs[1].Load()
	case *f.addrs[1].Load():
		to = *f.addrs[0].Load()
	default:
		r.source.Add(1)
		return true
	}
	if path.Mirror(packet, from) { // a question to the relay itself
		to = from
	}
	r.send(to, packet)
	r.packets.Add(1)
	r.bytes.Add(uint64(len(packet)))
	return true
}
