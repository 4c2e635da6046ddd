package core

import (
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// enrolment gets a certificate from a login server, once, and renews it. It is not on
// the healing path (rule R4): a node that holds a certificate never waits for it.
type enrolment struct {
	nonce     uint64
	until     vtime.Time // the answer is due, or the next request
	renew     vtime.Time // when the certificate should be renewed
	tries     uint16
	listNonce uint32 // of the ListRequest under way, 0 when there is none
	which     uint8  // the login server that was asked last
	phase     enrolPhase
}

type enrolPhase uint8

const (
	enrolled   enrolPhase = iota // nothing to do before renew
	applying                     // a request is out
	postponing                   // the next request goes out at until
)

func (e *enrolment) deadline() vtime.Time {
	if e.phase == enrolled {
		return e.renew
	}
	return e.until
}

func (e *enrolment) hurry(now vtime.Time) {
	if e.phase == postponing {
		e.until = now
	}
}

// again lets the next try follow at once: the server has given a cookie.
func (e *enrolment) again(ident.Handle, vtime.Time) {}

// enrol asks a login server for a certificate.
func (s *step) enrol() {
	e := &s.n.login
	if len(s.env.Logins) == 0 {
		e.phase, e.until = postponing, s.now.Add(s.p.BackoffMax)
		return
	}
	if e.tries == 0 || s.p.LoginFirst { // in 2007 an answer that came late was worth nothing
		e.nonce = s.n.rng.Uint64()
	}
	if e.tries == 0 {
		e.which = uint8(s.n.rng.Intn(len(s.env.Logins)))
	} else {
		e.which = uint8((int(e.which) + 1) % len(s.env.Logins))
	}
	e.tries = min(e.tries+1, 1<<16-2)
	e.phase, e.until = applying, s.now.Add(s.p.LoginPatience)
	m := wire.LoginRequest{Nonce: e.nonce}
	s.out.send(s.env.Logins[e.which], m.Append(s.out.begin(), s.env.Book), true)
	s.n.budget.Spend(1)
}

func (s *step) enrolDue() {
	e := &s.n.login
	if s.now < e.deadline() {
		return
	}
	switch e.phase {
	case enrolled: // the certificate wants to be renewed
		e.renew, e.tries = vtime.Never, 0
		s.enrol()
	case applying:
		s.postpone(0)
	case postponing:
		if next := s.n.budget.Next(s.now, s.p.PacketBudget, 1); next > s.now {
			e.until = next
			return
		}
		s.enrol()
	}
}

// postpone waits before the next request: as long as the server said, or, while no
// server answers, with full jitter for ever. Who is held by a supernode has a certificate
// that others believe, and time.
func (s *step) postpone(wait vtime.Duration) {
	e := &s.n.login
	switch {
	case wait > 0:
		wait += vtime.Duration(s.n.rng.Between(0, int64(wait)/2+1))
	case s.p.RetryPause > 0:
		wait = s.p.RetryPause
	case s.n.certified && !s.p.LoginFirst && !(s.n.doubted && s.n.count() == 0):
		wait = s.p.RenewRetry/2 + vtime.Duration(s.n.rng.Between(0, int64(s.p.RenewRetry/2)))
	case int(e.tries) <= s.p.QuickRounds:
		wait = vtime.Duration(s.n.rng.Between(0, int64(s.p.BackoffMin)))
	default:
		wait = vtime.Duration(s.n.rng.Between(int64(s.p.BackoffMin), int64(s.p.BackoffMax)))
	}
	e.phase, e.until = postponing, s.now.Add(wait)
}

func (s *step) onLoginReply() {
	var m wire.LoginReply
	e := &s.n.login
	if !s.fromLogin() || !s.parsed(m.Parse(s.in.Bytes, s.env.Book)) || e.phase == enrolled || m.Nonce != e.nonce {
		return
	}
	switch m.Status {
	case wire.LoginGranted:
		*e = enrolment{renew: vtime.Never}
		s.out.add(Effect{Kind: EffectCertified})
		if first := !s.n.certified || s.p.LoginFirst; first {
			s.n.certified = true
			s.arrive(0)
		} else if s.n.doubted { // this one nobody refuses
			s.n.seek.Hurry(s.now)
		}
		s.n.doubted = false
	case wire.LoginBusy:
		s.postpone(s.busyWait(m.Wait))
	default:
		if s.n.certified && !s.p.LoginFirst { // the certificate holds a while yet: ask again
			s.n.doubted = false
			s.postpone(0)
		} else {
			*e = enrolment{renew: vtime.Never}
		}
		s.out.push(Effect{Kind: EffectDenied, Status: uint8(m.Status)}, append(s.out.begin(), m.Text...))
	}
}

// busyWait is at least what the server said. A crowd that has been refused again and again
// is larger than the server can see in its queue: then it comes back more slowly.
func (s *step) busyWait(said vtime.Duration) vtime.Duration {
	if int(s.n.login.tries) > s.p.QuickRounds {
		said = max(said, vtime.Duration(s.n.rng.Between(int64(s.p.BackoffMin), int64(s.p.BackoffMax))))
	}
	return max(said, vtime.Second)
}

func (s *step) fromLogin() bool {
	for _, h := range s.env.Logins {
		if h == s.in.From {
			return true
		}
	}
	s.n.bad++
	return false
}
