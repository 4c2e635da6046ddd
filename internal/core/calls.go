package core

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// MaxCalls bounds the look-ups and the channels of one node, each: at 64 bytes an
// entry, 64 KiB together. An application that asks for more gets LookupUnavailable.
const MaxCalls = 512

// Calls is what the application has asked for: look-ups that are not answered yet, and
// channels to peers. It hangs apart from Node because most nodes of a large simulation
// never call anybody.
type Calls struct {
	lookups []lookup
	dials   []dialling
	next    uint32 // the last query or call number that was drawn
}

// lookup is a question that a supernode answers within its own bound; this side only
// covers for lost messages and dead supernodes.
type lookup struct {
	name  ident.NameID
	floor uint64
	until vtime.Time // the answer is due
	ends  vtime.Time // the application is told that nobody knows
	query uint32
	tries uint8
	done  bool // answered: callsDue clears it away
}

// dialling is the wish for a channel to peer, for as long as the application has it.
type dialling struct {
	peer  ident.Handle
	at    [2]ident.Handle
	call  uint32
	until vtime.Time // the answer is due, or the channel wants to be kept open
	relay ident.Handle
	open  uint64 // the channel, 0 while there is none
	tries uint8
}

const (
	lookupTries = 5 // questions sent before a look-up is given up: with 15 % loss one in 500 is
	relayTries  = 3 // RelayOpens sent to each relay
	// relayKeep is how often an open channel is confirmed; a relay forgets a channel
	// after relayLife without.
	relayKeep = 25 * vtime.Second
	relayLife = 3 * relayKeep
)

func (c *Calls) deadline() vtime.Time {
	t := vtime.Never
	for i := range c.lookups {
		t = vtime.Earlier(t, vtime.Earlier(c.lookups[i].until, c.lookups[i].ends))
	}
	for i := range c.dials {
		t = vtime.Earlier(t, c.dials[i].until)
	}
	return t
}

// hurry lets everything that waits for an attachment go on.
func (c *Calls) hurry(now vtime.Time) {
	for i := range c.lookups {
		if c.lookups[i].tries == 0 {
			c.lookups[i].until = now
		}
	}
}

// lost lets channels by way of relay be opened anew: it has rebooted.
func (c *Calls) lost(relay ident.Handle, now vtime.Time) {
	for i := range c.dials {
		if d := &c.dials[i]; d.relay == relay && d.open != 0 {
			d.open, d.tries, d.until = 0, 0, now
		}
	}
}

func (s *step) calls() *Calls {
	if s.env.Calls == nil {
		s.env.Calls = &Calls{}
	}
	return s.env.Calls
}

// lookup takes the application's question.
func (s *step) lookup() {
	c := s.calls()
	if len(c.lookups) == MaxCalls {
		s.found(s.in.Query, wire.LookupUnavailable, wire.Record{})
		return
	}
	bound := lookupTries * s.lookupWait()
	c.lookups = append(c.lookups, lookup{
		name: s.in.Name, floor: s.in.Floor, query: s.in.Query, until: s.now, ends: s.now.Add(bound),
	})
}

func (s *step) found(query uint32, status wire.LookupStatus, r wire.Record) {
	s.out.add(Effect{Kind: EffectFound, Query: query, Status: uint8(status), Record: r})
}

func (s *step) callsDue() {
	c := s.env.Calls
	for i := 0; i < len(c.lookups); {
		if s.lookupDue(&c.lookups[i]) {
			c.lookups = append(c.lookups[:i], c.lookups[i+1:]...)
		} else {
			i++
		}
	}
	for i := 0; i < len(c.dials); {
		if s.dialDue(&c.dials[i]) {
			c.dials = append(c.dials[:i], c.dials[i+1:]...)
		} else {
			i++
		}
	}
	if len(c.lookups)+len(c.dials) == 0 {
		s.env.Calls = nil
	}
}

// lookupWait is how long an answer is waited for before the other supernode is asked. A
// supernode answers within LookupTimeout; nearly always in a fraction of it.
func (s *step) lookupWait() vtime.Duration { return s.p.LookupTimeout * 9 / 10 }

// lookupDue asks the next supernode and reports whether the look-up is over.
func (s *step) lookupDue(l *lookup) bool {
	if l.done {
		return true
	}
	if s.now >= l.ends {
		s.found(l.query, wire.LookupUnavailable, wire.Record{})
		return true
	}
	if s.now < l.until {
		return false
	}
	if s.env.Super != nil {
		l.until = l.ends
		l.tries++
		s.superLookup(ident.None, l.query, l.name, l.floor) // may answer, and end it, at once
		return l.done
	}
	to := s.n.at[int(l.tries)%2].peer
	if to == ident.None {
		to = s.n.at[(int(l.tries)+1)%2].peer
	}
	if to == ident.None { // hurry wakes it when there is an attachment
		l.until, l.tries = l.ends, 0
		return false
	}
	m := wire.Lookup{Query: l.query, Name: l.name, Floor: l.floor}
	s.out.send(to, m.Append(s.out.begin(), s.env.Book), false)
	l.until = s.now.Add(s.lookupWait())
	l.tries++
	return false
}

func (s *step) onFound() {
	var m wire.Found
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) || s.n.holds(s.in.From) < 0 {
		return
	}
	s.answered(m.Query, m.Status, m.Record)
}

