package session

import "encoding/binary"

// Version is the version of every packet: the high half of byte 0. The low half is the
// type; types 1 to 6 belong to this package, types from 8 on to the runtime. Numbers
// are big-endian.
//
//	Init       head 1 | sender 4 | e 32 | s 32+16 | length 2, payload, zeros +16 | mac1 16 | mac2 16
//	Response   head 1 | receiver 4 | e 32 | sender 4, payload +16
//	Transport  head 1 | receiver 4 | sender 4 | counter 8 | payload +16
//	Cookie     head 1 | receiver 4 | nonce 24 | cookie 16+16
//	Reset      head 1 | receiver 4 | sender 4 | tag 16
//	Challenge  head 1 | receiver 4 | counter 8 | token 8+16
//
// A sender is the index under which the packet's sender finds the session, a receiver
// that of its receiver. A Transport packet carries both so that its Reset leads to the
// session without a second table. +16 is the tag of what is encrypted; a Transport
// packet's also covers its header, so that no bit of a packet that is accepted can have
// been changed but the sender of an Init, and that only sends the Response astray. A Challenge is a
// Transport packet with fewer fields; the highest bit of its counter makes it an Echo.
const Version = 1

const (
	typeInit = 1 + iota
	typeResponse
	typeTransport
	typeCookie
	typeReset
	typeChallenge
)

// Sizes in bytes.
const (
	// MaxPacket is the largest packet: 1280, the smallest MTU that IPv6 allows, less
	// 28 for IPv4 and UDP headers.
	MaxPacket = 1252

	// MaxPayload is the largest payload of Send: 1219.
	MaxPayload = MaxPacket - transportOverhead

	// MaxInitPayload is the largest payload that an Init can carry: 1117. A larger
	// one waits for the Response.
	MaxInitPayload = MaxPacket - initOverhead

	// MaxAnswer is the largest payload of a Response. Raising it makes every Init as
	// much larger.
	MaxAnswer = 700

	// MinInit is the smallest Init: the Response that it may cause, 757.
	MinInit = responseOverhead + MaxAnswer

	headSize   = 1
	indexSize  = 4
	lengthSize = 2
	keySize    = 32
	tagSize    = 16
	macSize    = 16
	nonceSizeX = 24
	tokenSize  = 8

	initHead          = headSize + indexSize
	initOverhead      = initHead + keySize + keySize + tagSize + lengthSize + tagSize + 2*macSize
	responseHead      = headSize + indexSize
	responseOverhead  = responseHead + keySize + indexSize + tagSize
	transportHead     = headSize + 2*indexSize + 8
	transportOverhead = transportHead + tagSize
	cookieSize        = headSize + indexSize + nonceSizeX + macSize + tagSize
	resetSize         = headSize + 2*indexSize + tagSize
	challengeHead     = headSize + indexSize + 8
	challengeSize     = challengeHead + tokenSize + tagSize
)

// No answer to an unproven address is larger than the smallest packet that causes it: a
// negative array length does not compile. A Transport packet that is smaller than a
// Challenge causes none.
var (
	_ [MinInit - cookieSize]struct{}
	_ [transportOverhead - resetSize - 1]struct{}
	_ [MaxPacket - MinInit]struct{}
	_ [responseOverhead - challengeSize]struct{}
)

// head returns byte 0 of a packet of the given type.
func head(kind byte) byte { return Version<<4 | kind }

// index reads the n-th index of a packet.
func index(packet []byte, n int) uint32 {
	return binary.BigEndian.Uint32(packet[headSize+n*indexSize:])
}

// tag returns the authentication tag at the end of a Transport or Challenge packet.
func tag(packet []byte) []byte { return packet[len(packet)-tagSize:] }

// classify returns the type of a packet whose version and size are right. Otherwise it
// counts the reason and returns 0.
func classify(packet []byte, n *Counters) byte {
	if len(packet) == 0 {
		n.Truncated++
		return 0
	}
	if v := packet[0] >> 4; v != Version {
		if v > Version {
			n.NewerVersion++
		} else {
			n.OlderVersion++
		}
		return 0
	}
	kind := packet[0] & 0x0f
	var smallest, largest int
	switch kind {
	case typeInit:
		smallest, largest = MinInit, MaxPacket
	case typeResponse:
		smallest, largest = responseOverhead, MinInit
	case typeTransport:
		smallest, largest = transportOverhead, MaxPacket
	case typeCookie:
		smallest, largest = cookieSize, cookieSize
	case typeReset:
		smallest, largest = resetSize, resetSize
	case typeChallenge:
		smallest, largest = challengeSize, challengeSize
	default:
		n.UnknownType++
		return 0
	}
	switch {
	case len(packet) < smallest:
		n.Truncated++
	case len(packet) > largest:
		n.Oversized++
	default:
		return kind
	}
	return 0
}
