//go:build unix

package main

import (
	"path/filepath"
	"testing"

	"github.com/ada420b6/overlay/examples/internal/terminal"
)

// TestCall is a call as two people have it, each at a terminal, while somebody kills two of
// the four supernodes: it goes on, and both see how it went.
func TestCall(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs programs")
	}
	ctx, dir := terminal.Patient(t), t.TempDir()
	call, forward := terminal.Build(t, "."), terminal.Build(t, "../forward")
	login := terminal.Open(t, "login", forward, "-login", "127.0.0.1:0", "-state", filepath.Join(dir, "login"))
	login.Expect(ctx, "as -invite\n")
	invite := login.Line(ctx)
	var supers []*terminal.Terminal
	for range 4 {
		s := terminal.Open(t, "supernode", forward, "-invite", invite, "-role", "supernode", "-address", "127.0.0.1:0")
		s.Expect(ctx, "attached as")
		supers = append(supers, s)
	}
	sits := func(name string, args ...string) *terminal.Terminal {
		args = append([]string{"-invite", invite, "-name", name, "-state", filepath.Join(dir, name), "-address", "127.0.0.1:0"}, args...)
		m := terminal.Open(t, name, call, args...)
		m.Expect(ctx, "you are "+name)
		return m
	}
	alice := sits("alice", "bob") // he is not there yet
	alice.Expect(ctx, "bob can't be called: nobody of that name is there")
	bob := sits("bob")
	bob.Expect(ctx, "waiting for calls")
	alice.Expect(ctx, "calling bob")
	bob.Expect(ctx, "alice calls")
	alice.Expect(ctx, "* bob is online")
	goesOn := func() {
		t.Helper()
		for _, m := range []*terminal.Terminal{alice, bob} {
			m.Expect(ctx, " of 50 ") // the second that was under way
			m.Expect(ctx, " gap ")   // one in which something was heard
		}
	}
	goesOn()
	for _, s := range supers[:2] { // the call has gone by way of one of the four, or of two
		s.Kill()
		goesOn()
	}

	alice.Type("\x03") // ^C
	alice.Expect(ctx, "heard of bob:")
	alice.Expect(ctx, "up to 40ms")
	t.Log("alice: largest gap", alice.Expect(ctx, "after the beginning"))
	alice.Ended(ctx)
	bob.Expect(ctx, "alice has hung up")
	bob.Expect(ctx, "heard of alice:")
	bob.Expect(ctx, "largest gap:")

	bob.Expect(ctx, "waiting for calls") // and is free for the next one
	again := sits("alice", "bob")
	bob.Expect(ctx, "alice calls")
	again.Expect(ctx, " gap ")
	bob.Type("\x03")
	bob.Ended(ctx)
	again.Expect(ctx, "bob has hung up")
	again.Ended(ctx)

	login.Kill()
	terminal.Open(t, "carol", call, "-invite", invite, "-name", "carol").Expect(ctx, "nobody of the network has answered yet")
}
