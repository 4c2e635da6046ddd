package wire

import (
	"errors"
	"testing"

	"github.com/ada420b6/overlay/internal/ident"
)

// Every byte that may not have every value, at its place in the message that
// testdata/layout.txt shows: one above its limit is an error, and which.
func TestLimits(t *testing.T) {
	for _, c := range []struct {
		kind Kind
		at   int
		most uint8
		want error
	}{
		{KindLoginReply, 10, uint8(LoginRefused), ErrValue},
		{KindLoginReply, 15, MaxText, ErrLimit},
		{KindListRequest, 10, 1, ErrValue},
		{KindList, 10, 1, ErrValue},
		{KindList, 15, MaxPeers, ErrLimit},
		{KindProbe, 10, uint8(ClassSecond), ErrValue},
		{KindProbe, 27, 0, ErrValue},
		{KindProbe, ProbeSize - 1, 0, ErrValue},
		{KindOffer, 10, uint8(OfferNotServing), ErrValue},
		{KindOffer, 27, MaxStorm, ErrValue},
		{KindOffer, 29, MaxPeers, ErrLimit},
		{KindAttach, 10, uint8(ClassSecond), ErrValue},
		{KindAttach, 23, 1, ErrValue},
		{KindAccept, 14, 1, ErrValue},
		{KindAccept, 15, MaxStorm, ErrValue},
		{KindAccept, 16, MaxUtil, ErrValue},
		{KindAccept, 37, MaxPeers, ErrLimit},
		{KindRefuse, 10, uint8(RefusedClosed), ErrValue},
		{KindRefuse, 15, MaxStorm, ErrValue},
		{KindRefuse, 16, MaxPeers, ErrLimit},
		{KindKeepalive, 6, 1, ErrValue},
		{KindKeepalive, 7, 1, ErrValue},
		{KindKeepaliveAck, 6, 1, ErrValue},
		{KindKeepaliveAck, 7, MaxStorm, ErrValue},
		{KindKeepaliveAck, 8, MaxUtil, ErrValue},
		{KindKeepaliveAck, 21, MaxPeers, ErrLimit},
		{KindGoodbye, 6, uint8(FarewellReplaced), ErrValue},
		{KindGoodbye, 7, MaxPeers, ErrLimit},
		{KindFound, 6, uint8(LookupUnavailable), ErrValue},
		{KindAppoint, 2, MaxUtil, ErrValue},
		{KindPingAck, 7, 1, ErrValue},
		{KindNews, 2, MaxNotices, ErrLimit},
		{KindNews, 11, uint8(Left), ErrValue},
		{KindNews, 21, MaxMembers, ErrLimit},
		{KindSummary, 18, MaxNotices, ErrLimit},
		{KindSummary, 27, uint8(Left), ErrValue},
		{KindWant, 2, MaxPeers, ErrLimit},
		{KindPutAck, 6, uint8(PutNotMember), ErrValue},
		{KindGot, 6, uint8(LookupUnavailable), ErrValue},
		{KindRelayReady, 6, uint8(RelayGone), ErrValue},
		{KindSubscribe, 2, uint8(SubscribeHeld), ErrValue},
		{KindSubscribe, 11, MaxNames, ErrLimit},
		{KindPresence, 6, 1, ErrValue},
		{KindPresence, 7, MaxWords, ErrLimit},
		{KindPresence, 24, 1, ErrValue},
		{KindPresenceAck, 6, 1, ErrValue},
	} {
		b := messages[c.kind](&fixed{}).Append(nil, compactBook)
		for v := range 256 {
			if c.want == ErrLimit && v < int(c.most) {
				continue // what is left of a longer list is read as the next fields
			}
			b[c.at] = byte(v)
			err := empty(c.kind).Parse(b, compactBook)
			if above := v > int(c.most); errors.Is(err, c.want) != above {
				t.Errorf("%v: byte %d is %d, at most %d is allowed: %v", c.kind, c.at, v, c.most, err)
			}
		}
	}
}

// A peer that a list names twice, or a None that is slipped in, is in it once or not.
func TestPeersAreDistinct(t *testing.T) {
	var p Peers
	for _, h := range []ident.Handle{1, 0, 2, 1, 3, 4, 5, 6, 7} {
		p.Add(h)
	}
	if got := len(p.All()); got != MaxPeers || p.Has(7) || !p.Has(6) {
		t.Errorf("%v", p.All())
	}
	b := u32(u32(append(header(nil, KindWant), 2), 9), 9)
	var w Want
	if err := w.Parse(b, compactBook); err != nil || len(w.Peers.All()) != 1 {
		t.Errorf("one peer named twice: %v, %v", w.Peers.All(), err)
	}
}

// A list that is full says so.
func TestListsAreBounded(t *testing.T) {
	var m Members
	var n Notices
	for i := range MaxNotices + 1 {
		if m.Add(Member{}) != (i < MaxMembers) || n.Add(Notice{}) != (i < MaxNotices) {
			t.Fatalf("item %d", i)
		}
	}
	if len(m.All()) != MaxMembers || len(n.All()) != MaxNotices {
		t.Fatal("a list grew beyond its maximum")
	}
	long := &LoginReply{Text: make([]byte, MaxText+1)}
	var got LoginReply
	if err := got.Parse(long.Append(nil, compactBook, 1), compactBook); err != nil || len(got.Text) != MaxText {
		t.Errorf("a text of %d bytes arrives with %d: %v", len(long.Text), len(got.Text), err)
	}
}
