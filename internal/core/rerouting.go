package core

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// How a call that loses a channel gets another one: by the word of its relay, which leaves
// on purpose, or because nothing comes on it any more. The other relays that the peer is
// said to be at are asked at once, then the directory, ever more rarely.

// silent takes the driver's word that probes on a channel are not answered. Whoever is
// attached to its relay asks that now: it is likely that it has died.
func (s *step) silent() {
	if i := s.n.holds(s.in.At[0]); i >= 0 {
		s.n.at[i].alive.Doubt(s.now)
	}
	if s.env.Calls == nil {
		return
	}
	if d := s.env.Calls.dialling(s.in.From); d != nil {
		for j := range d.legs {
			if l := &d.legs[j]; l.open == s.in.Channel && l.open != 0 {
				s.free(l)
				s.lose(d, l)
			}
		}
	}
}

// onRelayClose takes the word that a channel ends: an end's to its relay, or the relay's
// to an end, which may be the called one and have no dialling.
func (s *step) onRelayClose() {
	var m wire.RelayClose
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	if s.env.Super != nil && s.closeRelay(m.Channel, s.in.From) || s.loseChannel(m.Channel, s.in.From) {
		return
	}
	s.out.add(Effect{Kind: EffectChannelOver, Relay: s.in.From, Channel: m.Channel})
}

// loseChannel ends the leg with a channel, if there is one.
func (s *step) loseChannel(number uint64, relay ident.Handle) bool {
	if s.env.Calls == nil || number == 0 {
		return false
	}
	for i := range s.env.Calls.dials {
		d := &s.env.Calls.dials[i]
		for j := range d.legs {
			if l := &d.legs[j]; l.open == number && l.relay == relay {
				s.end(d, l)
				return true
			}
		}
	}
	return false
}

// end takes the word that a channel ends. The only one that is open is used for as long as
// it lasts.
func (s *step) end(d *dialling, l *leg) {
	if open, _ := d.stands(); open > 1 {
		s.lose(d, l)
		return
	}
	if l.ends {
		return
	}
	s.out.add(Effect{Kind: EffectChannelOver, Peer: d.peer, Relay: l.relay, Channel: l.open})
	l.ends, l.until, d.seek = true, s.now.Add(relayEnds), vtime.Never
	s.assign(d)
}

// lose gives a leg to another relay, or lets one be sought.
func (s *step) lose(d *dialling, l *leg) {
	if l.open != 0 {
		s.out.add(Effect{Kind: EffectChannelOver, Peer: d.peer, Relay: l.relay, Channel: l.open})
	}
	*l = leg{}
	s.assign(d)
}

// seekRelay asks the directory where the peer is attached now.
func (s *step) seekRelay(d *dialling) {
	c := s.env.Calls
	d.seek = vtime.Never
	d.vain = min(d.vain+1, seekOften+5)
	if len(c.lookups) == MaxCalls {
		s.assign(d)
		return
	}
	d.query = s.number() | seekQuery
	c.lookups = append(c.lookups, lookup{
		name: d.name, floor: d.seq, query: d.query, until: s.now, ends: s.now.Add(lookupTries * s.lookupWait()),
	})
	s.lookupDue(&c.lookups[len(c.lookups)-1]) // what is answered at once is cleared away later
}

// sought takes the answer to seekRelay.
func (s *step) sought(query uint32, status wire.LookupStatus, r wire.Record) {
	for i := range s.env.Calls.dials {
		d := &s.env.Calls.dials[i]
		if d.query != query {
			continue
		}
		d.query = 0
		if status == wire.LookupFound && r.Owner == d.peer {
			d.at, d.seq = r.At, r.Seq
		}
		s.assign(d)
		return
	}
}

// relayForgot lets channels by way of relay be opened anew: it has rebooted.
func (s *step) relayForgot(relay ident.Handle) {
	for i := range s.env.Calls.dials {
		d := &s.env.Calls.dials[i]
		for j := range d.legs {
			if l := &d.legs[j]; l.relay == relay && l.open != 0 && !l.ends {
				s.out.add(Effect{Kind: EffectChannelOver, Peer: d.peer, Relay: relay, Channel: l.open})
				l.open, l.tries, l.until = 0, 0, s.now
			}
		}
	}
}
