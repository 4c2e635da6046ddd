package wire

import "encoding/binary"

// Kind says which message follows.
type Kind uint8

// The kinds, in the order in which a node's life uses them.
const (
	KindNone Kind = iota
	KindLoginRequest
	KindLoginReply
	KindListRequest
	KindList
	KindProbe
	KindOffer
	KindAttach
	KindAccept
	KindRefuse
	KindKeepalive
	KindKeepaliveAck
	KindNotAttached
	KindGoodbye
	KindPublish
	KindPublishAck
	KindLookup
	KindFound
	KindVerify
	KindDialBackRequest
	KindDialBack
	KindAppoint
	KindPing
	KindPingAck
	KindPingRequest
	KindNews
	KindDigest
	KindSummary
	KindWant
	KindPut
	KindPutAck
	KindGet
	KindGot
	KindRelayOpen
	KindRelayReady
	KindRelayIncoming
	KindRelayAck
	KindRelayClose
	KindLost
	KindStandby
	KindSubscribe
	KindPresence
	KindPresenceAck
	kinds // how many there are
)

var kindNames = [kinds]string{
	"none", "login-request", "login-reply", "list-request", "list", "probe", "offer", "attach", "accept", "refuse",
	"keepalive", "keepalive-ack", "not-attached", "goodbye", "publish", "publish-ack", "lookup", "found", "verify",
	"dial-back-request", "dial-back", "appoint", "ping", "ping-ack", "ping-request", "news", "digest", "summary", "want",
	"put", "put-ack", "get", "got", "relay-open", "relay-ready", "relay-incoming", "relay-ack", "relay-close",
	"lost", "standby", "subscribe", "presence", "presence-ack",
}

// String returns the name of the kind as it stands in traces and counters.
func (k Kind) String() string {
	if k < kinds {
		return kindNames[k]
	}
	return "unknown"
}

// Kinds returns how many kinds there are, KindNone included: the size of a table
// that counts by kind.
func Kinds() int { return int(kinds) }

// KindOf returns the kind of a message, or KindNone when b is not one.
func KindOf(b []byte) Kind {
	if len(b) < 2 || b[0] != Version || Kind(b[1]) >= kinds {
		return KindNone
	}
	return Kind(b[1])
}

// NonceOf returns the nonce of a message that begins with one, without reading the rest:
// what nobody has asked for need not be parsed.
func NonceOf(b []byte) uint64 {
	if len(b) < 10 {
		return 0
	}
	return binary.BigEndian.Uint64(b[2:])
}

// Plain reports whether messages of kind k travel outside of a session: they come
// before one exists and prove nothing about their sender.
func (k Kind) Plain() bool { return k == KindProbe || k == KindOffer || k == KindDialBack }
