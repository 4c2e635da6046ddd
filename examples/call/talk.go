package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/ada420b6/overlay"
)

const (
	service = ":voice"
	// pace and size are those of a telephone: 20 ms of sound in 160 bytes.
	pace = 20 * time.Millisecond
	size = 160
	// silence is how long nothing may be heard before the other side counts as gone: longer
	// than a conversation needs to find another way.
	silence = time.Minute
	// again is how often somebody is called who can't be reached.
	again = 3 * time.Second
	// goodbyes is how often the end of a call is said, by a datagram without sound: one may
	// be lost.
	goodbyes = 3
)

// call calls a peer, again and again until it answers, and talks until ctx ends.
func call(ctx context.Context, node *overlay.Node, peer string) error {
	for {
		dial, cancel := context.WithTimeout(ctx, 20*time.Second)
		conn, err := node.DialContext(dial, "udp", peer+service)
		cancel()
		if err == nil {
			defer conn.Close()
			fmt.Println("calling", peer)
			return talk(ctx, node, peer, sound{conn.Read, conn.Write})
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		fmt.Printf("%s can't be called: %s\n", peer, reason(err))
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// answer takes calls, one after the other, until ctx ends.
func answer(ctx context.Context, node *overlay.Node) error {
	pc, err := node.ListenPacket("udp", service)
	if err != nil {
		return err
	}
	defer pc.Close()
	packets := takeAll(ctx, pc)
	for ctx.Err() == nil {
		fmt.Println("waiting for calls")
		first, ok := rings(ctx, packets)
		if !ok {
			return net.ErrClosed
		}
		under, hang := context.WithCancel(ctx)
		l := newLine(pc, packets, first, under.Done())
		fmt.Println(l.name, "calls")
		_ = talk(under, node, l.name, sound{l.hear, l.say})
		hang()
	}
	return ctx.Err()
}

// rings waits for the first sound of a caller; the goodbyes of the last one have none.
func rings(ctx context.Context, packets <-chan packet) (first packet, ok bool) {
	for {
		select {
		case p, ok := <-packets:
			if !ok || len(p.data) == size {
				return p, ok
			}
		case <-ctx.Done():
			return packet{}, false
		}
	}
}

// sound is both directions of a call.
type sound struct {
	hear func([]byte) (int, error)
	say  func([]byte) (int, error)
}

// heard is a datagram of the other side.
type heard struct {
	at     time.Time
	number uint32
}

// talk says something every 20 ms, and shows what it hears, until ctx ends, the other side
// hangs up or it has been silent for long.
func talk(ctx context.Context, node *overlay.Node, peer string, s sound) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ears := make(chan heard, 256)
	go listen(s.hear, ears, ctx.Done()) // ends with the conn, or after what it hears next
	news := make(chan overlay.Presence)
	seen := node.Watch(ctx, peer)
	go func() { // ends with ctx
		for p := range seen {
			select {
			case news <- p:
			case <-ctx.Done():
			}
		}
	}()
	speak, second := time.NewTicker(pace), time.NewTicker(time.Second)
	defer speak.Stop()
	defer second.Stop()

	m := newMeter(time.Now())
	defer func() { fmt.Print(m.summary(peer)) }()
	packet := make([]byte, size)
	for number := uint32(1); ; {
		select {
		case <-speak.C:
			binary.BigEndian.PutUint32(packet, number)
			number++
			_, _ = s.say(packet) // what can't be sent now is too late later
		case h, ok := <-ears:
			switch {
			case !ok && ctx.Err() == nil:
				fmt.Println(peer, "has hung up")
				return nil
			case !ok:
				ears = nil // it is this side that hangs up, below
				continue
			}
			m.packet(h.at, h.number)
		case now := <-second.C:
			fmt.Println(m.line(now))
			if m.silent(now) > silence {
				return errors.New("nothing is heard any more")
			}
		case p := <-news:
			fmt.Println("*", p.Name, "is", p.State)
		case <-ctx.Done():
			for range goodbyes {
				_, _ = s.say(nil)
				<-speak.C
			}
			return ctx.Err()
		}
	}
}

// listen hands on what is heard, with the moment at which it was, until the other side says
// goodbye.
func listen(hear func([]byte) (int, error), ears chan<- heard, done <-chan struct{}) {
	defer close(ears)
	b := make([]byte, overlay.MaxDatagram)
	for {
		n, err := hear(b)
		if err != nil {
			return
		}
		if n == 0 {
			return
		}
		if n != size {
			continue // not of this program
		}
		select {
		case ears <- heard{time.Now(), binary.BigEndian.Uint32(b)}:
		case <-done:
			return
		}
	}
}
