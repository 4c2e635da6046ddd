package core

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// Relays (PROTOCOL.md section 8). The machine says which channels stand; the datagrams
// on them never reach it.

// MaxChannels bounds the channels through one relay: at 56 bytes each 230 kB, and at
// the planned 1 % of users in a call, all relayed over two channels, a hundred times what
// 1 600 attachments need.
const MaxChannels = 4096

// MaxChannelsEach bounds those of one caller, so that one can't take them all.
const MaxChannelsEach = 64

// channel is one pair of nodes whose datagrams this supernode forwards.
type channel struct {
	number uint64
	caller ident.Handle
	target ident.Handle
	call   uint32     // the caller's number for it
	tries  uint8      // RelayIncomings sent
	known  bool       // the target has confirmed
	over   bool       // the target is no longer attached: it is forwarded until ends
	until  vtime.Time // the RelayIncoming is repeated
	ends   vtime.Time // the channel is forgotten unless the caller confirms it
}

func (c *channel) due() vtime.Time {
	if c.known {
		return c.ends
	}
	return vtime.Earlier(c.until, c.ends)
}

func (s *step) onRelayOpen() {
	sn := s.env.Super
	var m wire.RelayOpen
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	a := wire.RelayReady{Call: m.Call}
	c := s.openRelay(s.in.From, m.Target, m.Call)
	switch {
	case c != nil:
		a.Channel = c.number
	case len(sn.channels) >= MaxChannels, s.now < sn.crowdedBy:
		a.Status, a.Wait = wire.RelayBusy, s.p.FullWait
	default:
		a.Status = wire.RelayGone
	}
	s.out.send(s.in.From, a.Append(s.out.begin(), s.env.Book), false)
}

// crowdedFor is how long no channel is opened after the driver has said that too many share
// the budget: it says so again every second while that lasts.
const crowdedFor = 3 * vtime.Second

// crowded sheds new channels, so that those that stand keep what they have.
func (s *step) crowded() {
	if sn := s.env.Super; sn != nil {
		sn.crowdedBy = s.now.Add(crowdedFor)
	}
}

// relayHere opens a channel of this node's own through itself.
func (s *step) relayHere(d *dialling, l *leg) {
	if s.env.Super != nil {
		if c := s.openRelay(s.n.self, d.peer, l.call); c != nil {
			s.relayAnswer(d, l, wire.RelayOK, c.number)
			return
		}
	}
	s.relayAnswer(d, l, wire.RelayGone, 0)
}

// openRelay returns the channel from caller to target, which must be attached here or
// be this node itself; nil when there can be none.
func (s *step) openRelay(caller, target ident.Handle, call uint32) *channel {
	sn, self := s.env.Super, s.n.self
	if s.n.leaving || sn.leaveBy != vtime.Never {
		return nil
	}
	own := 0
	for i := range sn.channels {
		c := &sn.channels[i]
		if c.caller != caller {
			continue
		}
		if c.target == target && c.call == call && !c.over {
			c.ends = s.now.Add(relayLife)
			return c
		}
		own++
	}
	if s.now < sn.crowdedBy && caller != self && target != self { // its own calls are not forwarded
		return nil
	}
	_, attached := sn.find(target)
	if target != self && !attached || target == caller || len(sn.channels) >= MaxChannels || own >= MaxChannelsEach {
		return nil
	}
	c := channel{
		number: s.n.rng.Uint64() | 1, caller: caller, target: target, call: call,
		known: target == self, until: s.now, ends: s.now.Add(relayLife),
	}
	i := s.placeOf(c.number)
	sn.channels = append(sn.channels, channel{})
	copy(sn.channels[i+1:], sn.channels[i:])
	sn.channels[i] = c
	s.out.add(Effect{Kind: EffectForward, Peer: caller, Relay: target, Channel: c.number})
	if target == self {
		s.out.add(Effect{Kind: EffectChannel, Peer: caller, Relay: self, Channel: c.number})
	}
	return &sn.channels[i]
}

