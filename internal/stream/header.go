package stream

import (
	"errors"
	"fmt"
)

// A stream begins with a header from the dialler and one byte from the acceptor:
//
//	 0         1        2                    65
//	+---------+--------+---------------------+
//	|  kind   | length | service, then zeros |      dialler
//	+---------+--------+---------------------+
//	+--------+
//	| answer |                                      acceptor
//	+--------+
//
// The header has one size, so that it is one read and shows no length to those who
// watch packets. Both halves are the application's from the next byte on. A header that asks
// for datagrams is a question only: does anybody take those of the service?
const headerSize = 2 + MaxService

// headerKind is what a stream is for.
type headerKind byte

const (
	forStream    headerKind = 1
	forDatagrams headerKind = 2
)

// answer is the acceptor's byte.
type answer byte

const (
	accepted answer = 1 // the stream waits for Accept
	refused  answer = 2 // nobody listens on the service
	busy     answer = 3 // the accept queue is full
)

// errHeader is a header that no endpoint of this version writes.
var errHeader = errors.New("invalid stream header")

// appendHeader appends the header for a valid service.
func appendHeader(b []byte, kind headerKind, service string) []byte {
	b = append(b, byte(kind), byte(len(service)))
	b = append(b, service...)
	return append(b, make([]byte, MaxService-len(service))...)
}

// parseHeader returns what a header of headerSize bytes asks for.
func parseHeader(b []byte) (kind headerKind, service string, err error) {
	if len(b) != headerSize {
		return 0, "", fmt.Errorf("%w: %d bytes, not %d", errHeader, len(b), headerSize)
	}
	if kind = headerKind(b[0]); kind != forStream && kind != forDatagrams {
		return 0, "", fmt.Errorf("%w: kind %d", errHeader, b[0])
	}
	n := int(b[1])
	if n > MaxService {
		return 0, "", fmt.Errorf("%w: service of %d bytes", errHeader, n)
	}
	for _, c := range b[2+n:] {
		if c != 0 {
			return 0, "", fmt.Errorf("%w: padding is not zero", errHeader)
		}
	}
	service = string(b[2 : 2+n])
	if err := CheckService(service); err != nil {
		return 0, "", fmt.Errorf("%w: %w", errHeader, err)
	}
	return kind, service, nil
}
