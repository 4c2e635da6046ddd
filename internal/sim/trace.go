package sim

import (
	"fmt"
	"io"
	"strings"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// tracer sees what machines are handed and what they ask for: it writes that down for
// some, a line each, and keeps what Explain tells.
type tracer struct {
	w      io.Writer // nil when nothing is written
	book   *book     // its own, so that looking changes nothing
	hosts  map[uint32]bool
	memory *memory // nil when nothing is kept
}

// Trace writes a line to w for every input and every effect of the given nodes from here
// on, or of all when none is given: the moment in seconds, the node, an arrow, and what
// it is about. Login servers are nodes -1, -2 and so on. A nil w ends it. It is for
// finding out how a Violation came about: run its seed again and trace its nodes.
//
//	12.345678    7 <-    3 offer {Nonce:12 Status:0 Wait:250000000 ...}
//	12.345678    7 ->    3 attach {...}
//	12.501234    7 : attached 3
func (s *Sim) Trace(w io.Writer, nodes ...int) {
	var kept *memory
	if s.tracer != nil {
		kept = s.tracer.memory
	}
	s.tracer = nil
	if w != nil || kept != nil {
		s.tracer = &tracer{w: w, book: newBook(&s.cfg, s.book.key), memory: kept}
	}
	if w == nil {
		return
	}
	if len(nodes) > 0 {
		s.tracer.hosts = make(map[uint32]bool)
	}
	for _, n := range nodes {
		if n < 0 {
			s.tracer.hosts[uint32(s.cfg.Nodes-n-1)] = true
		} else {
			s.tracer.hosts[s.node(n)] = true
		}
	}
}

var inputNames = map[core.InputKind]string{
	core.InputStart: "starts", core.InputReset: "reset", core.InputNetwork: "network changed", core.InputLeave: "shall leave",
	core.InputLookup: "looks up", core.InputDial: "dials", core.InputHangup: "hangs up", core.InputCertified: "renewal set",
	core.InputIssued: "application decided", core.InputSilent: "hears nothing", core.InputCrowded: "forwards too much",
	core.InputWatch: "watches a name", core.InputUnwatch: "watches it no more",
}

var effectNames = map[core.EffectKind]string{
	core.EffectAttached: "attached", core.EffectDetached: "detached", core.EffectPromoted: "promoted", core.EffectDemoted: "demoted",
	core.EffectFound: "found", core.EffectCertified: "certified", core.EffectDenied: "denied", core.EffectApplication: "application",
	core.EffectChannel: "channel", core.EffectChannelOver: "channel over", core.EffectNoChannel: "no channel", core.EffectForward: "forwards", core.EffectUnforward: "stops forwarding",
	core.EffectLeft: "left", core.EffectStorm: "storm level",
}

func (t *tracer) input(s *Sim, i uint32, in *core.Input) {
	if t.memory != nil {
		t.memory.input(s, i, in)
	}
	if t.w == nil || t.hosts != nil && !t.hosts[i] {
		return
	}
	if in.Kind == core.InputMessage {
		from := ident.Handle(uint32(in.From) << 1 >> 1)
		t.line(s, i, "<- %4d %s", s.number(index(from)), t.message(i, in.Bytes))
	} else if name := inputNames[in.Kind]; name != "" {
		t.line(s, i, ": %s", name)
	}
}

func (t *tracer) effect(s *Sim, i uint32, f *core.Effect, b []byte) {
	if t.memory != nil {
		t.memory.effect(s, i, f, b)
	}
	if t.w == nil || t.hosts != nil && !t.hosts[i] {
		return
	}
	peer := ident.Handle(uint32(f.Peer) << 1 >> 1)
	switch name := effectNames[f.Kind]; {
	case f.Kind == core.EffectSend:
		t.line(s, i, "-> %4d %s", s.number(index(peer)), t.message(i, b))
	case name != "" && peer != ident.None:
		t.line(s, i, ": %s %d", name, s.number(index(peer)))
	case name != "":
		t.line(s, i, ": %s, count %d, status %d", name, f.Count, f.Status)
	}
}

func (t *tracer) line(s *Sim, i uint32, format string, args ...any) {
	fmt.Fprintf(t.w, "%.6f %4d %s\n", vtime.Duration(s.now).Seconds(), s.number(i), fmt.Sprintf(format, args...))
}

// message tells a message by its kind and its fields.
func (t *tracer) message(i uint32, b []byte) string {
	kind := wire.KindOf(b)
	m := blank(kind)
	if m == nil {
		return kind.String()
	}
	t.book.self = handle(i)
	if err := m.Parse(b, t.book); err != nil {
		return fmt.Sprintf("%v that can't be read: %v", kind, err)
	}
	return fmt.Sprintf("%v %s", kind, strings.TrimPrefix(fmt.Sprintf("%+v", m), "&"))
}

type parser interface {
	Parse(b []byte, book wire.Book) error
}

// blank returns an empty message of a kind that is worth telling in full, nil for those
// that say no more than their name.
func blank(kind wire.Kind) parser {
	switch kind {
	case wire.KindListRequest:
		return new(wire.ListRequest)
	case wire.KindList:
		return new(wire.List)
	case wire.KindProbe:
		return new(wire.Probe)
	case wire.KindOffer:
		return new(wire.Offer)
	case wire.KindAttach:
		return new(wire.Attach)
	case wire.KindAccept:
		return new(wire.Accept)
	case wire.KindRefuse:
		return new(wire.Refuse)
	case wire.KindGoodbye:
		return new(wire.Goodbye)
	case wire.KindPublish:
		return new(wire.Publish)
	case wire.KindLookup:
		return new(wire.Lookup)
	case wire.KindFound:
		return new(wire.Found)
	case wire.KindPut:
		return new(wire.Put)
	case wire.KindGot:
		return new(wire.Got)
	case wire.KindRelayOpen:
		return new(wire.RelayOpen)
	case wire.KindRelayReady:
		return new(wire.RelayReady)
	}
	return nil
}
