package main

import (
	"net"
	"testing"
)

// TestEndlessAnswer: who answers without an end costs no memory, nor a minute.
func TestEndlessAnswer(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	go func() { // ends with the pipe
		b := make([]byte, 64<<10)
		if _, err := there.Read(b); err != nil {
			return
		}
		for sent := 0; ; sent += len(b) {
			if _, err := there.Write(b); err != nil {
				return
			}
			if sent > 16<<20 {
				t.Error("an answer of 16 MiB is read")
				there.Close()
				return
			}
		}
	}()
	if err := step(here, answersOf(here), []byte("hello")); err == nil {
		t.Error("an answer without an end is one")
	}
}

// TestGuests: one name can't take all places, and gives back those that it took.
func TestGuests(t *testing.T) {
	var g guests
	for range maxOfOne {
		if !g.enter("mallory") {
			t.Fatal("no room for mallory")
		}
	}
	if g.enter("mallory") || !g.enter("alice") {
		t.Error("mallory takes the places of others")
	}
	g.leave("mallory")
	if !g.enter("mallory") {
		t.Error("no room for mallory, who has left")
	}
	for range maxOfOne {
		g.leave("mallory")
	}
	g.leave("alice")
	if len(g.by) != 0 {
		t.Errorf("%v are counted that have left", g.by)
	}
}
