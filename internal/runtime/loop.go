package runtime

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/path"
	"github.com/ada420b6/overlay/internal/session"
	"github.com/ada420b6/overlay/internal/vtime"
)

// machine is what both of the core's machines can do.
type machine interface {
	Step(env *core.Env, now vtime.Time, in *core.Input, out *core.Effects)
	Next(env *core.Env) vtime.Time
	Refer(env *core.Env, mark func(ident.Handle))
}

// owner is whose loop it is: a Node or a LoginServer. All methods run in the loop's
// goroutine.
type owner interface {
	// effect carries out what the loop does not do itself.
	effect(f *core.Effect, bytes []byte)
	// stepped is called after each step and its effects.
	stepped()
	// chores does what has no other moment, and says when it wants to be called again.
	chores(now vtime.Time) vtime.Time
	// refer marks the handles that the owner refers to.
	refer(mark func(ident.Handle))
	// awaits reports whether a plain message answers what the owner asks right now.
	awaits(message []byte) bool
	// moved says that the packets of a peer come from another address now.
	moved(key ident.Key, to netip.AddrPort)
}

const (
	// commandQueue bounds what the application has asked for and the loop has not looked
	// at: whoever comes when it is full waits.
	commandQueue = 64
	// fairness is how many packets of sessions are taken in a row before everything else
	// gets a turn: 64 x 10 us are 1 ms.
	fairness = 64
	// minPause is how long the timer waits at least after it has fired in vain, so that
	// a deadline in the past costs 1000 steps a second, not a core.
	minPause = vtime.Millisecond
)

// loop owns one machine and everything that only one goroutine may touch: its book,
// its sessions, its clock. Whatever happens becomes an Input, one after the other, and
// the effects of each are carried out before the next.
type loop struct {
	owner   owner
	machine machine
	env     core.Env
	book    *Book
	table   *session.Table
	socket  *socket
	listen  ListenPacket
	log     *slog.Logger

	out      core.Effects
	later    []core.Input // what effects lead to
	begun    time.Time
	next     vtime.Time // when the machine wants to be stepped
	choresAt vtime.Time

	stranger  netip.AddrPort // who the last transient handle is
	strangers uint32
	observer  observer
	origin    [2]uint64
	scratch   [path.BufferSize]byte
	afar      bucket
	n         loopCounters

	commands chan func()
	closing  chan struct{}
	once     sync.Once
	wg       sync.WaitGroup
}

// loopCounters says what the loop dropped.
type loopCounters struct {
	messages     uint64 // that the machine has sent
	noAddress    uint64 // sends to a peer whose address is not known
	unsent       uint64 // sends that the session refused
	otherNetwork uint64 // plain messages of other networks, or malformed
	afarDropped  uint64 // sends from a fresh socket beyond the rate
}

func newLoop(book *Book, pc net.PacketConn, listen ListenPacket, log *slog.Logger) *loop {
	l := &loop{
		book:     book,
		socket:   newSocket(pc),
		listen:   listen,
		log:      log,
		begun:    time.Now(),
		next:     vtime.Never,
		choresAt: vtime.Never,
		commands: make(chan func(), commandQueue),
		closing:  make(chan struct{}),
	}
	l.origin = randomKey()
	book.live = func(key ident.Key) bool { return l.table.Established(key, l.now()) }
	return l
}

// randomKey draws 128 bits from the system.
func randomKey() [2]uint64 {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return [2]uint64{binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])}
}

// now counts from 1 ns, so that no moment is the zero value.
func (l *loop) now() vtime.Time { return vtime.Time(time.Since(l.begun)) + 1 }

// start runs the loop, beginning with in. It ends with close.
func (l *loop) start(in core.Input) {
	l.socket.start()
	l.wg.Go(func() {
		l.step(&in)
		l.choresAt = l.now()
		l.run()
	})
}

// close ends the loop and the socket, and returns when their goroutines have ended.
func (l *loop) close() error {
	var err error
	l.once.Do(func() {
		close(l.closing)
		err = l.socket.stop()
	})
	l.wg.Wait()
	return err
}

// call runs f in the loop and waits for it. It returns ctx.Err(), and f may still run,
// or net.ErrClosed.
func (l *loop) call(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case l.commands <- func() { f(); close(done) }:
	case <-ctx.Done():
		return ctx.Err()
	case <-l.closing:
		return net.ErrClosed
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-l.closing:
		return net.ErrClosed
	}
}

// try runs f in the loop some time later, unless too much waits already.
func (l *loop) try(f func()) {
	select {
	case l.commands <- f:
	default:
	}
}

// post runs f in the loop some time later, unless it ends before.
func (l *loop) post(f func()) {
	select {
	case l.commands <- f:
	case <-l.closing:
	}
}

func (l *loop) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	row := 0
	for {
		l.fire()
		timer.Reset(l.pause())
		if row < fairness { // live sessions first (rule R6)
			select {
			case d := <-l.socket.live:
				row++
				l.packet(d)
				continue
			default:
			}
		}
		row = 0
		select {
		case <-l.closing:
			return
		case d := <-l.socket.live:
			l.packet(d)
		case d := <-l.socket.others:
			l.packet(d)
		case f := <-l.commands:
			f()
		case <-timer.C:
		}
	}
}

// fire does what is due.
func (l *loop) fire() {
	now := l.now()
	if now >= l.next {
		l.step(&core.Input{Kind: core.InputTimer})
		l.next = vtime.Later(l.next, now.Add(minPause))
	}
	if now >= l.choresAt {
		l.choresAt = vtime.Later(l.owner.chores(now), now.Add(minPause))
	}
}

// pause returns how long there is nothing to do.
func (l *loop) pause() time.Duration {
	const long = vtime.Hour
	return time.Duration(min(long, max(0, vtime.Earlier(l.next, l.choresAt).Sub(l.now()))))
}

// step steps the machine and carries out what it decides, and what follows from that.
func (l *loop) step(in *core.Input) {
	l.stepOne(in)
	// Inputs that effects lead to are answers to the machine's own questions; a chain of
	// them ends with the question.
	for len(l.later) > 0 {
		in := l.later[0]
		l.later = append(l.later[:0], l.later[1:]...)
		l.stepOne(&in)
	}
	l.next = l.machine.Next(&l.env)
	l.owner.stepped()
	if l.book.crowded() {
		l.book.sweep(l.refer)
	}
}

func (l *loop) stepOne(in *core.Input) {
	now := l.now()
	l.out.Reset()
	l.book.from = in.From
	l.machine.Step(&l.env, now, in, &l.out)
	for i := range l.out.List {
		l.carryOut(&l.out.List[i], now)
	}
}

// refer marks every handle that somebody may still use.
func (l *loop) refer(mark func(ident.Handle)) {
	l.machine.Refer(&l.env, mark)
	l.owner.refer(mark)
	l.socket.asked.refer(mark)
	markKey := func(key ident.Key) { mark(l.book.find(key)) }
	l.socket.relay.each(markKey)
	if l.socket.paths != nil {
		l.socket.paths.Each(markKey)
	}
	now := l.now()
	for key, h := range l.book.byKey {
		if l.table.Established(key, now) {
			mark(h)
		}
	}
}
