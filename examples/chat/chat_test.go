//go:build unix

package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// TestTwoPeople uses the program as two people would: alice and bob, each at a terminal,
// with a login server and three supernodes of others, one of which is killed while they
// talk.
func TestTwoPeople(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs programs")
	}
	ctx, dir := patient(t), t.TempDir()
	chat, forward := build(t, "."), build(t, "../forward")
	login := open(t, "login", forward, "-login", "127.0.0.1:0", "-state", filepath.Join(dir, "login"))
	login.expect(ctx, "as -invite\n")
	invite := login.line(ctx)
	var supers []*terminal
	for range 3 {
		s := open(t, "supernode", forward, "-invite", invite, "-role", "supernode", "-address", "127.0.0.1:0")
		s.expect(ctx, "attached as")
		supers = append(supers, s)
	}
	sits := func(name, other string) *terminal {
		m := open(t, name, chat, "-invite", invite, "-name", name, "-state", filepath.Join(dir, name), "-address", "127.0.0.1:0", other)
		m.expect(ctx, "* you are "+name)
		return m
	}
	alice := sits("alice", "bob")
	alice.expect(ctx, "* bob is offline")
	alice.typed("/msg bob are you there?")
	alice.expect(ctx, "! not delivered to bob: nobody of that name is there")

	bob := sits("bob", "alice")
	bob.expect(ctx, "* alice is online")
	alice.expect(ctx, "* bob is online")
	alice.typed("/msg bob good morning")
	bob.expect(ctx, "alice> good morning\n")
	bob.typed("/msg alice and to you")
	alice.expect(ctx, "bob> and to you\n")
	bob.typed("I have a file for you")
	alice.expect(ctx, "bob> I have a file for you\n")

	data := make([]byte, 3<<20)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(data)
	photo := filepath.Join(dir, "photo.jpg")
	if err := os.WriteFile(photo, data, 0o600); err != nil {
		t.Fatal(err)
	}
	arrives := func(as string) {
		t.Helper()
		bob.typed("/send " + photo)
		bob.expect(ctx, "* photo.jpg to alice: 50 %")
		bob.expect(ctx, "* alice has photo.jpg")
		alice.expect(ctx, "* bob has sent photo.jpg, kept as ")
		got, err := os.ReadFile(filepath.Join(dir, "alice", "files", as))
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes of %d: %v", as, len(got), len(data), err)
		}
	}
	arrives("photo.jpg")
	arrives("photo-2.jpg") // the same again takes nothing's place

	supers[0].kill()
	alice.typed("still there?")
	bob.expect(ctx, "alice> still there?\n")
	bob.typed("of course\x1b[2J") // what clears a screen
	alice.expect(ctx, "bob> of course·[2J\n")

	alice.typed("/add carol")
	alice.expect(ctx, "* carol is offline")
	alice.typed("/who")
	alice.expect(ctx, "* bob is online\n* carol is offline\n")

	bob.kill() // without a word
	alice.expect(ctx, "* bob is offline")
	bob = sits("bob", "alice") // the same name, by what is on its disk
	alice.expect(ctx, "* bob is online")
	bob.typed("/quit")
	bob.ended(ctx)
	alice.expect(ctx, "* bob is offline")
	alice.typed("\x04") // the end of the input
	alice.ended(ctx)

	alice = open(t, "alice", chat, "-invite", invite, "-name", "alice", "-state", filepath.Join(dir, "alice"), "-address", "127.0.0.1:0")
	alice.expect(ctx, "* you are alice") // who remembers her contacts
	alice.expect(ctx, "* carol is offline")
}
