package core

import (
	"encoding/binary"
	"fmt"
	"sort"
	"strings"
	"testing"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// lab is the smallest world that machines can live in: every message takes 40 ms, all
// hosts can be reached, disks survive. The simulator is another package; the lab is for
// tests that look inside.
type lab struct {
	t      testing.TB
	policy Policy
	now    vtime.Time
	serial uint64
	events []labEvent // sorted by time, then serial
	hosts  []*labHost // handle h is hosts[h-1]
	login  ident.Handle
	trace  *strings.Builder
	lose   func(from, to ident.Handle, b []byte) bool
	found  []Effect
	incs   []uint32 // by handle, the newest signed incarnation: what the real book keeps
	steps  int
}

type labEvent struct {
	at     vtime.Time
	serial uint64
	to     ident.Handle
	epoch  int
	in     Input
}

type labHost struct {
	node    Node
	login   *LoginServer
	env     Env
	out     Effects
	up      bool
	epoch   int
	cert    bool
	was     bool
	boots   uint64
	tickets Tickets
	events  []Effect
}

const labLatency = 40 * vtime.Millisecond

func newLab(t testing.TB, n int) *lab {
	l := &lab{t: t, policy: DefaultPolicy(), incs: make([]uint32, n+2)}
	for i := range n + 1 {
		h := &labHost{}
		h.env = Env{Policy: &l.policy, Book: labBook{l.incs}, Logins: []ident.Handle{ident.Handle(n + 1)}, Cache: make([]CacheEntry, 64)}
		if i == n {
			h.login = &LoginServer{}
		}
		l.hosts = append(l.hosts, h)
	}
	l.login = ident.Handle(n + 1)
	l.start(l.login, 0)
	return l
}

func (l *lab) host(h ident.Handle) *labHost { return l.hosts[h-1] }

func (l *lab) start(h ident.Handle, after vtime.Duration) {
	x := l.host(h)
	x.boots++
	r := seed.New(uint64(h)<<32 | x.boots)
	in := Input{Kind: InputStart, Start: Start{
		Self: h, Name: ident.NameID(uint64(h) * 0x9e3779b97f4a7c15), Key: [2]uint64{r.Uint64(), r.Uint64()},
		Tickets: x.tickets, TicketKey: [2]uint64{uint64(h), 7},
		Seq: x.boots << 24, Inc: uint32(x.boots) << 12, HasCert: x.cert, RenewIn: 20 * vtime.Day, WasSuper: x.was,
	}}
	x.epoch++
	l.post(h, after, in)
}

// crash ends a host without a goodbye; start brings it back with its disk.
func (l *lab) crash(h ident.Handle) {
	x := l.host(h)
	x.up = false
	x.epoch++
	x.was = x.env.Super != nil || x.was && x.node.wasSuper
	x.cert, x.tickets = x.node.certified, x.node.Tickets()
	x.node, x.env.Super, x.env.Calls = Node{}, nil, nil
}

func (l *lab) post(to ident.Handle, after vtime.Duration, in Input) {
	l.serial++
	e := labEvent{at: l.now.Add(after), serial: l.serial, to: to, epoch: l.host(to).epoch, in: in}
	i := sort.Search(len(l.events), func(i int) bool { return l.events[i].at > e.at })
	l.events = append(l.events, labEvent{})
	copy(l.events[i+1:], l.events[i:])
	l.events[i] = e
}

// run lets d pass.
func (l *lab) run(d vtime.Duration) {
	end := l.now.Add(d)
	for len(l.events) > 0 && l.events[0].at <= end {
		e := l.events[0]
		l.events = l.events[1:]
		l.now = vtime.Later(l.now, e.at)
		x := l.host(e.to)
		if e.in.Kind == InputStart && e.epoch == x.epoch {
			x.up = true
		}
		if !x.up || e.in.Kind != InputMessage && e.epoch != x.epoch {
			continue
		}
		if e.in.Kind == InputTimer && l.next(e.to) > l.now {
			continue // superseded
		}
		l.step(e.to, e.in)
	}
	l.now = end
}

func (l *lab) next(h ident.Handle) vtime.Time {
	x := l.host(h)
	if x.login != nil {
		return x.login.Next(&x.env)
	}
	return x.node.Next(&x.env)
}

func (l *lab) step(h ident.Handle, in Input) {
	x := l.host(h)
	l.steps++
	before := l.next(h)
	x.out.Reset()
	if x.login != nil {
		x.login.Step(&x.env, l.now, &in, &x.out)
	} else {
		x.node.Step(&x.env, l.now, &in, &x.out)
	}
	for i := range x.out.List {
		l.carryOut(h, &x.out.List[i], x.out.Bytes(&x.out.List[i]))
	}
	if next := l.next(h); next != before || in.Kind == InputTimer {
		if next < l.now {
			panic(fmt.Sprintf("node %d after input %d at %v: deadline %v is in the past", h, in.Kind, l.now, next))
		}
		if next != vtime.Never {
			l.post(h, next.Sub(l.now), Input{Kind: InputTimer})
		}
	}
}

func (l *lab) carryOut(h ident.Handle, f *Effect, b []byte) {
	x := l.host(h)
	switch f.Kind {
	case EffectSend:
		if l.trace != nil {
			fmt.Fprintf(l.trace, "%8.3f %3d -> %-3d %s%s\n", vtime.Duration(l.now).Seconds(), h, f.Peer, wire.KindOf(b), describe(b))
		}
		if len(b) > wire.MaxMessage {
			panic(fmt.Sprintf("a %v takes %d bytes", wire.KindOf(b), len(b)))
		}
		if l.lose != nil && l.lose(h, f.Peer, b) {
			return
		}
		in := Input{Kind: InputMessage, Plain: f.Plain, From: h, Origin: uint64(h), Bytes: append([]byte(nil), b...)}
		l.post(f.Peer, labLatency, in)
	case EffectApplication:
		l.post(h, vtime.Millisecond, Input{Kind: InputIssued, From: f.Peer, Query: f.Query})
	case EffectCertified:
		x.cert = true
		l.post(h, 0, Input{Kind: InputCertified, Start: Start{RenewIn: 20 * vtime.Day}})
	case EffectFound:
		l.found = append(l.found, *f)
	default:
		x.events = append(x.events, *f)
	}
}

// census counts running nodes, attached ones and supernodes.
func (l *lab) census() (up, attached, supers int) {
	for _, x := range l.hosts {
		if x.login != nil || !x.up {
			continue
		}
		up++
		if x.node.Attached(&x.env) {
			attached++
		}
		if x.env.Super != nil {
			supers++
		}
	}
	return up, attached, supers
}

// labBook writes peers as handles: nothing is signed in the lab.
type labBook struct{ incs []uint32 }

func (labBook) ID(h ident.Handle) ident.ID     { return ident.ID(uint64(h) * 0x9e3779b97f4a7c15) }
func (labBook) Group(ident.Handle) ident.Group { return 0 }
func (labBook) Slots(ident.Handle) uint32      { return 1600 }
func (labBook) AppendPeer(b []byte, h ident.Handle) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(h))
}

