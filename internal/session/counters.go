package session

// Counters says what happened since the table was made: one field per reason, so that
// a log line per packet is never needed. Every field only grows.
type Counters struct {
	Handshakes uint64 // sessions established, by either side
	Rekeys     uint64 // Inits sent because a session grew old
	Evicted    uint64 // idle sessions that made room for new ones
	Expired    uint64 // sessions that ended at RejectAfter
	Resets     uint64 // verified Resets: a peer had lost a session of ours

	// Packets that were not one: dropped before any cryptography.
	Truncated    uint64 // shorter than its type's smallest size
	Oversized    uint64 // longer than its type's largest size
	NewerVersion uint64 // from a program newer than this one
	OlderVersion uint64 // a version that never was
	UnknownType  uint64 // a type that this package does not know

	// Init.
	WrongMac1    uint64 // a stranger, another network or another receiver's packet
	ReplayedInit uint64 // an ephemeral key that was seen before
	CookiesSent  uint64 // refused under load, answered by a cookie
	BadInit      uint64 // not authentic, or its length field is a lie
	PendingFull  uint64 // no room for one more handshake, in or out
	SessionsFull uint64 // no room for one more session, and none idle for evictIdle

	// Response and cookie reply.
	UnknownHandshake uint64 // belongs to no outstanding handshake of ours
	BadResponse      uint64 // not authentic
	BadCookie        uint64 // not authentic, or a repetition

	// Transport, Reset and Challenge.
	EarlyTransport   uint64 // overtook the Response or confirmation that it needs
	UnknownSession   uint64 // no session has its index
	BadTransport     uint64 // not authentic
	ReplayedPacket   uint64 // counter seen before, or older than the window
	ResetsSent       uint64 // answers to UnknownSession
	ResetsSuppressed uint64 // answers that the rate limit held back
	ForgedReset      uint64 // a Reset that echoes no packet of ours
	ChallengesSent   uint64 // a peer seems to have moved: at most one a second each
	BadEcho          uint64 // authentic, but a wrong token or from another address

	// Payloads of Send that went nowhere.
	QueueDropped uint64 // displaced from a full queue, too old, or without a session
}

// Dropped is the sum of all reasons why a packet that was received did nothing.
func (c *Counters) Dropped() uint64 {
	return c.Truncated + c.Oversized + c.NewerVersion + c.OlderVersion + c.UnknownType +
		c.WrongMac1 + c.ReplayedInit + c.CookiesSent + c.BadInit + c.PendingFull + c.SessionsFull +
		c.UnknownHandshake + c.BadResponse + c.BadCookie +
		c.EarlyTransport + c.UnknownSession + c.BadTransport + c.ReplayedPacket + c.ForgedReset +
		c.BadEcho
}
