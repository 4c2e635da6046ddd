package path

import (
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/stream"
	"github.com/ada420b6/overlay/internal/udp"
)

// What QUIC hands over and takes in one piece: up to some 16 packets in one call instead
// of one. Only the calls differ from ReadFrom and WriteTo; each packet is watched and kept
// as theirs are.

// runBuffer is the memory of a run: QUIC makes them of at most 20 KiB, which leaves room
// for the headers of as many datagrams as a run may have.
type runBuffer [20<<10 + udp.MaxRun*HeaderSize]byte

var runs = sync.Pool{New: func() any { return new(runBuffer) }}

// SyscallConn returns the socket below, where runs leave it in one piece. Else it fails.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	if c.raw == nil {
		return nil, c.fail("syscall", syscall.EOPNOTSUPP)
	}
	return c.raw, nil
}

// WriteSegments sends what p holds, packets of size bytes (the last may be shorter), to
// the owner of a key; ecn goes into their IP headers. Errors are those of WriteTo.
func (c *Conn) WriteSegments(p []byte, size int, ecn byte, key ident.Key) error {
	select {
	case <-c.closed:
		return c.fail("write", net.ErrClosed)
	case <-c.write.passed():
		return c.fail("write", os.ErrDeadlineExceeded)
	default:
	}
	count := (len(p) + size - 1) / max(size, 1)
	if size > MaxPayload || size <= 0 || len(p)+count*HeaderSize > len(runBuffer{}) {
		c.n.oversized.Add(1)
		return c.fail("write", fmt.Errorf("%d bytes in packets of %d, at most %d: %w", len(p), size, MaxPayload, syscall.EMSGSIZE))
	}
	if key == c.self {
		c.loop(p, size, ecn)
		return nil
	}
	to, now := c.peer(key), c.now()
	if to == nil {
		return nil
	}
	w := c.sending(to, now)
	if w == nil {
		c.n.noRoute.Add(uint64(count))
		return nil
	}
	space := runs.Get().(*runBuffer)
	run := udp.Run{Addr: *w.addr.Load(), Data: space[:0], Size: size + HeaderSize, ECN: ecn}
	for rest := p; len(rest) > 0; {
		n := min(size, len(rest))
		run.Data = appendPacket(run.Data, w.channel, rest[:n])
		rest = rest[n:]
	}
	c.sendRun(run)
	c.sentRun(to, w, run, now)
	runs.Put(space)
	return nil
}

// loop gives packets to this node itself.
func (c *Conn) loop(p []byte, size int, ecn byte) {
	for len(p) > 0 {
		n := min(size, len(p))
		b := NewBuffer()
		b.pack(0, p[:n])
		if b.ecn = ecn; !c.enqueue(received{b, c.loopback}) {
			b.Free()
		}
		p = p[n:]
	}
}

// sentRun is sent for many: the last are kept.
func (c *Conn) sentRun(p *peer, w *way, run udp.Run, now time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return
	}
	for len(run.Data) > 0 {
		one := run.Cut(1)
		if !p.asking && run.Count() >= recentSize && len(run.Data) > 0 {
			continue // it would not be kept
		}
		b := NewBuffer()
		b.Fill(one)
		c.keep(p, w, b, now)
	}
	c.watch(p, now)
}

// ReadPackets waits for a packet and takes as many as have come. Errors are those of
// ReadFrom.
func (c *Conn) ReadPackets(into []stream.Packet) (int, error) {
	first, err := c.next()
	if err != nil {
		return 0, err
	}
	n := 0
	for r := first; ; {
		into[n].N = copy(into[n].Space, r.b.payload())
		into[n].From, into[n].ECN = r.key(), r.b.ecn
		r.b.Free()
		if n++; n == len(into) {
			return n, nil
		}
		select {
		case r = <-c.queue:
		default:
			return n, nil
		}
	}
}

func (r *received) key() ident.Key { return r.from.(stream.Addr).Key }
