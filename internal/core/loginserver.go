package core

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/seed"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// LoginServer is the machine of a login server (PROTOCOL.md section 7). It gives out
// certificates, which its driver decides and signs, and tells who has been a supernode
// lately. It knows nothing that the network needs to heal.
type LoginServer struct {
	rng     seed.Rand
	started bool
	bad     uint32

	queue   []application // waiting, oldest first
	serving []application // with the driver
	next    uint32

	known     []knownSuper // sorted by handle
	pingAt    vtime.Time
	ping      int // the place in known that is asked next
	nominee   ident.Handle
	nominated vtime.Time
}

// application is a node's request for a certificate.
type application struct {
	peer    ident.Handle
	nonce   uint64
	query   uint32
	arrived vtime.Time
}

type knownSuper struct {
	peer   ident.Handle
	heard  vtime.Time
	unsaid uint8 // pings in a row without an answer
}

const (
	// maxServing is how many applications the driver decides at a time: enough to
	// keep a database busy, few enough that what waits can still be dropped.
	maxServing = 64
	// maxKnown is how many supernodes a login server remembers: 6 drawn from 256
	// give 10^11 different answers, and 256 pings take four minutes.
	maxKnown = 256
	// knownMisses is how many pings a supernode may leave unanswered.
	knownMisses = 3
	// nomination is how long a node that was told to start the tier has to show
	// itself.
	nomination = 5 * vtime.Second
	// listWait is how long an asker stays away while somebody starts the tier.
	listWait = 1500 * vtime.Millisecond
)

// Step is Node.Step for a login server.
func (l *LoginServer) Step(env *Env, now vtime.Time, in *Input, out *Effects) {
	if in.Kind == InputStart {
		*l = LoginServer{rng: seed.Keyed(in.Start.Key[0], in.Start.Key[1]), started: true, pingAt: vtime.Never}
		return
	}
	if !l.started {
		return
	}
	switch in.Kind {
	case InputMessage:
		l.message(env, now, in, out)
	case InputIssued:
		l.issued(env, in, out)
	}
	l.pump(env, now, out)
	if now >= l.pingAt {
		l.pingNext(env, now, out)
	}
}

// Next is Node.Next for a login server. What waits for the driver waits for
// InputIssued, not for a time.
func (l *LoginServer) Next(*Env) vtime.Time { return l.pingAt }

// Known returns how many supernodes are remembered.
func (l *LoginServer) Known() int { return len(l.known) }

// Waiting returns how many applications wait.
func (l *LoginServer) Waiting() int { return len(l.queue) }

func (l *LoginServer) message(env *Env, now vtime.Time, in *Input, out *Effects) {
	k := wire.KindOf(in.Bytes)
	if k.Plain() || in.Plain {
		l.bad++
		return
	}
	var err error
	switch k {
	case wire.KindLoginRequest:
		var m wire.LoginRequest
		if err = m.Parse(in.Bytes, env.Book); err == nil {
			l.apply(env, now, in.From, m.Nonce, out)
		}
	case wire.KindListRequest:
		var m wire.ListRequest
		if err = m.Parse(in.Bytes, env.Book); err == nil {
			l.list(env, now, in.From, &m, out)
		}
	case wire.KindNews:
		var m wire.News
		if err = m.Parse(in.Bytes, env.Book); err == nil {
			l.news(env, now, in.From, &m, out)
		}
	case wire.KindPingAck:
		var m wire.PingAck
		if err = m.Parse(in.Bytes, env.Book); err == nil {
			if i, ok := l.find(in.From); ok {
				l.known[i].heard, l.known[i].unsaid = now, 0
			}
		}
	default:
		l.bad++
	}
	if err != nil {
		l.bad++
	}
}

// apply queues an application. The queue is bounded, and what nobody waits for any
// more is dropped when its turn comes: that the queue grew without bound and served
// the long gone is what made 2007 last (PROTOCOL.md section 4).
func (l *LoginServer) apply(env *Env, now vtime.Time, from ident.Handle, nonce uint64, out *Effects) {
	for i := range l.serving {
		if l.serving[i].peer == from && l.serving[i].nonce == nonce {
			return // it is being decided
		}
	}
	if env.Policy.LoginLife > 0 {
		for i := range l.queue {
			if l.queue[i].peer == from { // a retry renews the patience and keeps the place
				l.queue[i].nonce, l.queue[i].arrived = nonce, now
				return
			}
		}
	}
	if len(l.queue) >= env.Policy.LoginQueue {
		wait := vtime.Second + vtime.Duration(l.rng.Between(0, int64(env.Policy.LoginPatience)))
		m := wire.LoginReply{Nonce: nonce, Status: wire.LoginBusy, Wait: wait}
		out.send(from, m.Append(out.begin(), env.Book, from), false)
		return
	}
	l.queue = append(l.queue, application{peer: from, nonce: nonce, arrived: now})
}

