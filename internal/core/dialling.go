package core

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// Channels as their caller sees them (PROTOCOL.md section 8). A conversation has two, by
// way of different relays, so that the death of one costs it only the moment in which
// that is noticed (rule R12): the second is opened when the first stands, and when one is
// lost the directory is asked, ever more rarely, until there are two again. Datagrams
// never reach the machine; the driver tells which channel has fallen silent.

// dialling is the wish for channels to peer, for as long as the application has it.
type dialling struct {
	peer  ident.Handle
	at    [2]ident.Handle // where it is said to be attached, less who was asked already
	query uint32          // of the look-up under way, 0 when there is none
	vain  uint8           // look-ups in a row that brought no channel
	name  ident.NameID    // 0: the directory is not asked again
	seq   uint64          // of the newest record that was seen
	seek  vtime.Time      // when the directory is asked for another relay
	legs  [2]leg
}

// leg is one channel of a dialling, or the way to it.
type leg struct {
	relay ident.Handle // None while there is nobody to ask
	call  uint32
	open  uint64     // the channel, 0 while there is none
	until vtime.Time // the answer is due, or the channel wants to be kept open
	tries uint8
	ends  bool // the relay has said so, and there is no other channel yet
}

const (
	relayTries = 3 // RelayOpens sent to each relay
	// relayKeep is how often an open channel is confirmed; a relay forgets a channel
	// after relayLife without.
	relayKeep = 25 * vtime.Second
	relayLife = 3 * relayKeep
	// relayEnds is how long a channel is used that its relay has said to end, for want of
	// another: the relay forwards for relayGrace when the peer has let go.
	relayEnds = vtime.Minute
	// seekMin and seekMax bound the pause before the directory is asked for a relay in
	// place of one that was lost, with half of it drawn. It doubles after seekOften: the
	// peer has another supernode some 8 s after the death of one. A peer that stays with
	// one costs a look-up in 45 s. While the only channel is about to end the pause is
	// seekSoon.
	seekMin   = 2 * vtime.Second
	seekMax   = vtime.Minute
	seekSoon  = vtime.Second / 2
	seekOften = 6
	// seekQuery marks the numbers of the machine's own look-ups.
	seekQuery = 1 << 31
)

func (d *dialling) deadline() vtime.Time {
	t := d.seek
	for i := range d.legs {
		if d.legs[i].relay != ident.None {
			t = vtime.Earlier(t, d.legs[i].until)
		}
	}
	if d.peer == ident.None {
		return 0
	}
	return t
}

// stands returns how many channels are open, and how many are being opened.
func (d *dialling) stands() (open, opening int) {
	for i := range d.legs {
		switch l := &d.legs[i]; {
		case l.open != 0:
			open++
		case l.relay != ident.None:
			opening++
		}
	}
	return open, opening
}

// uses reports whether there is, or may soon be, a channel through relay.
func (d *dialling) uses(relay ident.Handle) bool {
	return d.legs[0].relay == relay || d.legs[1].relay == relay
}

// dial takes the application's wish for a channel. Said again, it means that those there
// are do not work, as far as the application can tell: they are asked for anew, which
// changes nothing where the relay has them.
func (s *step) dial() {
	c := s.calls()
	d := c.dialling(s.in.From)
	if d == nil {
		if len(c.dials) == MaxCalls {
			s.out.add(Effect{Kind: EffectNoChannel, Peer: s.in.From, Status: uint8(wire.RelayBusy)})
			return
		}
		c.dials = append(c.dials, dialling{peer: s.in.From})
		d = &c.dials[len(c.dials)-1]
	}
	d.at, d.name, d.seq = s.in.At, s.in.Name, s.in.Floor
	d.query, d.vain, d.seek = 0, 0, vtime.Never
	for i := range d.legs {
		if l := &d.legs[i]; l.relay == ident.None || l.relay != d.at[0] && l.relay != d.at[1] {
			*l = leg{}
		} else {
			l.open, l.tries, l.until, l.ends = 0, 0, s.now, false
		}
	}
	s.assign(d)
}

func (c *Calls) dialling(peer ident.Handle) *dialling {
	for i := range c.dials {
		if c.dials[i].peer == peer && peer != ident.None {
			return &c.dials[i]
		}
	}
	return nil
}

