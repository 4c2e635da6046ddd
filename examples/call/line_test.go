package main

import (
	"encoding/binary"
	"net"
	"testing"
)

// ends is a socket that hands out what it was given, and keeps whom was written to.
type ends struct {
	net.PacketConn
	in chan packet
	to chan net.Addr
}

func (e *ends) ReadFrom(b []byte) (int, net.Addr, error) {
	p, ok := <-e.in
	if !ok {
		return 0, nil, net.ErrClosed
	}
	return copy(b, p.data), p.from, nil
}

func (e *ends) WriteTo(b []byte, to net.Addr) (int, error) {
	e.to <- to
	return len(b), nil
}

type caller string

func (c caller) Network() string { return "overlay" }
func (c caller) String() string  { return string(c) }

// TestLinesFollowEachOther: a call that is over takes nothing of the next one, and what is
// said in it goes to where the caller is.
func TestLinesFollowEachOther(t *testing.T) {
	e := &ends{in: make(chan packet), to: make(chan net.Addr, 1)}
	packets := takeAll(t.Context(), e)
	says := func(from caller, number uint32) {
		p := packet{make([]byte, size), from}
		binary.BigEndian.PutUint32(p.data, number)
		e.in <- p
	}
	takes := func() (l *line, ears chan heard, end func()) {
		ended := make(chan struct{})
		l = newLine(e, packets, <-packets, ended)
		ears = make(chan heard, 256)
		go listen(l.hear, ears, ended)
		return l, ears, func() { close(ended) }
	}
	go says("alice:1", 1)
	alice, ears, end := takes()
	says("bob:1", 1) // she is talked to
	says("alice:2", 2)
	if h := <-ears; h.number != 2 {
		t.Errorf("packet %d is heard of alice", h.number)
	}
	if _, err := alice.say([]byte("yes")); err != nil {
		t.Error(err)
	}
	if to := <-e.to; to != caller("alice:2") {
		t.Errorf("it is said to %v", to)
	}
	end()
	for range ears { // until it has ended
	}
	go says("bob:1", 100)
	_, ears, end = takes()
	for i := range uint32(50) {
		says("bob:1", 101+i)
		if h := <-ears; h.number != 101+i {
			t.Fatalf("packet %d is heard, for %d", h.number, 101+i)
		}
	}
	end()
	close(e.in)
	for range packets {
	}
}