// forwarding reports whether a channel is about to end that its caller may still need.
func (sn *Supernode) forwarding() bool {
	for i := range sn.channels {
		if sn.channels[i].over {
			return true
		}
	}
	return false
}

func (s *step) placeOf(number uint64) int {
	ch := s.env.Super.channels
	lo, hi := 0, len(ch)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); ch[mid].number < number {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

func (s *step) onRelayAck() {
	var m wire.RelayAck
	if !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) {
		return
	}
	ch := s.env.Super.channels
	if i := s.placeOf(m.Channel); i < len(ch) && ch[i].number == m.Channel && ch[i].target == s.in.From {
		ch[i].known = true
	}
}

// relaysDue tells targets of their channels until they confirm, and forgets channels
// whose caller does not confirm them.
func (s *step) relaysDue() {
	sn := s.env.Super
	for i := 0; i < len(sn.channels); i++ {
		c := &sn.channels[i]
		if s.now >= c.ends || !c.known && c.tries == publishTries && s.now >= c.until {
			s.dropChannel(i)
			i--
			continue
		}
		if !c.known && s.now >= c.until {
			c.until = s.now.Add(s.p.PutRetry << c.tries)
			c.tries++
			s.tellRelay(c.target, &wire.RelayIncoming{Channel: c.number, Caller: c.caller})
		}
	}
}

// closeRelay forgets a channel at the word of one of its ends, and tells the other.
func (s *step) closeRelay(number uint64, from ident.Handle) bool {
	ch := s.env.Super.channels
	i := s.placeOf(number)
	if i == len(ch) || ch[i].number != number || ch[i].caller != from && ch[i].target != from {
		return false
	}
	other := ch[i].caller
	if other == from {
		other = ch[i].target
	}
	s.dropChannel(i)
	if other != s.n.self {
		s.tellRelay(other, &wire.RelayClose{Channel: number})
	}
	return true
}

// relayGrace is how long a channel is forwarded when its target has let go: a caller who
// has no other one finds the target where it is attached now.
const relayGrace = 3 * vtime.Second

// closeRelays lets the channels to a node end that is no longer attached, and tells both
// ends: the node may have gone on purpose, and they use another one at once.
func (s *step) closeRelays(target ident.Handle) {
	sn := s.env.Super
	for i := range sn.channels {
		if c := &sn.channels[i]; c.target == target && !c.over {
			c.over, c.known, c.ends = true, true, s.now.Add(relayGrace)
			s.tellRelay(c.target, &wire.RelayClose{Channel: c.number})
			if c.caller == s.n.self {
				s.loseChannel(c.number, s.n.self)
			} else {
				s.tellRelay(c.caller, &wire.RelayClose{Channel: c.number})
			}
		}
	}
}

// partRelays tells the ends of all channels that this supernode is about to leave, while
// it still forwards: who has another one loses nothing. Its own conversations need no
// relay.
func (s *step) partRelays() {
	sn := s.env.Super
	for i := range sn.channels {
		if c := &sn.channels[i]; c.caller != s.n.self && c.target != s.n.self {
			s.tellRelay(c.caller, &wire.RelayClose{Channel: c.number})
			s.tellRelay(c.target, &wire.RelayClose{Channel: c.number})
		}
	}
}

// tellChannels tells a node that has attached anew of the channels to it: if it has
// rebooted it knows nothing of them, and their callers need not find out by silence.
func (s *step) tellChannels(target ident.Handle) {
	sn := s.env.Super
	for i := range sn.channels {
		if c := &sn.channels[i]; c.target == target && !c.over {
			c.known, c.tries, c.until = false, 0, s.now
		}
	}
}

func (s *step) dropChannel(i int) {
	sn := s.env.Super
	s.out.add(Effect{Kind: EffectUnforward, Channel: sn.channels[i].number})
	sn.channels = append(sn.channels[:i], sn.channels[i+1:]...)
}