// assign gives relays that were not asked yet to legs without one. The second waits for
// the first, but no longer than for a quick answer.
func (s *step) assign(d *dialling) {
	for i := range d.at {
		h := d.at[i]
		if d.at[i] = ident.None; h == ident.None || d.uses(h) {
			continue
		}
		_, opening := d.stands()
		for j := range d.legs {
			if l := &d.legs[j]; l.relay == ident.None {
				*l = leg{relay: h, call: s.number(), until: s.now.Add(vtime.Duration(opening) * s.p.PutRetry / 2)}
				h = ident.None
				break
			}
		}
		d.at[i] = h // both legs have one: it is kept for the next
	}
	open, opening := d.stands()
	if open+opening < len(d.legs) && d.name != 0 && d.query == 0 && d.seek == vtime.Never {
		pause := int64(min(seekMin<<max(0, int(d.vain)-seekOften), seekMax))
		if d.vain <= seekOften && (d.legs[0].ends || d.legs[1].ends) {
			pause = int64(seekSoon)
		}
		d.seek = s.now.Add(vtime.Duration(s.n.rng.Between(pause/2, pause)))
	}
}

func (s *step) number() uint32 {
	s.env.Calls.next++
	return s.env.Calls.next &^ seekQuery
}

// hangup gives the channels to a peer up.
func (s *step) hangup() {
	if s.env.Calls == nil {
		return
	}
	d := s.env.Calls.dialling(s.in.From)
	if d == nil {
		return
	}
	for i := range d.legs {
		s.free(&d.legs[i])
	}
	d.peer = ident.None
}

// free tells the relay of a leg that its channel is not needed.
func (s *step) free(l *leg) {
	switch {
	case l.open != 0 && l.relay != s.n.self:
		s.tellRelay(l.relay, &wire.RelayClose{Channel: l.open})
	case l.open != 0 && s.env.Super != nil:
		s.closeRelay(l.open, s.n.self)
	}
}

// dialDue asks for channels, or confirms them, and reports whether the wish is over.
func (s *step) dialDue(d *dialling) bool {
	if d.peer == ident.None {
		return true
	}
	for i := range d.legs {
		s.legDue(d, &d.legs[i])
	}
	open, opening := d.stands()
	switch {
	case open+opening == len(d.legs):
		d.seek = vtime.Never
	case s.now >= d.seek:
		s.seekRelay(d)
	}
	if open+opening > 0 {
		return false
	}
	s.out.add(Effect{Kind: EffectNoChannel, Peer: d.peer, Status: uint8(wire.RelayGone)})
	return true
}

func (s *step) legDue(d *dialling, l *leg) {
	if l.relay == ident.None || s.now < l.until {
		return
	}
	if l.tries == relayTries || l.ends {
		s.lose(d, l)
		return
	}
	again := l.tries
	l.tries++
	l.until = s.now.Add(s.p.PutRetry / 2 << again)
	if l.relay == s.n.self {
		s.relayHere(d, l)
		return
	}
	m := wire.RelayOpen{Call: l.call, Target: d.peer}
	s.out.send(l.relay, m.Append(s.out.begin(), s.env.Book), again > 0)
}

func (s *step) onRelayReady() {
	var m wire.RelayReady
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) || s.env.Calls == nil {
		return
	}
	for i := range s.env.Calls.dials {
		d := &s.env.Calls.dials[i]
		for j := range d.legs {
			if l := &d.legs[j]; l.relay == s.in.From && l.call == m.Call && d.peer != ident.None {
				s.relayAnswer(d, l, m.Status, m.Channel)
				return
			}
		}
	}
}

// relayAnswer takes a relay's word on a channel.
func (s *step) relayAnswer(d *dialling, l *leg, status wire.RelayStatus, channel uint64) {
	if status != wire.RelayOK || channel == 0 { // another one, at once
		s.lose(d, l)
		return
	}
	if l.open != channel || l.ends {
		if l.open != 0 {
			s.out.add(Effect{Kind: EffectChannelOver, Peer: d.peer, Relay: l.relay, Channel: l.open})
		}
		s.out.add(Effect{Kind: EffectChannel, Peer: d.peer, Relay: l.relay, Channel: channel})
		d.vain = 0
	}
	l.open, l.tries, l.until, l.ends = channel, 0, s.now.Add(relayKeep), false
	for i := range d.legs {
		switch o := &d.legs[i]; {
		case o.ends: // it is not needed any longer
			s.lose(d, o)
		case o.open == 0 && o.tries == 0: // it need not wait any longer
			o.until = s.now
		}
	}
}

func (s *step) onRelayIncoming() {
	var m wire.RelayIncoming
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) || s.n.holds(s.in.From) < 0 {
		return
	}
	s.out.add(Effect{Kind: EffectChannel, Peer: m.Caller, Relay: s.in.From, Channel: m.Channel})
	s.tellRelay(s.in.From, &wire.RelayAck{Channel: m.Channel})
}

// appender is a message about a channel.
type appender interface {
	Append(b []byte, book wire.Book) []byte
}

func (s *step) tellRelay(to ident.Handle, m appender) {
	s.out.send(to, m.Append(s.out.begin(), s.env.Book), false)
}
