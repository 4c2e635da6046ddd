package runtime_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/login"
	"github.com/ada420b6/overlay/internal/runtime"
	"github.com/ada420b6/overlay/internal/runtime/memnet"
)

const day = 24 * time.Hour

// turned is a clock that a test can turn.
type turned struct{ by atomic.Int64 }

func (c *turned) now() time.Time { return time.Now().Add(time.Duration(c.by.Load())) }

// serveLogin replaces the login server by one that decides otherwise.
func (w *world) serveLogin(a login.Policy) {
	w.t.Helper()
	if err := w.login.Close(); err != nil {
		w.t.Fatal(err)
	}
	server, err := runtime.StartLogin(w.t.Context(), runtime.LoginConfig{
		Store: w.store, Authority: a, ListenPacket: w.net.Host(loginAddr), Address: ":4040",
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.login = server
}

// A machine's clock is wrong by days: before it enrolled, from a moment while it runs, or
// when it comes back with a certificate on disk and no login server to ask. It is attached
// all the same, as a node and as a supernode, finds others and is found.
func TestWrongClock(t *testing.T) {
	for _, off := range []time.Duration{-400 * day, -10 * day, 10 * day, 40 * day, 400 * day} {
		t.Run(fmt.Sprint(off), func(t *testing.T) {
			inWorld(t, memnet.Config{Seed: 11}, func(t *testing.T, w *world) { wrongClock(t, w, off) })
		})
	}
}

func wrongClock(t *testing.T, w *world, off time.Duration) {
	clocks, configs := map[string]*turned{}, map[string]func(*runtime.Config){}
	all := []string{"super", "superwrong", "right", "before", "while", "restart"}
	turn := func(name string) { clocks[name].by.Store(int64(off)) }
	for _, name := range all {
		clock, dir, role := &turned{}, t.TempDir(), core.RoleNode
		if name == "super" || name == "superwrong" {
			role = core.RoleSupernode
		}
		clocks[name] = clock
		configs[name] = func(c *runtime.Config) { c.StateDir, c.Role, c.Clock = dir, role, clock.now }
	}
	turn("superwrong")
	turn("before")
	start := func() {
		w.hosts = 0
		for _, name := range all {
			w.start(name, configs[name])
		}
	}
	meet := func(when string) {
		t.Helper()
		for _, n := range w.nodes {
			w.attached(n, time.Minute)
		}
		<-time.After(time.Minute)
		for _, name := range all {
			if !w.nodes[name].Attached() {
				t.Errorf("%s: %s is no longer attached", when, name)
			}
			if _, err := w.nodes[name].Lookup(t.Context(), "right"); err != nil && name != "right" {
				t.Errorf("%s: %s does not find right: %v", when, name, err)
			}
			if _, err := w.nodes["right"].Lookup(t.Context(), name); err != nil && name != "right" {
				t.Errorf("%s: right does not find %s: %v", when, name, err)
			}
		}
	}
	start()
	meet("at first")
	turn("while")
	meet("turned while it runs")
	w.net.Cut(loginAddr, true)
	keep := map[string]time.Time{}
	for name, n := range w.nodes {
		keep[name] = n.Status().NotAfter
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
	turn("restart")
	start()
	meet("restarted")
	for name, n := range w.nodes {
		if s := n.Status(); !s.NotAfter.Equal(keep[name]) {
			t.Errorf("%s had a certificate until %v, now until %v", name, keep[name], s.NotAfter)
		}
	}
	a, b := w.nodes["right"], w.nodes["restart"]
	ea, eb := endpoint(t, a), endpoint(t, b)
	defer ea.Close()
	defer eb.Close()
	l, err := eb.Listen("echo")
	if err != nil {
		t.Fatal(err)
	}
	go echo(l)
	talk(t, a, ea, "restart")
}

// A node that was switched off until its certificate was over, with a clock that is right,
// gets another one at once.
func TestCertificateEndedOnDisk(t *testing.T) {
	inWorld(t, memnet.Config{Seed: 12}, func(t *testing.T, w *world) {
		dir, superDir := t.TempDir(), t.TempDir()
		super := func(c *runtime.Config) { c.StateDir, c.Role = superDir, core.RoleSupernode }
		w.attached(w.start("s", super), time.Minute)
		config := func(c *runtime.Config) { c.StateDir, c.Role = dir, core.RoleNode }
		n := w.start("a", config)
		w.attached(n, time.Minute)
		first := n.Status().NotAfter
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		if err := w.nodes["s"].Close(); err != nil {
			t.Fatal(err)
		}
		<-time.After(60 * day)
		w.hosts = 0
		w.attached(w.start("s", super), time.Minute)
		again := w.start("a", config)
		w.attached(again, 30*time.Second)
		if s := again.Status(); !s.NotAfter.After(first.Add(59 * day)) {
			t.Errorf("attached with a certificate until %v", s.NotAfter)
		}
	})
}

// Renewals do not loop, whatever the clock says of the certificate that has just come.
func TestNoRenewalLoop(t *testing.T) {
	for _, off := range []time.Duration{-40 * day, 20 * day} {
		inWorld(t, memnet.Config{Seed: 13}, func(t *testing.T, w *world) {
			var asked atomic.Int64
			w.serveLogin(login.Policy{Decide: func(_ context.Context, r login.Request) error {
				if r.Name == "a" {
					asked.Add(1)
				}
				return nil
			}})
			clock, dir := &turned{}, t.TempDir()
			clock.by.Store(int64(off))
			config := func(c *runtime.Config) {
				c.Policy = idle()
				c.Clock, c.StateDir, c.Role = clock.now, dir, core.RoleNode
			}
			w.attached(w.start("s", func(c *runtime.Config) { c.Role, c.Policy = core.RoleSupernode, idle() }), time.Minute)
			n := w.start("a", config)
			w.attached(n, time.Minute)
			<-time.After(2 * time.Hour)
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
			w.hosts = 1
			w.attached(w.start("a", config), time.Minute) // from disk: due by such a clock
			<-time.After(2 * time.Hour)
			// Once to enrol, once from disk, and again when that answer went to the session of
			// before the restart; a loop would ask every half hour.
			if got := asked.Load(); got < 1 || got > 3 {
				t.Errorf("clock off by %v: a asked for %d certificates in four hours", off, got)
			}
		})
	}
}

// idle is a policy for long stretches in which nothing happens.
func idle() core.Policy {
	p := core.DefaultPolicy()
	const hour = 3600_000_000_000
	p.Keepalive, p.KeepaliveThin, p.RecordRefresh = hour, hour, 24*hour
	p.AntiEntropy, p.ScalePeriod, p.GossipPeriod, p.PingPeriod = 24*hour, 24*hour, hour/60, hour/60
	return p
}

// The login server is dead for eleven days in which a certificate runs out: it is believed
// for seven days more, so the node loses nothing, and when the login server is back it
// gets another one within RenewRetry. Had the outage lasted longer, others who have a
// certificate in force would refuse it.
func TestCertificateEndsWhileLoginIsDead(t *testing.T) {
	inWorld(t, memnet.Config{Seed: 14}, func(t *testing.T, w *world) {
		w.serveLogin(login.Policy{Lifetime: 5 * day})
		config := map[string]func(*runtime.Config){}
		for _, name := range []string{"s", "a", "b"} {
			role := core.RoleNode
			if name == "s" {
				role = core.RoleSupernode
			}
			dir := t.TempDir()
			config[name] = func(c *runtime.Config) { c.Role, c.StateDir, c.Policy = role, dir, idle() }
			w.attached(w.start(name, config[name]), time.Minute)
		}
		w.net.Cut(loginAddr, true)
		ends := w.nodes["a"].Status().NotAfter
		// Everybody reboots and is away for a while, shows a certificate, and does so again.
		reboot := func(away time.Duration) {
			t.Helper()
			for _, n := range w.nodes {
				if err := n.Close(); err != nil {
					t.Fatal(err)
				}
			}
			<-time.After(away)
			w.hosts = 0
			for _, name := range []string{"s", "a", "b"} {
				w.start(name, config[name])
			}
			for _, n := range w.nodes {
				w.attached(n, time.Minute)
			}
		}
		reboot(5*day - 3*time.Hour)
		<-time.After(6 * time.Hour)
		if past := time.Since(ends); past < 0 || !w.nodes["a"].Attached() || !w.nodes["b"].Attached() {
			t.Fatalf("not attached %v after the end of the certificate", past)
		}
		reboot(6 * day)
		if past := time.Since(ends); past < 6*day || past > runtime.Grace {
			t.Fatalf("the certificate has been over for %v", past)
		}
		for name, n := range w.nodes {
			if !n.Status().NotAfter.Before(time.Now()) {
				t.Errorf("%s got a certificate from a dead login server", name)
			}
		}
		if _, err := w.nodes["a"].Lookup(t.Context(), "b"); err != nil {
			t.Fatal(err)
		}
		w.net.Cut(loginAddr, false)
		<-time.After(2 * time.Hour) // what was tried in vain is tried again within the hour
		for name, n := range w.nodes {
			if !n.Status().NotAfter.After(time.Now()) {
				t.Errorf("%s got no other certificate", name)
			}
		}
	})
}