// pump hands applications to the driver.
func (l *LoginServer) pump(env *Env, now vtime.Time, out *Effects) {
	k := 0
	for k < len(l.queue) && len(l.serving) < maxServing {
		a := l.queue[k]
		k++
		if life := env.Policy.LoginLife; life > 0 && now.Sub(a.arrived) > life {
			continue
		}
		l.next++
		a.query = l.next
		l.serving = append(l.serving, a)
		out.add(Effect{Kind: EffectApplication, Peer: a.peer, Query: a.query})
	}
	if k == len(l.queue) {
		l.queue = l.queue[:0]
	} else { // the policy of 2007 has a million in it: they are not moved for each that leaves
		l.queue = l.queue[k:]
	}
}

// issued passes the driver's decision on.
func (l *LoginServer) issued(env *Env, in *Input, out *Effects) {
	for i, a := range l.serving {
		if a.query != in.Query {
			continue
		}
		l.serving = append(l.serving[:i], l.serving[i+1:]...)
		m := wire.LoginReply{Nonce: a.nonce, Status: wire.LoginStatus(in.Status), Text: in.Text}
		if m.Status == wire.LoginBusy {
			m.Wait = env.Policy.LoginPatience
		}
		out.send(a.peer, m.Append(out.begin(), env.Book, a.peer), false)
		return
	}
}

// list answers who the supernodes are. When it knows of none, the first willing asker
// is told to start the tier, and the others to come back when it has.
func (l *LoginServer) list(env *Env, now vtime.Time, from ident.Handle, q *wire.ListRequest, out *Effects) {
	m := wire.List{Nonce: q.Nonce, Peers: l.draw(from)}
	if len(m.Peers.All()) == 0 {
		expired := l.nominee == ident.None || now.Sub(l.nominated) > nomination
		if q.Willing && (expired || l.nominee == from) {
			if l.nominee != from || expired {
				l.nominee, l.nominated = from, now
			}
			m.Start = true
		} else {
			m.Wait = listWait/2 + vtime.Duration(l.rng.Between(0, int64(listWait)))
		}
	}
	out.send(from, m.Append(out.begin(), env.Book), false)
}

// draw draws supernodes, those that left a ping unanswered last.
func (l *LoginServer) draw(except ident.Handle) (p wire.Peers) {
	for unsaid := uint8(0); unsaid < knownMisses; unsaid++ {
		if len(l.known) == 0 {
			return p
		}
		start := l.rng.Intn(len(l.known))
		for i := range l.known {
			k := &l.known[(start+i)%len(l.known)]
			if k.unsaid == unsaid && k.peer != except {
				p.Add(k.peer)
			}
		}
		if len(p.All()) > 0 {
			return p
		}
	}
	return p
}

// news takes a supernode's announcement and tells it a few others, so that parts of
// the tier that do not know of each other find together.
func (l *LoginServer) news(env *Env, now vtime.Time, from ident.Handle, m *wire.News, out *Effects) {
	for _, n := range m.Notices.All() {
		if n.Peer == from && n.State == wire.Left {
			l.forget(from)
			return
		}
	}
	for _, x := range m.Members.All() {
		if x.Peer == from {
			l.remember(from, now)
		}
	}
	reply := wire.List{Peers: l.draw(from)}
	out.send(from, reply.Append(out.begin(), env.Book), false)
}

func (l *LoginServer) find(h ident.Handle) (int, bool) {
	lo, hi := 0, len(l.known)
	for lo < hi {
		if mid := (lo + hi) / 2; l.known[mid].peer < h {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < len(l.known) && l.known[lo].peer == h
}

func (l *LoginServer) remember(h ident.Handle, now vtime.Time) {
	if h == l.nominee {
		l.nominee = ident.None
	}
	i, ok := l.find(h)
	if ok {
		l.known[i].heard, l.known[i].unsaid = now, 0
		return
	}
	if len(l.known) == maxKnown {
		l.known[l.rng.Intn(maxKnown)] = knownSuper{peer: h, heard: now}
		sortKnown(l.known)
		return
	}
	l.known = append(l.known, knownSuper{})
	copy(l.known[i+1:], l.known[i:])
	l.known[i] = knownSuper{peer: h, heard: now}
	if l.pingAt == vtime.Never {
		l.pingAt = now.Add(pingRhythm)
	}
}

// pingRhythm is the rhythm of a login server's pings.
const pingRhythm = vtime.Second

func sortKnown(k []knownSuper) {
	for i := 1; i < len(k); i++ {
		for j := i; j > 0 && k[j].peer < k[j-1].peer; j-- {
			k[j], k[j-1] = k[j-1], k[j]
		}
	}
}

func (l *LoginServer) forget(h ident.Handle) {
	if i, ok := l.find(h); ok {
		l.known = append(l.known[:i], l.known[i+1:]...)
	}
}

// pingNext asks one supernode a second whether it lives, so that a list that is asked
// for after a disaster is not a list of the dead.
func (l *LoginServer) pingNext(env *Env, now vtime.Time, out *Effects) {
	if len(l.known) == 0 {
		l.pingAt = vtime.Never
		return
	}
	l.ping = (l.ping + 1) % len(l.known)
	k := &l.known[l.ping]
	if k.unsaid++; k.unsaid > knownMisses {
		l.forget(k.peer)
	} else {
		m := wire.Ping{Seq: l.rng.Uint32()}
		out.send(k.peer, m.Append(out.begin(), env.Book), k.unsaid > 1)
	}
	l.pingAt = now.Add(pingRhythm)
}
