package core

import (
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// How a supernode goes on purpose (PROTOCOL.md section 14): every node that it holds is
// told to find another place, and is served until it has one (rule R7). So a planned
// reboot costs nobody a moment without an attachment, whoever else goes at the same time.
//
// The ends of the channels that it forwards are told first, so that they use their other
// one before its nodes let go.
//
// It hands out names, not slots: who is named answers a probe with a slot in one round
// trip, and knows better than the one who leaves what it has given away since.

// superLeave begins to step down. LeavePatience is two slot horizons by default: whoever
// was given a slot elsewhere can wait for it here, and who was told to come back as well.
func (s *step) superLeave() {
	sn := s.env.Super
	if sn.leaveBy != vtime.Never {
		return
	}
	sn.leaveBy = s.now.Add(s.p.LeavePatience)
	sn.remind, sn.reminders = s.now, 0
	s.succeed()
	s.leaveDue()
}

// leaveDue repeats the goodbye to those who are still here, after 1, 2, 4 s and so on,
// since it may have been lost, and names whoever has come to serve since. When nobody is
// left and no channel ends just now, or the patience is over, the supernode goes; sooner when there is no other
// supernode, since nobody has come to serve where it called for one.
func (s *step) leaveDue() {
	sn := s.env.Super
	if sn.roster.Usable() == 1 && sn.reminders == aloneReminders {
		sn.leaveBy = vtime.Earlier(sn.leaveBy, sn.remind)
	}
	if len(sn.held) == 0 && !sn.forwarding() || s.now >= sn.leaveBy {
		s.demote()
		return
	}
	if s.now < sn.remind {
		return
	}
	sn.remind = s.now.Add(vtime.Second << sn.reminders)
	sn.reminders++
	s.partRelays()
	for i := range sn.held {
		s.sayLeaving(&sn.held[i])
	}
}

// aloneReminders is how often the last supernode says goodbye before it goes: after 7 s,
// time enough for a standby to begin.
const aloneReminders = 3

// letGo ends the attachments to supernodes that are about to leave, since the one to keep
// has just shown that it lives.
func (s *step) letGo(keep int) {
	n := s.n
	for i := range n.at {
		if a := n.at[i]; i != keep && a.parting && !n.at[keep].parting {
			s.goodbye(a.peer, a.token, wire.FarewellReplaced)
			s.drop(i)
		}
	}
}

// succeed has a standby serve in this supernode's place, if the tier would miss it.
func (s *step) succeed() {
	sn := s.env.Super
	v := s.tierView()
	if sn.roster.Usable() > s.p.MinTier && v.Util <= uint8(s.tierPolicy().Target) {
		return
	}
	for _, h := range sn.standbys {
		if i, ok := sn.find(h); ok && sn.held[i].able {
			m := wire.Appoint{Tier: v}
			s.out.send(h, m.Append(s.out.begin(), s.env.Book), false)
			return
		}
	}
}

func (s *step) sayLeaving(h *holding) {
	m := wire.Goodbye{Token: h.token, Reason: wire.FarewellLeaving, Peers: s.alternates(h.peer)}
	s.out.send(h.peer, m.Append(s.out.begin(), s.env.Book), false)
}
