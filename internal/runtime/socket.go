package runtime

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/path"
	"github.com/ada420b6/overlay/internal/udp"
	"github.com/ada420b6/overlay/internal/vtime"
)

const (
	// liveQueue and strangerQueue bound what waits for the machine. A supernode with
	// 1 600 attachments gets 80 keepalives a second; 1 024 packets of sessions are a
	// burst of 0.1 s at 10 us each. Of strangers, who cost a handshake of 0.2 ms, 256 are
	// 50 ms: what comes on top is dropped, and whoever sent it asks again. Together
	// 1 280 x 1.5 KiB = 2 MiB.
	liveQueue     = 1024
	strangerQueue = 256

	// readPause is waited after a read that failed, so that a socket that fails at once
	// and for ever costs a hundred tries a second, not a core.
	readPause = 10 * time.Millisecond
)

// ListenPacket makes a socket, as net.ListenPacket("udp", address) does. Its addresses
// must have an AddrPort method (as *net.UDPAddr) or print as "address:port", and it must
// take a *net.UDPAddr to write to.
type ListenPacket func(ctx context.Context, address string) (net.PacketConn, error)

// listenUDP is the ListenPacket that is used when none is given.
func listenUDP(ctx context.Context, address string) (net.PacketConn, error) {
	var c net.ListenConfig
	return c.ListenPacket(ctx, "udp", address)
}

// inbound is a datagram that waits for the machine. Whoever takes it frees the buffer.
type inbound struct {
	b    *path.Buffer
	from netip.AddrPort
}

// socket reads datagrams into two queues and forwards what needs no machine.
type socket struct {
	pc     *udp.Conn
	live   chan inbound
	others chan inbound
	asked  asked
	rates  sources   // the reader's
	begun  time.Time // what rates count from
	relay  *relay
	paths  *path.Conn // nil for a login server
	ended  chan struct{}
	wg     sync.WaitGroup
	n      traffic
}

// traffic counts what goes through the socket.
type traffic struct {
	packetsIn, packetsOut, bytesIn, bytesOut atomic.Uint64

	notOurs, liveFull, strangersFull, readErrors, writeErrors atomic.Uint64
}

func newSocket(pc net.PacketConn) *socket {
	s := &socket{
		pc:     udp.New(pc),
		live:   make(chan inbound, liveQueue),
		others: make(chan inbound, strangerQueue),
		ended:  make(chan struct{}),
		rates:  sources{key: randomKey()},
		begun:  time.Now(),
	}
	s.relay = newRelay(s.sendRuns)
	return s
}

// start begins to read. close ends it and waits for the end.
func (s *socket) start() { s.wg.Go(s.read) }

// stop closes the socket and returns when the reader has ended.
func (s *socket) stop() error {
	close(s.ended)
	err := s.pc.Close()
	s.wg.Wait()
	if b := s.relay.budget; b != nil {
		b.stop()
	}
	return err
}

func (s *socket) read() {
	for {
		runs, err := s.pc.Read()
		if err != nil {
			if !s.survives(err) {
				return
			}
			continue
		}
		for i := range runs {
			s.take(runs[i])
		}
		s.relay.flush()
	}
}

// take hands on a run of datagrams: those on a channel of the relay stay together, in the
// memory in which they came.
func (s *socket) take(r udp.Run) {
	s.n.packetsIn.Add(uint64(r.Count()))
	s.n.bytesIn.Add(uint64(len(r.Data)))
	if r.Size > path.BufferSize {
		s.n.notOurs.Add(uint64(r.Count()))
		return
	}
	for len(r.Data) > 0 {
		number, n := path.Together(&r)
		if same := r.Cut(n); number == 0 || !s.relay.carry(number, same) {
			s.takeEach(same)
		}
	}
}

func (s *socket) takeEach(r udp.Run) {
	for len(r.Data) > 0 {
		b := path.NewBuffer()
		b.Fill(r.Cut(1))
		if !s.sort(b, r.Addr) {
			b.Free()
		}
	}
}

// survives waits out an error of a read: ICMP errors show up there on some systems, and
// say nothing about the socket.
func (s *socket) survives(err error) bool {
	if errors.Is(err, net.ErrClosed) {
		return false
	}
	s.n.readErrors.Add(1)
	t := time.NewTimer(readPause)
	defer t.Stop()
	select {
	case <-s.ended:
		return false
	case <-t.C:
		return true
	}
}

// sort hands a datagram on, and reports whether somebody keeps the buffer.
func (s *socket) sort(b *path.Buffer, from netip.AddrPort) bool {
	switch laneOf(b.Bytes()) {
	case laneLive:
		return s.offerLive(inbound{b, from})
	case laneStranger:
		if b.Bytes()[0] == headPlain && s.asked.who(from) != ident.None {
			return s.offerLive(inbound{b, from})
		}
		return offer(s.others, inbound{b, from}, &s.n.strangersFull)
	case laneChannel:
		return s.paths != nil && s.paths.Receive(b, from)
	}
	s.n.notOurs.Add(1)
	return false
}

// offerLive puts a datagram in the queue of sessions, unless its source has had its
// share of that: a session that floods, or one that is made up, delays no keepalive.
func (s *socket) offerLive(d inbound) bool {
	if !s.rates.take(d.from.Addr(), vtime.Time(time.Since(s.begun))+1) {
		return offer(s.others, d, &s.n.strangersFull)
	}
	return offer(s.live, d, &s.n.liveFull)
}

// offer puts a datagram in a queue, or counts that there was no room.
func offer(queue chan inbound, d inbound, full *atomic.Uint64) bool {
	select {
	case queue <- d:
		return true
	default:
		full.Add(1)
		return false
	}
}

// send writes one datagram. An error is a datagram lost: the core sends again what
// matters.
func (s *socket) send(to netip.AddrPort, packet []byte) {
	if s.pc.Send(to, packet) != nil {
		s.n.writeErrors.Add(1)
		return
	}
	s.n.packetsOut.Add(1)
	s.n.bytesOut.Add(uint64(len(packet)))
}

// sendRun is send for many to one receiver.
func (s *socket) sendRun(r udp.Run) {
	one := [1]udp.Run{r}
	s.sendRuns(one[:])
}

// sendRuns is send for many.
func (s *socket) sendRuns(runs []udp.Run) {
	count, bytes := 0, 0
	for i := range runs {
		count += runs[i].Count()
		bytes += len(runs[i].Data)
	}
	unsent := s.pc.Write(runs)
	s.n.writeErrors.Add(uint64(unsent))
	s.n.packetsOut.Add(uint64(count - unsent))
	s.n.bytesOut.Add(uint64(bytes))
}
