package wire

import (
	"github.com/ada420b6/overlay/internal/ident"
)

// message is what every message can do.
type message interface {
	Append(b []byte, book Book) []byte
	Parse(b []byte, book Book) error
}

// granted gives LoginReply the same verbs: its certificate is for a node of the test.
type granted struct{ LoginReply }

func (g *granted) Append(b []byte, book Book) []byte { return g.LoginReply.Append(b, book, 7) }

// messages makes a valid message of every kind, its fields in the order of the layout.
var messages = [kinds]func(s source) message{
	KindLoginRequest: func(s source) message { return &LoginRequest{Nonce: nonce(s)} },
	KindLoginReply: func(s source) message {
		return &granted{LoginReply{
			Nonce: nonce(s), Status: LoginStatus(s.code(uint8(LoginRefused))), Wait: pause(s), Text: text(s),
		}}
	},
	KindListRequest: func(s source) message { return &ListRequest{Nonce: nonce(s), Willing: yes(s)} },
	KindList: func(s source) message {
		return &List{Nonce: nonce(s), Start: yes(s), Wait: pause(s), Peers: peers(s)}
	},
	KindProbe: func(s source) message {
		return &Probe{Nonce: nonce(s), Class: Class(s.code(uint8(ClassSecond))), Ticket: short(s), ID: ident.ID(nonce(s)), Within: pause(s)}
	},
	KindOffer: func(s source) message {
		return &Offer{
			Nonce: nonce(s), Status: OfferStatus(s.code(uint8(OfferNotServing))), Wait: pause(s), Slot: short(s),
			Cookie: nonce(s), Storm: s.code(MaxStorm), Load: octet(s), Peers: peers(s),
		}
	},
	KindAttach: func(s source) message {
		return &Attach{
			Nonce: nonce(s), Class: Class(s.code(uint8(ClassSecond))), Slot: short(s), Cookie: nonce(s),
			Able: yes(s), Record: record(s),
		}
	},
	KindAccept: func(s source) message {
		return &Accept{
			Nonce: nonce(s), Token: short(s), Thin: yes(s), Storm: s.code(MaxStorm), Tier: tierView(s),
			Ticket: short(s), Member: member(s), Peers: peers(s),
		}
	},
	KindRefuse: func(s source) message {
		return &Refuse{
			Nonce: nonce(s), Reason: Refusal(s.code(uint8(RefusedClosed))), Wait: pause(s), Storm: s.code(MaxStorm),
			Peers: peers(s),
		}
	},
	KindKeepalive: func(s source) message {
		return &Keepalive{Token: short(s), Able: yes(s), Thirsty: yes(s), Heirless: yes(s), Limit: octet(s)}
	},
	KindKeepaliveAck: func(s source) message {
		return &KeepaliveAck{Token: short(s), Unasked: yes(s), Storm: s.code(MaxStorm), Tier: tierView(s), Told: short(s), Peers: peers(s)}
	},
	KindNotAttached: func(s source) message { return &NotAttached{Token: short(s)} },
	KindGoodbye: func(s source) message {
		return &Goodbye{Token: short(s), Reason: Farewell(s.code(uint8(FarewellReplaced))), Peers: peers(s)}
	},
	KindPublish:    func(s source) message { return &Publish{Record: record(s)} },
	KindPublishAck: func(s source) message { return &PublishAck{Seq: nonce(s)} },
	KindLookup: func(s source) message {
		return &Lookup{Query: short(s), Name: ident.NameID(nonce(s)), Floor: nonce(s)}
	},
	KindFound: func(s source) message {
		m := &Found{Query: short(s), Status: LookupStatus(s.code(uint8(LookupUnavailable)))}
		m.Record = answer(s, m.Status)
		return m
	},
	KindVerify:          func(s source) message { return &Verify{Nonce: nonce(s)} },
	KindDialBackRequest: func(s source) message { return &DialBackRequest{Nonce: nonce(s), Target: handle(s)} },
	KindDialBack:        func(s source) message { return &DialBack{Nonce: nonce(s)} },
	KindAppoint:         func(s source) message { return &Appoint{Tier: tierView(s)} },
	KindPing:            func(s source) message { return &Ping{Seq: short(s)} },
	KindPingAck: func(s source) message {
		return &PingAck{
			Seq: short(s), Load: octet(s), Silent: yes(s), Eligible: uint16(s.num(1<<16 - 1)), Inc: short(s),
		}
	},
	KindPingRequest: func(s source) message { return &PingRequest{Seq: short(s), Target: handle(s)} },
	KindNews: func(s source) message {
		m := &News{Members: members(s, MaxMembers-1)}
		m.Notices = notices(s, MaxNotices)
		if len(m.Notices.All()) <= MixedNotices && yes(s) {
			m.Members.Add(member(s))
		}
		return m
	},
	KindDigest: func(s source) message {
		m := &Digest{Bucket: octet(s)}
		for i := range m.Hashes {
			m.Hashes[i] = nonce(s)
		}
		return m
	},
	KindSummary: func(s source) message {
		return &Summary{First: ident.ID(nonce(s)), Last: ident.ID(nonce(s)), Notices: notices(s, MaxNotices)}
	},
	KindWant: func(s source) message { return &Want{Peers: peers(s)} },
	KindPut:  func(s source) message { return &Put{ID: short(s), Record: record(s)} },
	KindPutAck: func(s source) message {
		return &PutAck{ID: short(s), Status: PutStatus(s.code(uint8(PutNotMember)))}
	},
	KindGet: func(s source) message { return &Get{ID: short(s), Name: ident.NameID(nonce(s))} },
	KindGot: func(s source) message {
		m := &Got{ID: short(s), Status: LookupStatus(s.code(uint8(LookupUnavailable)))}
		m.Record = answer(s, m.Status)
		return m
	},
	KindRelayOpen: func(s source) message { return &RelayOpen{Call: short(s), Target: handle(s)} },
	KindRelayReady: func(s source) message {
		return &RelayReady{
			Call: short(s), Status: RelayStatus(s.code(uint8(RelayGone))), Channel: nonce(s), Wait: pause(s),
		}
	},
	KindRelayIncoming: func(s source) message { return &RelayIncoming{Channel: nonce(s), Caller: handle(s)} },
	KindRelayAck:      func(s source) message { return &RelayAck{Channel: nonce(s)} },
	KindRelayClose:    func(s source) message { return &RelayClose{Channel: nonce(s)} },
	KindLost:          func(s source) message { return &Lost{Token: short(s), Peer: handle(s)} },
	KindStandby: func(s source) message {
		return &Standby{Token: short(s), Rank: s.code(MaxStandbys), Peers: peers(s)}
	},
	KindSubscribe: func(s source) message {
		m := &Subscribe{Mode: SubscribeMode(s.code(uint8(SubscribeHeld))), Serial: short(s), Limit: short(s)}
		for range s.count(MaxNames) {
			m.Names.Add(ident.NameID(nonce(s)))
		}
		return m
	},
	KindPresence: func(s source) message {
		m := &Presence{Serial: short(s), Held: yes(s)}
		for range s.count(MaxWords) {
			m.Words.Add(Word{Name: ident.NameID(nonce(s)), Seq: nonce(s), Here: yes(s)})
		}
		return m
	},
	KindPresenceAck: func(s source) message { return &PresenceAck{Serial: short(s), Held: yes(s)} },
}

// empty returns a message of kind k to parse into.
func empty(k Kind) message { return messages[k](&nothing{}) }

// nothing makes messages of zeros.
type nothing struct{}

func (nothing) num(uint64) uint64 { return 0 }
func (nothing) code(uint8) uint8  { return 0 }
func (nothing) count(int) int     { return 0 }
