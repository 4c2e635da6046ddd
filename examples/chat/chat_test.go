//go:build unix

package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/ada420b6/overlay/examples/internal/terminal"
)

// TestTwoPeople uses the program as two people would: alice and bob, each at a terminal,
// with a login server and three supernodes of others, one of which is killed while they
// talk.
func TestTwoPeople(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs programs")
	}
	ctx, dir := terminal.Patient(t), t.TempDir()
	chat, forward := terminal.Build(t, "."), terminal.Build(t, "../forward")
	login := terminal.Open(t, "login", forward, "-login", "127.0.0.1:0", "-state", filepath.Join(dir, "login"))
	login.Expect(ctx, "as -invite\n")
	invite := login.Line(ctx)
	var supers []*terminal.Terminal
	for range 3 {
		s := terminal.Open(t, "supernode", forward, "-invite", invite, "-role", "supernode", "-address", "127.0.0.1:0")
		s.Expect(ctx, "attached as")
		supers = append(supers, s)
	}
	sits := func(name, other string) *terminal.Terminal {
		m := terminal.Open(t, name, chat, "-invite", invite, "-name", name, "-state", filepath.Join(dir, name), "-address", "127.0.0.1:0", other)
		m.Expect(ctx, "* you are "+name)
		return m
	}
	alice := sits("alice", "bob")
	alice.Expect(ctx, "* bob is offline")
	alice.Type("/msg bob are you there?")
	alice.Expect(ctx, "! not delivered to bob: nobody of that name is there")

	bob := sits("bob", "alice")
	bob.Expect(ctx, "* alice is online")
	alice.Expect(ctx, "* bob is online")
	alice.Type("/msg bob good morning")
	bob.Expect(ctx, "alice> good morning\n")
	bob.Type("/msg alice and to you")
	alice.Expect(ctx, "bob> and to you\n")
	bob.Type("I have a file for you")
	alice.Expect(ctx, "bob> I have a file for you\n")

	data := make([]byte, 3<<20)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(data)
	photo := filepath.Join(dir, "photo.jpg")
	if err := os.WriteFile(photo, data, 0o600); err != nil {
		t.Fatal(err)
	}
	arrives := func(as string) {
		t.Helper()
		bob.Type("/send " + photo)
		bob.Expect(ctx, "* photo.jpg to alice: 50 %")
		bob.Expect(ctx, "* alice has photo.jpg")
		alice.Expect(ctx, "* bob has sent photo.jpg, kept as ")
		got, err := os.ReadFile(filepath.Join(dir, "alice", "files", as))
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes of %d: %v", as, len(got), len(data), err)
		}
	}
	arrives("photo.jpg")
	arrives("photo-2.jpg") // the same again takes nothing's place

	supers[0].Kill()
	alice.Type("still there?")
	bob.Expect(ctx, "alice> still there?\n")
	bob.Type("of course\x1b[2J") // what clears a screen
	alice.Expect(ctx, "bob> of course·[2J\n")

	alice.Type("/add carol")
	alice.Expect(ctx, "* carol is offline")
	alice.Type("/who")
	alice.Expect(ctx, "* bob is online\n* carol is offline\n")

	bob.Kill() // without a word
	alice.Expect(ctx, "* bob is offline")
	bob = sits("bob", "alice") // the same name, by what is on its disk
	alice.Expect(ctx, "* bob is online")
	bob.Type("/quit")
	bob.Ended(ctx)
	alice.Expect(ctx, "* bob is offline")
	alice.Type("\x04") // the end of the input
	alice.Ended(ctx)

	alice = terminal.Open(t, "alice", chat, "-invite", invite, "-name", "alice", "-state", filepath.Join(dir, "alice"), "-address", "127.0.0.1:0")
	alice.Expect(ctx, "* you are alice") // who remembers her contacts
	alice.Expect(ctx, "* carol is offline")

	login.Kill()
	carol := terminal.Open(t, "carol", chat, "-invite", invite, "-name", "carol", "-state", filepath.Join(dir, "carol"))
	carol.Expect(ctx, "* nobody of the network has answered yet")
}
