package stream

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/invariant"
)

// link is one QUIC connection to a peer. It ends when QUIC says so: closed by a side,
// reset by a peer that rebooted, or idle.
type link struct {
	endpoint *Endpoint
	conn     *quic.Conn
	peer     Peer
	outgoing chan []byte // datagram frames on their way to QUIC
	sender   sync.Once   // starts send with the first datagram
	arrived  numbers     // receive's

	mu     sync.Mutex
	uses   int         // conversations that want this link to live
	beat   *time.Timer // sends keepalives while uses > 0
	isDead bool        // beat must not be armed any more
}

// newLink returns the link of a connection whose handshake is complete, and tells the
// PacketConn that its peer is who it says, if that wants to know: packets of the peer's
// key are the peer's.
func newLink(e *Endpoint, conn *quic.Conn, peer Peer) *link {
	if below, ok := e.carrier.PacketConn.(prover); ok && routeKey(conn.RemoteAddr()) == peer.Key {
		below.Proven(peer.Key)
	}
	return &link{endpoint: e, conn: conn, peer: peer, outgoing: make(chan []byte, sendQueueSize)}
}

// prover is a PacketConn that does more for a peer who has proven who it is.
type prover interface{ Proven(ident.Key) }

// close closes the link and returns when QUIC has ended it.
func (l *link) close(code quic.ApplicationErrorCode) { l.conn.CloseWithError(code, "") }

// dead reports whether the link has ended.
func (l *link) dead() bool { return l.conn.Context().Err() != nil }

// use and unuse say that a conversation needs the link, and no longer.
func (l *link) use() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.uses++; l.uses > 1 || l.isDead {
		return
	}
	if l.beat == nil {
		l.beat = time.AfterFunc(keepalivePeriod, l.sendKeepalive)
	} else {
		l.beat.Reset(keepalivePeriod)
	}
}

func (l *link) unuse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.uses--
	invariant.Check(l.uses >= 0, "stream: link given back more often than taken")
	if l.uses == 0 && l.beat != nil {
		l.beat.Stop()
	}
}

// idle reports whether no conversation of this side uses the link.
func (l *link) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.uses == 0
}

// sendKeepalive runs in the timer's goroutine.
func (l *link) sendKeepalive() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.uses > 0 && !l.isDead {
		l.enqueue(keepalive())
		l.beat.Reset(keepalivePeriod)
	}
}

// enqueue hands a frame to QUIC without waiting, or drops and counts it: what can't be
// sent now is of no use later, and one slow peer must not hold up a conn that talks to
// many.
func (l *link) enqueue(frame []byte) {
	l.sender.Do(func() { l.endpoint.spawn(l.send) })
	select {
	case l.outgoing <- frame:
	default:
		l.endpoint.counters.datagramsUnsent.Add(1)
	}
}

// send moves frames to QUIC, which makes it wait while the path is congested. It ends
// with the link.
func (l *link) send() {
	number := uint32(1)
	for {
		select {
		case frame := <-l.outgoing:
			if isKeepalive(frame) {
				_ = l.conn.SendDatagram(frame)
			} else if l.conn.SendDatagram(appendNumber(frame, number)) == nil {
				number++
			} else {
				l.endpoint.counters.datagramsUnsent.Add(1)
			}
		case <-l.conn.Context().Done():
			return
		}
	}
}

// receive hands the peer's datagrams to their conns until the link ends, and cleans up
// behind it.
func (l *link) receive() {
	for {
		frame, err := l.conn.ReceiveDatagram(context.Background())
		if err != nil {
			break
		}
		if isKeepalive(frame) {
			continue
		}
		counters := &l.endpoint.counters
		if frame, ok := l.arrived.cut(frame, &counters.datagramsLost); ok {
			l.endpoint.deliver(l.peer, frame)
		} else {
			counters.badDatagrams.Add(1)
		}
	}
	<-l.conn.Context().Done()
	l.mu.Lock()
	l.isDead = true
	if l.beat != nil {
		l.beat.Stop()
	}
	l.mu.Unlock()
	l.endpoint.remove(l)
}

// acceptStreams answers the streams that the peer opens, until the link ends. QUIC
// bounds them by MaxStreams.
func (l *link) acceptStreams() {
	for {
		s, err := l.conn.AcceptStream(context.Background())
		if err != nil {
			return
		}
		// Ends by headerTimeout or with the link.
		if !l.endpoint.spawn(func() { l.answer(s) }) {
			return
		}
	}
}

// answer reads the header of a stream and passes it to its listener.
func (l *link) answer(s *quic.Stream) {
	counters := &l.endpoint.counters
	header := make([]byte, headerSize)
	s.SetReadDeadline(time.Now().Add(headerTimeout))
	_, err := io.ReadFull(s, header)
	s.SetReadDeadline(time.Time{})
	kind, service := forStream, ""
	if err == nil {
		kind, service, err = parseHeader(header)
	}
	if err != nil {
		counters.badHeaders.Add(1)
		s.CancelWrite(codeBadHeader)
		s.CancelRead(codeBadHeader)
		return
	}
	said := refused
	if kind == forDatagrams {
		if l.endpoint.receives(port{service: service}) {
			said = accepted
		}
	} else if listener := l.endpoint.listener(service); listener != nil {
		said = listener.offer(newConn(l, s, l.endpoint.self.addr(service), l.peer.addr(streamNumber(s))))
	}
	switch {
	case said == accepted && kind == forStream:
		return
	case said == busy:
		counters.streamsBusy.Add(1)
	case said == refused:
		counters.streamsRefused.Add(1)
	}
	s.Write([]byte{byte(said)}) // a dialler that is gone needs no answer
	s.Close()
	s.CancelRead(codeClosed)
}

// streamNumber is the "port" of the dialler's end of s, equal on both sides.
func streamNumber(s *quic.Stream) string {
	return port{flow: uint32(s.StreamID()/4) + 1}.String()
}

// Nudge tells the endpoint that packets reach the peer of key again after a gap. Without
// it QUIC finds out by its own probes, whose intervals have doubled up to the length of
// the gap; one packet that the peer acknowledges makes it send again what was lost.
func (e *Endpoint) Nudge(key ident.Key) {
	e.mu.Lock()
	links := append([]*link(nil), e.in[key]...)
	for to, a := range e.out {
		if to.key == key && a.link != nil {
			links = append(links, a.link)
		}
	}
	e.mu.Unlock()
	for _, l := range links {
		l.enqueue(keepalive())
	}
}