func (labBook) ParsePeer(b []byte) (ident.Handle, []byte, error) {
	if len(b) < 4 {
		return 0, nil, wire.ErrShort
	}
	return ident.Handle(binary.BigEndian.Uint32(b)), b[4:], nil
}
func (k labBook) AppendID(b []byte, h ident.Handle) []byte          { return k.AppendPeer(b, h) }
func (k labBook) ParseID(b []byte) (ident.Handle, []byte, error)    { return k.ParsePeer(b) }
func (k labBook) AppendApplication(b []byte) []byte                 { return b }
func (k labBook) ParseApplication(b []byte) ([]byte, error)         { return b, nil }
func (k labBook) AppendCertificate(b []byte, _ ident.Handle) []byte { return b }
func (k labBook) ParseCertificate(b []byte) ([]byte, error)         { return b, nil }
func (k labBook) AppendMember(b []byte, h ident.Handle, i uint32) []byte {
	if int(h) < len(k.incs) {
		k.incs[h] = max(k.incs[h], i)
		i = k.incs[h]
	}
	return binary.BigEndian.AppendUint32(k.AppendPeer(b, h), i)
}

func (k labBook) ParseMember(b []byte) (wire.Member, []byte, error) {
	h, b, err := k.ParsePeer(b)
	if err != nil || len(b) < 4 {
		return wire.Member{}, nil, wire.ErrShort
	}
	return wire.Member{Peer: h, Inc: binary.BigEndian.Uint32(b)}, b[4:], nil
}

func (k labBook) AppendRecord(b []byte, r wire.Record) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(r.Name))
	b = binary.BigEndian.AppendUint64(b, r.Seq)
	return k.AppendPeer(k.AppendPeer(k.AppendPeer(b, r.Owner), r.At[0]), r.At[1])
}

func (k labBook) ParseRecord(b []byte) (wire.Record, []byte, error) {
	if len(b) < 28 {
		return wire.Record{}, nil, wire.ErrShort
	}
	r := wire.Record{Name: ident.NameID(binary.BigEndian.Uint64(b)), Seq: binary.BigEndian.Uint64(b[8:])}
	r.Owner = ident.Handle(binary.BigEndian.Uint32(b[16:]))
	r.At[0] = ident.Handle(binary.BigEndian.Uint32(b[20:]))
	r.At[1] = ident.Handle(binary.BigEndian.Uint32(b[24:]))
	return r, b[28:], nil
}

// describe tells the fields of a message that scenarios turn on.
func describe(b []byte) string {
	switch wire.KindOf(b) {
	case wire.KindOffer:
		var m wire.Offer
		_ = m.Parse(b, labBook{})
		return fmt.Sprintf(" status %d, wait %d ms, peers %v", m.Status, m.Wait.Milliseconds(), m.Peers.All())
	case wire.KindRefuse:
		var m wire.Refuse
		_ = m.Parse(b, labBook{})
		return fmt.Sprintf(" reason %d, wait %d ms, peers %v", m.Reason, m.Wait.Milliseconds(), m.Peers.All())
	case wire.KindAttach:
		var m wire.Attach
		_ = m.Parse(b, labBook{})
		return fmt.Sprintf(" class %d, seq %x, at %v", m.Class, m.Record.Seq, m.Record.At)
	case wire.KindList:
		var m wire.List
		_ = m.Parse(b, labBook{})
		return fmt.Sprintf(" start %v, peers %v", m.Start, m.Peers.All())
	}
	return ""
}
