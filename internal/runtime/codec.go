package runtime

import (
	"encoding/binary"
	"errors"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// The form of inputs and effects in a recording: every field in its order, numbers as
// varints. It is read by the version that wrote it and by no other.

// errRecording is the error of a recording that is not one.
var errRecording = errors.New("runtime: recording is damaged")

type writer struct{ b []byte }

func (w *writer) num(v uint64)          { w.b = binary.AppendUvarint(w.b, v) }
func (w *writer) handle(h ident.Handle) { w.num(uint64(h)) }

func (w *writer) flag(v bool) {
	if v {
		w.num(1)
	} else {
		w.num(0)
	}
}

func (w *writer) bytes(b []byte) {
	w.num(uint64(len(b)))
	w.b = append(w.b, b...)
}

func (w *writer) record(r wire.Record) {
	w.num(uint64(r.Name))
	w.handle(r.Owner)
	w.num(r.Seq)
	w.handle(r.At[0])
	w.handle(r.At[1])
}

func (w *writer) input(in *core.Input) {
	w.num(uint64(in.Kind))
	w.flag(in.Plain)
	w.handle(in.From)
	w.num(in.Origin)
	w.num(uint64(in.Group))
	w.bytes(in.Bytes)
	w.start(&in.Start)
	w.num(uint64(in.Query))
	w.num(uint64(in.Name))
	w.num(in.Floor)
	w.handle(in.At[0])
	w.handle(in.At[1])
	w.num(uint64(in.Status))
	w.bytes(in.Text)
	w.num(in.Channel)
}

func (w *writer) start(s *core.Start) {
	w.handle(s.Self)
	w.num(uint64(s.Name))
	w.num(s.Key[0])
	w.num(s.Key[1])
	w.num(s.Seq)
	w.num(uint64(s.Inc))
	w.num(uint64(s.Role))
	w.num(uint64(s.Slots))
	w.flag(s.WasSuper)
	w.flag(s.HasCert)
	w.num(uint64(s.RenewIn))
	w.flag(s.Doubted)
	w.num(s.TicketKey[0])
	w.num(s.TicketKey[1])
	for _, t := range s.Tickets {
		w.num(uint64(t.Peer))
		w.num(uint64(t.Mark))
	}
	w.num(uint64(len(s.Roster)))
	for _, k := range s.Roster {
		w.handle(k.Peer)
		w.num(uint64(k.Inc))
		w.flag(k.Dead)
	}
}

func (w *writer) effects(out *core.Effects) {
	w.num(uint64(len(out.List)))
	for i := range out.List {
		f := &out.List[i]
		w.num(uint64(f.Kind))
		w.flag(f.Plain)
		w.flag(f.Fresh)
		w.flag(f.Elsewhere)
		w.num(uint64(f.Count))
		w.num(uint64(f.Status))
		w.handle(f.Peer)
		w.handle(f.Relay)
		w.num(uint64(f.Query))
		w.num(f.Channel)
		w.record(f.Record)
		w.bytes(out.Bytes(f))
	}
}

// reader reads what writer wrote. After the first failure it returns zeros.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) num() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) flag() bool           { return r.num() == 1 }
func (r *reader) handle() ident.Handle { return ident.Handle(r.num()) }

func (r *reader) bytes() []byte {
	n := r.num()
	if n > uint64(len(r.b)) {
		r.b, r.bad = nil, true
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) record() wire.Record {
	return wire.Record{
		Name: ident.NameID(r.num()), Owner: r.handle(), Seq: r.num(), At: [2]ident.Handle{r.handle(), r.handle()},
	}
}

func (r *reader) input() core.Input {
	in := core.Input{Kind: core.InputKind(r.num()), Plain: r.flag(), From: r.handle(), Origin: r.num(), Group: ident.Group(r.num())}
	in.Bytes = r.bytes()
	in.Start = r.start()
	in.Query, in.Name, in.Floor = uint32(r.num()), ident.NameID(r.num()), r.num()
	in.At = [2]ident.Handle{r.handle(), r.handle()}
	in.Status, in.Text, in.Channel = uint8(r.num()), r.bytes(), r.num()
	return in
}

func (r *reader) start() core.Start {
	s := core.Start{
		Self: r.handle(), Name: ident.NameID(r.num()), Key: [2]uint64{r.num(), r.num()}, Seq: r.num(), Inc: uint32(r.num()),
		Role: core.Role(r.num()), Slots: uint32(r.num()), WasSuper: r.flag(), HasCert: r.flag(), RenewIn: vtime.Duration(r.num()), Doubted: r.flag(),
	}
	s.TicketKey = [2]uint64{r.num(), r.num()}
	for i := range s.Tickets {
		s.Tickets[i] = core.Ticket{Peer: r.handle(), Mark: uint32(r.num())}
	}
	for n := r.num(); n > 0 && !r.bad; n-- {
		s.Roster = append(s.Roster, core.Known{Peer: r.handle(), Inc: uint32(r.num()), Dead: r.flag()})
	}
	return s
}
