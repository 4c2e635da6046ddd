package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ada420b6/overlay"
)

// forwarder accepts connections, finds the other side of each, and carries both.
type forwarder struct {
	node *overlay.Node
	log  *slog.Logger

	accepted, failed, open, dropped atomic.Int64
	wg                              sync.WaitGroup // of accept loops and connections
}

// dialer finds the other side of an accepted connection.
type dialer func(ctx context.Context) (net.Conn, error)

const (
	// maxConnections bounds what one listener carries at a time; the next caller waits in
	// the system's queue. Each costs about two 32 KiB buffers and one open file: 64 MiB,
	// and the 1024 files that a process usually may have are the tighter bound.
	maxConnections = 1000
	// dialPatience is how long a connection waits for the other node to come back: the
	// reboot of a small machine. People give up later than that.
	dialPatience = 20 * time.Second
	// dialPause is the time between two tries. The look-up has its own pace below it.
	dialPause = 500 * time.Millisecond
	// acceptPause keeps an accept loop that fails, for want of open files, off the CPU.
	acceptPause = 100 * time.Millisecond
)

// serve accepts from l until it is closed, in a goroutine of its own.
func (f *forwarder) serve(ctx context.Context, l net.Listener, dial dialer) {
	room := make(chan struct{}, maxConnections)
	f.wg.Go(func() { // ends when l is closed: runNode closes both kinds
		for {
			select {
			case room <- struct{}{}:
			case <-ctx.Done():
				return
			}
			c, err := l.Accept()
			if err == nil {
				f.wg.Go(func() { f.carry(ctx, c, dial); <-room }) // ends with either side, or with ctx
				continue
			}
			<-room
			if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
				return
			}
			f.log.Warn("accept", "listener", l.Addr(), "error", err)
			pause(ctx, acceptPause)
		}
	})
}

// carry serves one accepted connection.
func (f *forwarder) carry(ctx context.Context, in net.Conn, dial dialer) {
	number := f.accepted.Add(1)
	f.open.Add(1)
	defer f.open.Add(-1)
	log := f.log.With("connection", number, "from", in.RemoteAddr().String())
	out, err := dial(ctx)
	if err != nil {
		f.failed.Add(1)
		log.Debug("not connected", "error", err)
		abort(in)
		return
	}
	log.Debug("connected", "to", out.RemoteAddr().String())
	sent, received, err := bridge(ctx, in, out)
	log.Debug("closed", "sent", sent, "received", received, "error", err)
}

// toLocal dials the local service that is exposed; network is "tcp" or "udp".
func (f *forwarder) toLocal(network, address string) dialer {
	return func(ctx context.Context) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, dialPatience)
		defer cancel()
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}
}

// toPeer dials a service of another node. A node that can't be found may be rebooting:
// it is tried again as long as the caller can be expected to wait. A node that refuses
// has given its answer. That nobody is reached is said once, until somebody is.
func (f *forwarder) toPeer(network, address string) dialer {
	var said atomic.Bool
	return func(ctx context.Context) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, dialPatience)
		defer cancel()
		for {
			c, err := f.node.DialContext(ctx, network, address)
			again := errors.Is(err, overlay.ErrNotFound) || errors.Is(err, overlay.ErrUnavailable)
			if again && pause(ctx, dialPause) {
				continue
			}
			if err == nil {
				said.Store(false)
			} else if !errors.Is(err, context.Canceled) && !said.Swap(true) {
				f.log.Warn("nobody is reached", "target", address, "error", err)
			}
			return c, err
		}
	}
}

// pause reports whether ctx lasted for d.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// wait returns when every accept loop and connection has ended.
func (f *forwarder) wait() { f.wg.Wait() }

// door is an entrance that is open, of one of two kinds.
type door struct {
	listener net.Listener
	packets  net.PacketConn
	target   string
}

// at returns its address.
func (d *door) at() string {
	if d.packets != nil {
		return d.packets.LocalAddr().String() + "/udp"
	}
	return d.listener.Addr().String()
}

func openDoors(ctx context.Context, entrances []entrance) ([]door, error) {
	var doors []door
	for _, e := range entrances {
		var lc net.ListenConfig
		d, err := door{target: e.target}, error(nil)
		if e.udp {
			d.packets, err = lc.ListenPacket(ctx, "udp", e.address)
		} else {
			d.listener, err = lc.Listen(ctx, "tcp", e.address)
		}
		if err != nil {
			closeDoors(doors)
			return nil, err
		}
		doors = append(doors, d)
	}
	return doors, nil
}

func closeDoors(doors []door) {
	for _, d := range doors {
		if d.packets != nil {
			_ = d.packets.Close()
			continue
		}
		_ = d.listener.Close() // closed twice at the end, which says nothing new
	}
}

// status is the line that SIGUSR1 asks for.
type status struct {
	overlay.Status
	Connections connections
}

// connections counts what was accepted, of it what runs now, what found nobody at the
// other side, and datagrams that could not be carried.
type connections struct{ Accepted, Open, Failed, Dropped int64 }

// answerStatus prints the status on w when it is asked to, until its result is called.
func (f *forwarder) answerStatus(w io.Writer) (stop func()) {
	if len(statusSignals) == 0 {
		return func() {} // signal.Notify would take an empty list for all signals
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, statusSignals...)
	done := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() { // ends with stop
		for {
			select {
			case <-done:
				return
			case <-asked:
			}
			line, err := json.Marshal(status{f.node.Status(), connections{f.accepted.Load(), f.open.Load(), f.failed.Load(), f.dropped.Load()}})
			if err != nil {
				f.log.Error("status", "error", err)
				continue
			}
			fmt.Fprintf(w, "%s\n", line)
		}
	})
	return func() { signal.Stop(asked); close(done); ended.Wait() }
}
