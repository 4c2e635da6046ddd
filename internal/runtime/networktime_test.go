package runtime

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/login"
	"github.com/ada420b6/overlay/internal/vtime"
)

const day = 24 * time.Hour

// A clock is believed while at least half of the certificates seen are in force by it,
// and nobody is refused for beginning later than now.
func TestClockAgainstCertificates(t *testing.T) {
	for _, off := range []time.Duration{-400 * day, -10 * day, 10 * day, 40 * day, 4000 * day} {
		i := newIssuer(t)
		b := i.book("b")
		b.time.clock = func() time.Time { return i.now.Add(off) }
		for range 40 { // a certificate may be 22 days old when it is renewed
			i.show("x", b)
			i.now = i.now.Add(22 * day / 40)
		}
		old := i.book("gone")
		raw := old.AppendMember(nil, old.self, 1)
		i.now = i.now.Add(38 * day)
		i.show("y", b) // signed after the end of old's
		_, _, err := b.ParseMember(raw)
		if over := errors.Is(err, cert.ErrExpired); over != (off > 0) { // a slow clock believes for longer
			t.Errorf("clock off by %v: a certificate that signatures prove to be over: %v", off, err)
		}
	}
}

// Who has kept certificates that are over, as many as you like, does not move the clock of
// a node that hears of living peers.
func TestOldCertificatesDoNotMoveTheClock(t *testing.T) {
	i := newIssuer(t)
	b, kept := i.book("b"), make([][]byte, 200)
	for k := range kept {
		x := i.book(fmt.Sprint("old", k))
		kept[k] = x.AppendMember(nil, x.self, 1)
	}
	i.now = i.now.Add(40 * day)
	for range voters {
		i.show("living", b)
	}
	for k, raw := range kept {
		if _, _, err := b.ParseMember(raw); !errors.Is(err, cert.ErrExpired) {
			t.Fatalf("old certificate %d: %v", k, err)
		}
	}
	b.time.begun = b.time.begun.Add(-witnessLife - time.Second) // nobody was heard for a day
	if _, _, err := b.ParseMember(kept[0]); err != nil {
		t.Fatalf("all that is known lately is over, and the clock is believed: %v", err)
	}
}

// A node never judges its own certificate by its clock, and takes none that is older than
// the one it has is proof of.
func TestOwnCertificateByAWrongClock(t *testing.T) {
	i := newIssuer(t)
	b := i.book("b")
	for _, off := range []time.Duration{-400 * day, 400 * day} {
		b.time.clock = func() time.Time { return i.now.Add(off) }
		if err := b.setOwn(i.certify(b.keys, "b", 3)); err != nil {
			t.Errorf("clock off by %v: %v", off, err)
		}
	}
	i.now = i.now.Add(-40 * day)
	if err := b.setOwn(i.certify(b.keys, "b", 3)); !errors.Is(err, cert.ErrExpired) {
		t.Errorf("a login server whose clock is 40 days slow took the certificate away: %v", err)
	}
}

// 10 000 nodes that enrolled within one minute renew evenly over a quarter of the
// certificate's life, 7.5 days: 55.6 an hour. Of a binomial with that mean no hour of 180
// exceeds 100 in 10^6 runs.
func TestRenewalsAreSpread(t *testing.T) {
	const nodes = 10_000
	begun := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	for what, draw := range map[string]func(c *cert.Certificate, at time.Time) vtime.Duration{
		"granted": func(c *cert.Certificate, _ time.Time) vtime.Duration { return renewGranted(c) },
		"stored":  renewStored,
	} {
		hours := make(map[int]int)
		for n := range nodes {
			at := begun.Add(time.Duration(n) * time.Minute / nodes)
			c := cert.Certificate{NotBefore: at.Add(-login.Backdate).Unix(), NotAfter: at.Add(login.DefaultLifetime).Unix()}
			in := time.Duration(draw(&c, at))
			if age := in + login.Backdate; age < 15*day || age > 23*day {
				t.Fatalf("%s: renewed at an age of %v", what, age)
			}
			hours[int((in+at.Sub(begun))/time.Hour)]++
		}
		most, least := 0, nodes
		for h := 15 * 24; h < 22*24; h++ { // whole hours, away from the ends
			most, least = max(most, hours[h]), min(least, hours[h])
		}
		if most > 100 || least < 20 {
			t.Errorf("%s: %d to %d renewals an hour, even are 56", what, least, most)
		}
		t.Logf("%s: %d to %d renewals an hour in %d hours", what, least, most, len(hours))
	}
}

// What a clock says moves no renewal far away or into a loop.
func TestRenewalByAWrongClock(t *testing.T) {
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	c := cert.Certificate{NotBefore: now.Add(-login.Backdate).Unix(), NotAfter: now.Add(login.DefaultLifetime).Unix()}
	for off, most := range map[time.Duration]time.Duration{
		-400 * day: lateRenewal, -10 * day: lateRenewal, 0: 23 * day, 10 * day: 13 * day, 400 * day: lateRenewal,
	} {
		for range 1000 {
			if in := time.Duration(renewStored(&c, now.Add(off))); in < 0 || in > most {
				t.Fatalf("clock off by %v: renewal in %v", off, in)
			}
		}
	}
}
