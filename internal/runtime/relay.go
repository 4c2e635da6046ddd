package runtime

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/path"
	"github.com/ada420b6/overlay/internal/udp"
)

// relay forwards datagrams between two nodes by channel number: one look-up for each run
// of packets and one system call for many runs, in the goroutine that reads the socket,
// without a machine step, without cryptography and without a copy (PROTOCOL.md section 8).
// The core bounds the channels (core.MaxChannels) and says which stand.
type relay struct {
	send   func([]udp.Run)
	out    []udp.Run // what goes out with the next flush; the reader's
	budget *budget   // nil without a limit

	mu       sync.RWMutex
	channels map[uint64]*forward

	packets, bytes, source atomic.Uint64
}

// forward is one channel; an address moves when its node roams.
type forward struct {
	share share
	keys  [2]ident.Key
	addrs [2]atomic.Pointer[netip.AddrPort]
}

// relayRuns is how many runs wait for one write: twice what a read brings, when each of
// its runs is on two channels.
const relayRuns = 16

func newRelay(send func([]udp.Run)) *relay {
	return &relay{send: send, out: make([]udp.Run, 0, relayRuns), channels: make(map[uint64]*forward)}
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

// carry forwards packets that came on one channel, with the next flush or when the budget
// lets them, and reports whether it is one of this relay. Only the reader calls it.
func (r *relay) carry(number uint64, run udp.Run) bool {
	r.mu.RLock()
	f := r.channels[number]
	r.mu.RUnlock()
	if f == nil {
		return false
	}
	from := run.Addr
	switch from {
	case *f.addrs[0].Load():
		run.Addr = *f.addrs[1].Load()
	case *f.addrs[1].Load():
		run.Addr = *f.addrs[0].Load()
	default:
		r.source.Add(uint64(run.Count()))
		return true
	}
	// A question to the relay itself is never in the midst of a run: it is shorter than what
	// QUIC sends in one piece.
	for len(run.Data) > 0 && path.Mirror(run.Last(), from) {
		last := run.Last()
		run.Data = run.Data[:len(run.Data)-len(last)]
		r.put(f, udp.Run{Addr: from, Data: last, Size: len(last)})
	}
	if len(run.Data) > 0 {
		r.put(f, run)
	}
	return true
}

// put has a run of a channel go to its Addr.
func (r *relay) put(f *forward, run udp.Run) {
	r.packets.Add(uint64(run.Count()))
	r.bytes.Add(uint64(len(run.Data)))
	if r.budget != nil && !r.budget.pass(&f.share, run) {
		return
	}
	if r.out = append(r.out, run); len(r.out) == cap(r.out) {
		r.flush()
	}
}

// flush sends what carry was given. It must come before the memory that it came in is
// read into again.
func (r *relay) flush() {
	if len(r.out) > 0 {
		r.send(r.out)
		r.out = r.out[:0]
	}
	if r.budget != nil {
		r.budget.turn()
	}
}
