package sim

import (
	"fmt"
	"slices"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// HistoryLength is how many of a node's last steps are kept: at 24 B each and with the
// memory for them set aside when the first comes, 0.8 kB a node.
const HistoryLength = 32

// memory keeps what has happened to some nodes of late, as far as it is about where they
// are: what they ask, what they are answered, what becomes of it. What a supernode does
// for others is left out, and so are keepalives.
type memory struct {
	all  []*past          // of every node, or nil
	some map[uint32]*past // else of these
	book *book            // its own, so that looking changes nothing
	due  bool             // the step under way is because time has passed
}

// past is the last steps of a node, the oldest first.
type past []note

// note is a step, not told yet: most are never asked for.
type note struct {
	at   vtime.Time
	wait uint32 // in milliseconds: of an answer; of a node that goes down, how long
	peer ident.Handle
	what deed
	kind uint8 // a wire.Kind, core.InputKind or core.EffectKind
	say  uint8 // the status of the answer; how many attachments there are
	more uint8 // how many peers were named
}

// deed says what note.kind is.
type deed uint8

const (
	deedSays  deed = iota // it sends a message
	deedHears             // it receives one
	deedInput             // it is handed another input
	deedDone              // an effect that is no message
	deedDown              // it goes down
)

// Watch keeps a history of nodes, from here on, for Explain; of all when none is named.
func (s *Sim) Watch(nodes ...int) {
	m := &memory{book: newBook(&s.cfg, s.book.key)}
	if len(nodes) == 0 {
		m.all = make([]*past, s.cfg.Nodes)
	} else {
		m.some = make(map[uint32]*past, len(nodes))
	}
	for _, n := range nodes {
		m.some[uint32(n)] = new(past)
	}
	if s.tracer == nil {
		s.tracer = &tracer{}
	}
	s.tracer.memory = m
}

// of returns the past of host i, nil when it is not kept.
func (m *memory) of(i uint32) *past {
	if m.all == nil {
		return m.some[i]
	}
	if int(i) >= len(m.all) { // a login server
		return nil
	}
	if m.all[i] == nil {
		p := make(past, 0, HistoryLength)
		m.all[i] = &p
	}
	return m.all[i]
}

// keep adds a step to the past of host i.
func (m *memory) keep(i uint32, n note) {
	p := m.of(i)
	if p == nil {
		return
	}
	if len(*p) == HistoryLength {
		*p = slices.Delete(*p, 0, 1)
	}
	*p = append(*p, n)
}

// plainly is h without the mark of a stranger.
func plainly(h ident.Handle) ident.Handle { return ident.Handle(uint32(h) << 1 >> 1) }

// input notes what host i is handed.
func (m *memory) input(s *Sim, i uint32, in *core.Input) {
	m.due = in.Kind == core.InputTimer
	switch in.Kind {
	case core.InputMessage:
		if !s.hosts[i].is(hostServing) {
			m.heard(s.now, i, plainly(in.From), in.Bytes)
		}
	case core.InputStart, core.InputReset, core.InputNetwork, core.InputLeave:
		m.keep(i, note{at: s.now, what: deedInput, kind: uint8(in.Kind), peer: plainly(in.From)})
	}
}

// heard notes a message that says where to go, when, or no.
func (m *memory) heard(now vtime.Time, i uint32, from ident.Handle, b []byte) {
	kind := wire.KindOf(b)
	n := note{at: now, what: deedHears, kind: uint8(kind), peer: from}
	m.book.self = handle(i)
	var err error
	switch kind {
	case wire.KindOffer:
		var o wire.Offer
		err = o.Parse(b, m.book)
		n.wait, n.say, n.more = brief(o.Wait), uint8(o.Status), uint8(len(o.Peers.All()))
	case wire.KindRefuse:
		var r wire.Refuse
		err = r.Parse(b, m.book)
		n.wait, n.say, n.more = brief(r.Wait), uint8(r.Reason), uint8(len(r.Peers.All()))
	case wire.KindGoodbye:
		var g wire.Goodbye
		err = g.Parse(b, m.book)
		n.say, n.more = uint8(g.Reason), uint8(len(g.Peers.All()))
	case wire.KindList:
		var l wire.List
		err = l.Parse(b, m.book)
		n.wait, n.say, n.more = brief(l.Wait), uint8(toInt(l.Start)), uint8(len(l.Peers.All()))
	case wire.KindLoginReply:
		var l wire.LoginReply
		err = l.Parse(b, m.book)
		n.wait, n.say = brief(l.Wait), uint8(l.Status)
	case wire.KindLost:
		var l wire.Lost
		err = l.Parse(b, m.book)
		n.wait = uint32(l.Peer)
	case wire.KindAccept, wire.KindNotAttached, wire.KindAppoint:
	default:
		return
	}
	if err == nil {
		m.keep(i, n)
	}
}

// brief is d in milliseconds.
func brief(d vtime.Duration) uint32 { return uint32(min(max(0, d.Milliseconds()), 1<<32-1)) }

// effect notes what host i asks for.
func (m *memory) effect(s *Sim, i uint32, f *core.Effect, b []byte) {
	n := note{at: s.now, what: deedDone, kind: uint8(f.Kind), peer: plainly(f.Peer), say: f.Count}
	switch f.Kind {
	case core.EffectSend:
		n.what, n.kind = deedSays, uint8(wire.KindOf(b))
		switch wire.Kind(n.kind) {
		case wire.KindProbe, wire.KindAttach, wire.KindListRequest, wire.KindLoginRequest:
		default:
			return
		}
	case core.EffectAttached:
		if f.Peer == handle(i) { // it serves, which is told
			return
		}
	case core.EffectDetached:
		n.more = uint8(toInt(m.due))
	case core.EffectPromoted, core.EffectDemoted,
		core.EffectCertified, core.EffectDenied, core.EffectLeft, core.EffectStorm:
	default:
		return
	}
	m.keep(i, n)
}

// down notes that host i goes down, for good when away is 0.
func (m *memory) down(s *Sim, i uint32, away vtime.Duration) {
	m.keep(i, note{at: s.now, what: deedDown, wait: brief(away)})
}

// history tells the past of host i, and whether it is kept.
func (s *Sim) history(i uint32) (steps []Step, watched bool) {
	if s.tracer == nil || s.tracer.memory == nil {
		return nil, false
	}
	p := s.tracer.memory.of(i)
	if p == nil {
		return nil, false
	}
	for k := range *p {
		n := &(*p)[k]
		steps = append(steps, Step{n.at, n.tell(s)})
	}
	return steps, true
}

// tell says in words what a note notes.
func (n *note) tell(s *Sim) string {
	who := ""
	if n.peer != ident.None {
		who = s.called(n.peer)
	}
	wait := fmt.Sprintf("%.1f s", float64(n.wait)/1000)
	switch n.what {
	case deedDown:
		if n.wait == 0 {
			return "goes down"
		}
		return "goes down for " + wait
	case deedInput:
		return inputWords[core.InputKind(n.kind)] + who
	case deedDone:
		return n.done(who)
	case deedSays:
		return saidWords[wire.Kind(n.kind)] + who
	}
	return who + " " + n.answer(s, wait)
}

// called is what a host is called: a node by its number.
func (s *Sim) called(h ident.Handle) string {
	if k := s.number(index(h)); k < 0 {
		return fmt.Sprintf("login server %d", -k)
	} else {
		return fmt.Sprint(k)
	}
}

var inputWords = map[core.InputKind]string{
	core.InputStart: "starts", core.InputReset: "its session is unknown to ", core.InputNetwork: "looks anew: the network has changed",
	core.InputLeave: "is switched off",
}

var saidWords = map[wire.Kind]string{
	wire.KindProbe: "asks for a slot: ", wire.KindAttach: "comes to be attached: ", wire.KindListRequest: "asks who serves: ",
	wire.KindLoginRequest: "applies for a certificate: ",
}

func (n *note) done(who string) string {
	switch core.EffectKind(n.kind) {
	case core.EffectAttached:
		return fmt.Sprintf("is attached to %s, %d now", who, n.say)
	case core.EffectDetached:
		if n.more > 0 { // nobody has said anything
			return fmt.Sprintf("gives %s up, which is silent, %d left", who, n.say)
		}
		return fmt.Sprintf("is attached to %s no more, %d left", who, n.say)
	case core.EffectPromoted:
		return "serves as a supernode"
	case core.EffectDemoted:
		return "serves no more"
	case core.EffectCertified:
		return "has its certificate"
	case core.EffectDenied:
		return "is denied its name"
	case core.EffectLeft:
		return "has left"
	}
	return fmt.Sprintf("sees storm level %d", n.say)
}

func (n *note) answer(s *Sim, wait string) string {
	if n.wait == 0 {
		wait = ""
	}
	named := ""
	if n.more > 0 {
		named = fmt.Sprintf(", names %d others", n.more)
	}
	words := func(list ...string) string { return list[min(int(n.say), len(list)-1)] }
	switch wire.Kind(n.kind) {
	case wire.KindOffer:
		switch wire.OfferStatus(n.say) {
		case wire.OfferSlot:
			if wait == "" {
				return "has a slot now"
			}
			return "has a slot in " + wait
		case wire.OfferFull:
			return join("is full", "for ", wait) + named
		}
		return "is no supernode" + named
	case wire.KindRefuse:
		return join("refuses, "+words("the slot is over", "it is full", "the record is not good", "it serves no more"), "stay away ", wait) + named
	case wire.KindGoodbye:
		return "says goodbye, " + words("it goes down", "its role is another", "one of the two is enough") + named
	case wire.KindList:
		switch {
		case n.say == 1:
			return "knows of no supernode and says: serve"
		case n.more == 0:
			return join("knows of no supernode", "come back in ", wait)
		}
		return fmt.Sprintf("names %d supernodes", n.more)
	case wire.KindLoginReply:
		return join(words("grants a certificate", "is busy", "says the name is taken", "says the application is invalid", "refuses"), "come back in ", wait)
	case wire.KindLost:
		return fmt.Sprintf("says that %s is dead", s.called(ident.Handle(n.wait)))
	case wire.KindAppoint:
		return "appoints it as a supernode"
	case wire.KindNotAttached:
		return "does not hold it"
	}
	return "accepts"
}

// join puts a wait behind words, if there is one.
func join(words, before, wait string) string {
	if wait == "" {
		return words
	}
	return words + ": " + before + wait
}
