// Package packettest says what a net.PacketConn must do, as nettest does for net.Conn. A
// datagram arrives whole, once, after those that were sent before it, and says who sent
// it; or it is lost, and then it is counted.
package packettest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"
)

// Pair is two conns that reach each other at their LocalAddr.
type Pair struct {
	A, B net.PacketConn
	// Max is the size of the largest datagram, in bytes.
	Max int
	// Lost returns how many datagrams either end knows to be lost; nil where nobody counts.
	Lost func() uint64
}

// Check is one rule.
type Check struct {
	Name string
	Of   func(*Pair) error
}

// Checks are all rules.
var Checks = []Check{
	{"addresses", addresses},
	{"payloads", payloads},
	{"short buffer", shortBuffer},
	{"oversize", oversize},
	{"bad address", badAddress},
	{"read deadline", readDeadline},
	{"write deadline", writeDeadline},
	{"close", closing},
	{"order", order},
	{"concurrent use", concurrent},
	{"loss is counted", lossIsCounted},
}

// Run checks every rule on a pair of its own, which it closes.
func Run(t *testing.T, open func(t *testing.T) *Pair) {
	for _, c := range Checks {
		t.Run(c.Name, func(t *testing.T) {
			p := open(t)
			defer p.A.Close()
			defer p.B.Close()
			if err := c.Of(p); err != nil {
				t.Error(err)
			}
		})
	}
}

const (
	// patience ends a check of a conn that hangs.
	patience = 20 * time.Second
	// again is when a datagram that has not come is sent once more.
	again = 250 * time.Millisecond
)

// send writes a datagram, which must be taken.
func send(from, to net.PacketConn, payload []byte) error {
	n, err := from.WriteTo(payload, to.LocalAddr())
	if err != nil || n != len(payload) {
		return fmt.Errorf("WriteTo of %d bytes: %d, %w", len(payload), n, err)
	}
	return nil
}

// exchange sends a datagram until it arrives, since any may be lost, and returns what
// arrived and from whom.
func exchange(from, to net.PacketConn, payload []byte, space int) (got []byte, sender net.Addr, err error) {
	buf := make([]byte, space)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if err := send(from, to, payload); err != nil {
			return nil, nil, err
		}
		if err := to.SetReadDeadline(time.Now().Add(again)); err != nil {
			return nil, nil, err
		}
		n, sender, err := to.ReadFrom(buf)
		if err == nil {
			return buf[:n], sender, to.SetReadDeadline(time.Time{})
		}
		if !timeout(err) {
			return nil, nil, fmt.Errorf("ReadFrom: %w", err)
		}
	}
	return nil, nil, fmt.Errorf("a datagram of %d bytes has not come in %v", len(payload), patience)
}

func timeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// drain reads what is on its way.
func drain(c net.PacketConn) (payloads [][]byte, err error) {
	buf := make([]byte, 1<<16)
	for {
		if err := c.SetReadDeadline(time.Now().Add(again)); err != nil {
			return nil, err
		}
		n, _, err := c.ReadFrom(buf)
		if timeout(err) {
			return payloads, c.SetReadDeadline(time.Time{})
		}
		if err != nil {
			return nil, err
		}
		payloads = append(payloads, append([]byte(nil), buf[:n]...))
	}
}

// numbered is a payload that says which one it is.
func numbered(i uint64) []byte { return binary.BigEndian.AppendUint64(nil, i) }

func number(b []byte) uint64 { return binary.BigEndian.Uint64(b) }
