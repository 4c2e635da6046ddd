package main

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"

	"github.com/ada420b6/overlay"
)

// packet is a datagram with its sender.
type packet struct {
	data []byte
	from net.Addr
}

// takeAll hands on what comes to pc, until that is closed. One goroutine reads, since calls
// come to one socket, one after the other: a call that is over must not take what is the
// next one's.
func takeAll(ctx context.Context, pc net.PacketConn) <-chan packet {
	packets := make(chan packet)
	go func() { // ends with pc, or with ctx
		defer close(packets)
		for {
			b := make([]byte, overlay.MaxDatagram)
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			select {
			case packets <- packet{b[:n], from}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return packets
}

// nameOf returns who sent from an address, which the network has proven.
func nameOf(from net.Addr) string {
	name, _, _ := net.SplitHostPort(fmt.Sprint(from))
	return name
}

// line is a call that was taken, until ended.
type line struct {
	pc      net.PacketConn
	packets <-chan packet
	name    string
	from    atomic.Pointer[net.Addr]
	ended   <-chan struct{}
}

func newLine(pc net.PacketConn, packets <-chan packet, first packet, ended <-chan struct{}) *line {
	l := &line{pc: pc, packets: packets, name: nameOf(first.from), ended: ended}
	l.from.Store(&first.from)
	return l
}

// hear waits for what the caller says. Whoever else calls meanwhile is not heard.
func (l *line) hear(b []byte) (int, error) {
	for {
		select {
		case <-l.ended:
			return 0, net.ErrClosed
		case p, ok := <-l.packets:
			switch {
			case !ok:
				return 0, net.ErrClosed
			case nameOf(p.from) == l.name:
				l.from.Store(&p.from) // it may have another port after a reboot
				return copy(b, p.data), nil
			}
		}
	}
}

// say answers to where the caller was heard from last.
func (l *line) say(b []byte) (int, error) { return l.pc.WriteTo(b, *l.from.Load()) }
