package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A datagram frame is two ports and the payload, or a keepalive:
//
//	+-------------+------------------+---------+-----------------+        +------+-----------+
//	| source port | destination port | payload | number, 4 bytes |   or   | 0xff | 7 x zero  |
//	+-------------+------------------+---------+-----------------+        +------+-----------+
//
// A port is a flow (one that DialPacket opened) or a service (one that ListenPacket
// opened):
//
//	+---+---------------------+        +-------------+---------+
//	| 0 | flow, 4 bytes, > 0  |   or   | n = 1 to 63 | service |
//	+---+---------------------+        +-------------+---------+
//
// The padding of a keepalive makes its packet long enough to be answered by a
// stateless reset (see connectionIDLength).
const (
	keepaliveMark = 0xff
	keepaliveSize = 8
)

// maxFrame is the largest datagram frame: two services of 63 bytes, the payload and the
// number, which is not the parser's (numbers.go).
const maxFrame = 2*(1+MaxService) + MaxDatagram + numberSize

// port is one end of a datagram's way within an endpoint. Exactly one field is set.
type port struct {
	flow    uint32
	service string
}

// String returns the port as it stands in Addr.Service.
func (p port) String() string {
	if p.service != "" {
		return p.service
	}
	return "~" + strconv.FormatUint(uint64(p.flow), 10)
}

// portOf is the reverse of String.
func portOf(s string) (port, error) {
	if number, ok := strings.CutPrefix(s, "~"); ok {
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil || n == 0 {
			return port{}, fmt.Errorf("%w %q: not the number of a flow", ErrService, s)
		}
		return port{flow: uint32(n)}, nil
	}
	if err := CheckService(s); err != nil {
		return port{}, err
	}
	return port{service: s}, nil
}

// datagram is a parsed frame. The payload shares memory with what was parsed.
type datagram struct {
	source, destination port
	payload             []byte
}

// errDatagram is a frame that no endpoint of this version writes.
var errDatagram = errors.New("invalid datagram")

// appendDatagram appends the frame of d.
func appendDatagram(b []byte, d datagram) []byte {
	b = appendPort(b, d.source)
	b = appendPort(b, d.destination)
	return append(b, d.payload...)
}

func appendPort(b []byte, p port) []byte {
	if p.service != "" {
		b = append(b, byte(len(p.service)))
		return append(b, p.service...)
	}
	b = append(b, 0)
	return binary.BigEndian.AppendUint32(b, p.flow)
}

// parseDatagram parses a frame that is not a keepalive.
func parseDatagram(b []byte) (d datagram, err error) {
	if d.source, b, err = cutPort(b); err != nil {
		return datagram{}, fmt.Errorf("source: %w", err)
	}
	if d.destination, b, err = cutPort(b); err != nil {
		return datagram{}, fmt.Errorf("destination: %w", err)
	}
	if len(b) > MaxDatagram {
		return datagram{}, fmt.Errorf("%w: payload of %d bytes, at most %d are allowed", errDatagram, len(b), MaxDatagram)
	}
	d.payload = b
	return d, nil
}

// cutPort returns the port that b begins with, and what follows it.
func cutPort(b []byte) (p port, rest []byte, err error) {
	if len(b) == 0 {
		return port{}, nil, fmt.Errorf("%w: no port", errDatagram)
	}
	n, b := int(b[0]), b[1:]
	if n == 0 {
		if len(b) < 4 {
			return port{}, nil, fmt.Errorf("%w: flow of %d bytes", errDatagram, len(b))
		}
		if p.flow = binary.BigEndian.Uint32(b); p.flow == 0 {
			return port{}, nil, fmt.Errorf("%w: flow 0", errDatagram)
		}
		return p, b[4:], nil
	}
	if n > MaxService || n > len(b) {
		return port{}, nil, fmt.Errorf("%w: service of %d bytes, %d follow", errDatagram, n, len(b))
	}
	p.service = string(b[:n])
	if err := CheckService(p.service); err != nil {
		return port{}, nil, fmt.Errorf("%w: %w", errDatagram, err)
	}
	return p, b[n:], nil
}

// keepalive is the frame that says nothing but that its sender lives.
func keepalive() []byte {
	b := make([]byte, keepaliveSize)
	b[0] = keepaliveMark
	return b
}

// isKeepalive reports whether b is a keepalive.
func isKeepalive(b []byte) bool { return len(b) == keepaliveSize && b[0] == keepaliveMark }
