package wire

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fuzz gives Parse bytes of a stranger. It may not panic, and what it takes for a message
// of kind k is one: written again it has the same meaning and no more bytes. (Fewer when a
// list named a peer twice.)
func fuzz(f *testing.F, k Kind) {
	for _, s := range []source{nothing{}, &fixed{}, &coded{value: 1}, &coded{value: 2}, &largest{}} {
		f.Add(messages[k](s).Append(nil, compactBook))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, again := empty(k), empty(k)
		if got.Parse(b, compactBook) != nil {
			return
		}
		written := got.Append(nil, compactBook)
		if len(written) > len(b) {
			t.Fatalf("%d bytes became %d", len(b), len(written))
		}
		if err := again.Parse(written, compactBook); err != nil {
			t.Fatalf("%+v is not taken back: %v", got, err)
		}
		if d := cmp.Diff(got, again, lists); d != "" {
			t.Fatalf("changed on the way (-parsed +parsed again):\n%s", d)
		}
	})
}

// Every kind has a target of its own, so that each gets its share of a run.
func FuzzLoginRequest(f *testing.F)    { fuzz(f, KindLoginRequest) }
func FuzzLoginReply(f *testing.F)      { fuzz(f, KindLoginReply) }
func FuzzListRequest(f *testing.F)     { fuzz(f, KindListRequest) }
func FuzzList(f *testing.F)            { fuzz(f, KindList) }
func FuzzProbe(f *testing.F)           { fuzz(f, KindProbe) }
func FuzzOffer(f *testing.F)           { fuzz(f, KindOffer) }
func FuzzAttach(f *testing.F)          { fuzz(f, KindAttach) }
func FuzzAccept(f *testing.F)          { fuzz(f, KindAccept) }
func FuzzRefuse(f *testing.F)          { fuzz(f, KindRefuse) }
func FuzzKeepalive(f *testing.F)       { fuzz(f, KindKeepalive) }
func FuzzKeepaliveAck(f *testing.F)    { fuzz(f, KindKeepaliveAck) }
func FuzzNotAttached(f *testing.F)     { fuzz(f, KindNotAttached) }
func FuzzGoodbye(f *testing.F)         { fuzz(f, KindGoodbye) }
func FuzzPublish(f *testing.F)         { fuzz(f, KindPublish) }
func FuzzPublishAck(f *testing.F)      { fuzz(f, KindPublishAck) }
func FuzzLookup(f *testing.F)          { fuzz(f, KindLookup) }
func FuzzFound(f *testing.F)           { fuzz(f, KindFound) }
func FuzzVerify(f *testing.F)          { fuzz(f, KindVerify) }
func FuzzDialBackRequest(f *testing.F) { fuzz(f, KindDialBackRequest) }
func FuzzDialBack(f *testing.F)        { fuzz(f, KindDialBack) }
func FuzzAppoint(f *testing.F)         { fuzz(f, KindAppoint) }
func FuzzPing(f *testing.F)            { fuzz(f, KindPing) }
func FuzzPingAck(f *testing.F)         { fuzz(f, KindPingAck) }
func FuzzPingRequest(f *testing.F)     { fuzz(f, KindPingRequest) }
func FuzzNews(f *testing.F)            { fuzz(f, KindNews) }
func FuzzDigest(f *testing.F)          { fuzz(f, KindDigest) }
func FuzzSummary(f *testing.F)         { fuzz(f, KindSummary) }
func FuzzWant(f *testing.F)            { fuzz(f, KindWant) }
func FuzzPut(f *testing.F)             { fuzz(f, KindPut) }
func FuzzPutAck(f *testing.F)          { fuzz(f, KindPutAck) }
func FuzzGet(f *testing.F)             { fuzz(f, KindGet) }
func FuzzGot(f *testing.F)             { fuzz(f, KindGot) }
func FuzzRelayOpen(f *testing.F)       { fuzz(f, KindRelayOpen) }
func FuzzRelayReady(f *testing.F)      { fuzz(f, KindRelayReady) }
func FuzzRelayIncoming(f *testing.F)   { fuzz(f, KindRelayIncoming) }
func FuzzRelayAck(f *testing.F)        { fuzz(f, KindRelayAck) }
func FuzzRelayClose(f *testing.F)      { fuzz(f, KindRelayClose) }
func FuzzLost(f *testing.F)            { fuzz(f, KindLost) }
func FuzzStandby(f *testing.F)         { fuzz(f, KindStandby) }
func FuzzSubscribe(f *testing.F)       { fuzz(f, KindSubscribe) }
func FuzzPresence(f *testing.F)        { fuzz(f, KindPresence) }
func FuzzPresenceAck(f *testing.F)     { fuzz(f, KindPresenceAck) }

func TestEveryKindIsFuzzed(t *testing.T) {
	source, err := os.ReadFile("fuzz_test.go")
	if err != nil {
		t.Fatal(err)
	}
	fuzzed := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^func Fuzz(\w+)\(.*fuzz\(f, Kind(\w+)\)`).FindAllStringSubmatch(string(source), -1) {
		fuzzed[strings.ToLower(m[1])] = m[1] == m[2]
	}
	for k := KindNone + 1; k < kinds; k++ {
		if !fuzzed[strings.ReplaceAll(k.String(), "-", "")] {
			t.Errorf("%v has no fuzz target of its name", k)
		}
	}
}