// answered ends a look-up, unless the answer can't be true: the record is of another
// name, or older than one the asker has seen (rule R8).
func (s *step) answered(query uint32, status wire.LookupStatus, r wire.Record) {
	if s.env.Calls == nil {
		return
	}
	c := s.env.Calls
	for i := range c.lookups {
		l := &c.lookups[i]
		if l.query != query || l.done {
			continue
		}
		if status == wire.LookupFound && (r.Name != l.name || r.Seq < l.floor) {
			s.n.bad++
			return
		}
		if status == wire.LookupUnavailable && l.tries < lookupTries {
			l.until = s.now.Add(s.p.PutRetry)
			return
		}
		s.found(query, status, r)
		l.done = true
		return
	}
}

// dial takes the application's wish for a channel. Said again, it means that the
// channel there is does not work.
func (s *step) dial() {
	c := s.calls()
	for i := range c.dials {
		if d := &c.dials[i]; d.peer == s.in.From {
			*d = dialling{peer: d.peer, at: s.in.At, call: s.callNumber(), until: s.now}
			return
		}
	}
	if len(c.dials) == MaxCalls {
		s.out.add(Effect{Kind: EffectNoChannel, Peer: s.in.From, Status: uint8(wire.RelayBusy)})
		return
	}
	c.dials = append(c.dials, dialling{peer: s.in.From, at: s.in.At, call: s.callNumber(), until: s.now})
}

func (s *step) callNumber() uint32 {
	s.env.Calls.next++
	return s.env.Calls.next
}

func (s *step) hangup() {
	if s.env.Calls == nil {
		return
	}
	for i := range s.env.Calls.dials {
		d := &s.env.Calls.dials[i]
		if d.peer != s.in.From {
			continue
		}
		switch {
		case d.open != 0 && d.relay != s.n.self:
			s.tellRelay(d.relay, &wire.RelayClose{Channel: d.open})
		case d.open != 0 && s.env.Super != nil:
			s.closeRelay(d.open, s.n.self)
		}
		d.peer, d.until = ident.None, s.now
		return
	}
}

// dialDue asks for the channel, or confirms it, and reports whether the wish is over. It
// asks the peer's two supernodes in turn and takes whichever answers: half of a
// disaster's attachments name a dead one.
func (s *step) dialDue(d *dialling) bool {
	if s.now < d.until {
		return false
	}
	if d.peer == ident.None {
		return true
	}
	if d.at[0] == ident.None {
		d.at[0], d.at[1] = d.at[1], ident.None
	}
	if d.at[0] == ident.None || int(d.tries) == relayTries*len(d.at) {
		s.out.add(Effect{Kind: EffectNoChannel, Peer: d.peer, Status: uint8(wire.RelayGone)})
		return true
	}
	relay := d.at[d.tries%2]
	if relay == ident.None {
		relay = d.at[0]
	}
	again := d.tries / 2
	d.tries++
	d.until = s.now.Add(s.p.PutRetry / 2 << again)
	if relay == s.n.self {
		s.relayHere(d)
		return false
	}
	m := wire.RelayOpen{Call: d.call, Target: d.peer}
	s.out.send(relay, m.Append(s.out.begin(), s.env.Book), again > 0)
	return false
}

func (s *step) onRelayReady() {
	var m wire.RelayReady
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) || s.env.Calls == nil {
		return
	}
	for i := range s.env.Calls.dials {
		d := &s.env.Calls.dials[i]
		if d.call == m.Call && d.peer != ident.None && (d.at[0] == s.in.From || d.at[1] == s.in.From) {
			s.relayAnswer(d, s.in.From, m.Status, m.Channel)
			return
		}
	}
}

// relayAnswer takes a relay's word on a channel.
func (s *step) relayAnswer(d *dialling, relay ident.Handle, status wire.RelayStatus, channel uint64) {
	if status != wire.RelayOK || channel == 0 { // the other one, at once
		if d.open != 0 && d.relay != relay {
			return
		}
		for i := range d.at {
			if d.at[i] == relay {
				d.at[i] = ident.None
			}
		}
		d.open, d.until = 0, s.now
		return
	}
	if d.open != 0 && d.relay != relay && d.tries == 0 {
		return // one is enough; this one is forgotten when nobody confirms it
	}
	if d.open != channel {
		s.out.add(Effect{Kind: EffectChannel, Peer: d.peer, Relay: relay, Channel: channel})
	}
	if d.at[1] == relay { // to be asked first when it is to be confirmed
		d.at[0], d.at[1] = d.at[1], d.at[0]
	}
	d.open, d.relay = channel, relay
	d.tries, d.until = 0, s.now.Add(relayKeep)
}

func (s *step) onRelayIncoming() {
	var m wire.RelayIncoming
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) || s.n.holds(s.in.From) < 0 {
		return
	}
	s.out.add(Effect{Kind: EffectChannel, Peer: m.Caller, Relay: s.in.From, Channel: m.Channel})
	s.tellRelay(s.in.From, &wire.RelayAck{Channel: m.Channel})
}

func (s *step) onRelayClose() {
	var m wire.RelayClose
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	if s.env.Super != nil && s.closeRelay(m.Channel, s.in.From) {
		return
	}
	if s.env.Calls == nil {
		return
	}
	for i := range s.env.Calls.dials {
		if d := &s.env.Calls.dials[i]; d.open == m.Channel && d.relay == s.in.From {
			d.open, d.tries, d.until = 0, 0, s.now
		}
	}
}

// appender is a message about a channel.
type appender interface {
	Append(b []byte, book wire.Book) []byte
}

func (s *step) tellRelay(to ident.Handle, m appender) {
	s.out.send(to, m.Append(s.out.begin(), s.env.Book), false)
}
