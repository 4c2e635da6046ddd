package runtime

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/cert"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/login"
	"github.com/ada420b6/overlay/internal/wire"
)

// issuer is a network for tests of the book: it certifies whoever asks.
type issuer struct {
	tb   testing.TB
	keys cert.KeyPair
	now  time.Time
}

func newIssuer(tb testing.TB) *issuer {
	return &issuer{tb: tb, keys: mustKeys(tb), now: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)}
}

func mustKeys(tb testing.TB) cert.KeyPair {
	tb.Helper()
	k, err := cert.GenerateKeyPair(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func (i *issuer) certify(k cert.KeyPair, name string, generation uint16) cert.Certificate {
	c := cert.Certificate{
		Name: name, Generation: generation, Identity: k.Identity(), Session: k.Session(),
		NotBefore: i.now.Add(-time.Hour).Unix(), NotAfter: i.now.Add(30 * 24 * time.Hour).Unix(),
	}
	c.Sign(i.keys.IdentityPrivate())
	return c
}

// book returns the book of a node that is certified for name.
func (i *issuer) book(name string) *Book {
	i.tb.Helper()
	k := newBook(i.keys.Identity(), mustKeys(i.tb), name, 1600)
	k.time.clock = func() time.Time { return i.now }
	if err := k.setOwn(i.certify(k.keys, name, 3)); err != nil {
		i.tb.Fatal(err)
	}
	return k
}

// show has readers see the record of a node that has just been certified.
func (i *issuer) show(name string, readers ...*Book) {
	i.tb.Helper()
	x := i.book(name)
	for _, r := range readers {
		if _, _, err := r.ParseMember(x.AppendMember(nil, x.self, 1)); err != nil {
			i.tb.Fatal(err)
		}
	}
}

// inviteOf returns an invite to the network of i, where no login server listens.
func inviteOf(i *issuer) (cert.Invite, error) {
	c := cert.Invite{Network: i.keys.Identity(), Login: i.keys.Session(), Addresses: []string{"127.0.0.1:9"}}
	return c, c.Check()
}

func TestPeerRoundTrip(t *testing.T) {
	i := newIssuer(t)
	a, b := i.book("a"), i.book("b")
	rapid.Check(t, func(t *rapid.T) {
		var key ident.Key
		copy(key[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key"))
		key[0] |= 1
		at := drawAddress(t)
		h := a.intern(key)
		a.learn(h, at, proven)
		raw := a.AppendPeer(nil, h)
		got, rest, err := b.ParsePeer(append(raw, 7))
		if err != nil || !bytes.Equal(rest, []byte{7}) {
			t.Fatalf("rest %x: %v", rest, err)
		}
		if e := b.at(got); e.key != key || e.addr != at {
			t.Fatalf("%x at %v became %x at %v", key, at, e.key, e.addr)
		}
		if again, _, _ := b.ParseID(b.AppendID(nil, got)); again != got {
			t.Fatalf("handle %d became %d by its ID", got, again)
		}
		for cut := range raw {
			if _, _, err := b.ParsePeer(raw[:cut]); err == nil {
				t.Fatalf("%d of %d bytes are a peer", cut, len(raw))
			}
		}
	})
}

// drawAddress draws an address that can be sent to; each only once is likely enough.
func drawAddress(t *rapid.T) netip.AddrPort {
	port := rapid.Uint16Range(1, 65535).Draw(t, "port")
	if rapid.Bool().Draw(t, "v4") {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, rapid.Byte().Draw(t, "b"), 2, 3}), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, rapid.Byte().Draw(t, "b"), 15: 1}), port)
}

// An entry that was named by its ID alone is completed by the key.
func TestIDIsCompleted(t *testing.T) {
	i := newIssuer(t)
	a, b := i.book("a"), i.book("b")
	h, _, err := a.ParseID(b.AppendID(nil, b.self))
	if err != nil || a.at(h).keyed {
		t.Fatalf("handle %d: %v", h, err)
	}
	if got, _, err := a.ParsePeer(b.AppendPeer(nil, b.self)); err != nil || got != h {
		t.Fatalf("the key got handle %d, its ID %d: %v", got, h, err)
	}
	if raw := a.AppendPeer(nil, h); !bytes.Equal(raw, b.AppendPeer(nil, b.self)) {
		t.Fatal("a peer that was completed is written differently")
	}
}

func TestMemberRoundTripAndTampering(t *testing.T) {
	i := newIssuer(t)
	a, b := i.book("a"), i.book("b")
	a.address = netip.MustParseAddrPort("11.1.2.3:4040")
	raw := a.AppendMember(nil, a.self, 77)
	for at := range raw {
		for _, flip := range []byte{1, 0x80} {
			forged := bytes.Clone(raw)
			forged[at] ^= flip
			if _, _, err := b.ParseMember(forged); err == nil {
				t.Fatalf("byte %d was changed, and is believed", at)
			}
		}
		if _, _, err := b.ParseMember(raw[:at]); err == nil {
			t.Fatalf("cut at %d, and is believed", at)
		}
	}
	if b.size() != 1 {
		t.Fatalf("forgeries made %d entries", b.size()-1)
	}
	m, rest, err := b.ParseMember(append(raw, 9))
	if err != nil || m.Inc != 77 || len(rest) != 1 {
		t.Fatalf("%+v, rest %x: %v", m, rest, err)
	}
	if e := b.at(m.Peer); e.key != a.keys.Session() || e.addr != a.address || b.Slots(m.Peer) != 1600 {
		t.Fatalf("entry %+v", e)
	}
	if got := b.AppendMember(nil, m.Peer, 0); !bytes.Equal(got, raw) {
		t.Fatal("a member is not passed on as it was signed")
	}
	// What is older does not replace what is newer, and is still answered truly.
	older := a.AppendMember(nil, a.self, 76)
	if m, _, err := b.ParseMember(older); err != nil || m.Inc != 76 || !bytes.Equal(b.AppendMember(nil, m.Peer, 0), raw) {
		t.Fatalf("an older incarnation: %+v, %v", m, err)
	}
	// Within an incarnation the later edition is right.
	a.AppendMember(nil, a.self, 77)
	a.address = netip.MustParseAddrPort("11.9.9.9:4040")
	moved := a.AppendMember(nil, a.self, 77)
	if m, _, err := b.ParseMember(moved); err != nil || b.at(m.Peer).addr != a.address {
		t.Fatalf("a member that moved: %v", err)
	}
}

// The same bytes are not verified twice.
func TestMemberIsVerifiedOnce(t *testing.T) {
	i := newIssuer(t)
	a, b := i.book("a"), i.book("b")
	raw := a.AppendMember(nil, a.self, 1)
	if _, _, err := b.ParseMember(raw); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(10, func() { _, _, _ = b.ParseMember(raw) }); n > 2 {
		t.Errorf("a known member costs %v allocations", n)
	}
	// With another network's key nothing would verify any more.
	b.network = mustKeys(t).Identity()
	if _, _, err := b.ParseMember(raw); err != nil {
		t.Errorf("a known member was verified again: %v", err)
	}
	if _, _, err := b.ParseMember(a.AppendMember(nil, a.self, 2)); err != nil {
		t.Errorf("a known certificate was verified again: %v", err)
	}
}

func TestRecordRoundTripAndTampering(t *testing.T) {
	i := newIssuer(t)
	a, b := i.book("a"), i.book("b")
	s1, s2 := a.intern(i.book("s1").keys.Session()), a.intern(i.book("s2").keys.Session())
	a.learn(s1, netip.MustParseAddrPort("11.1.2.3:4040"), proven)
	a.learn(s2, netip.MustParseAddrPort("[2001:db8::1]:4040"), proven)
	r := wire.Record{Name: ident.HashName("a"), Owner: a.self, Seq: seqOf(3, 5) + 9, At: [2]ident.Handle{s1, s2}}
	raw := a.AppendRecord(nil, r)
	for at := range raw {
		forged := bytes.Clone(raw)
		forged[at] ^= 1
		if _, _, err := b.ParseRecord(forged); err == nil {
			t.Fatalf("byte %d was changed, and is believed", at)
		}
		if _, _, err := b.ParseRecord(raw[:at]); err == nil {
			t.Fatalf("cut at %d, and is believed", at)
		}
	}
	if b.size() != 1 {
		t.Fatalf("forgeries made %d entries", b.size()-1)
	}
	for range 2 { // the second time it is known
		got, rest, err := b.ParseRecord(append(bytes.Clone(raw), 9))
		if err != nil || len(rest) != 1 || got.Name != r.Name || got.Seq != r.Seq {
			t.Fatalf("%+v, rest %x: %v", got, rest, err)
		}
		if b.at(got.Owner).key != a.keys.Session() || b.at(got.At[0]).key != a.at(s1).key || b.at(got.At[1]).key != a.at(s2).key {
			t.Fatalf("%+v names other peers", got)
		}
		if again := b.AppendRecord(nil, got); !bytes.Equal(again, raw) {
			t.Fatal("a record is not passed on as it was signed")
		}
	}
	if _, _, err := b.ParseMember(raw); err == nil {
		t.Fatal("a name record is believed as a member record")
	}
}

// A sequence number counts from before the node knew its generation; on the wire it is
// the certificate's.
func TestRecordHasTheCertificatesGeneration(t *testing.T) {
	i := newIssuer(t)
	a, b := i.book("a"), i.book("b")
	got, _, err := b.ParseRecord(a.AppendRecord(nil, wire.Record{Name: ident.HashName("a"), Owner: a.self, Seq: seqOf(1, 5)}))
	if err != nil || got.Seq != seqOf(3, 5) {
		t.Fatalf("sequence number %x: %v", got.Seq, err)
	}
}

func TestExpiry(t *testing.T) {
	i := newIssuer(t)
	a, b, c := i.book("a"), i.book("b"), i.book("c")
	raw := a.AppendMember(nil, a.self, 1)
	end := i.now.Add(30 * 24 * time.Hour)
	i.now = end.Add(Grace - time.Minute)
	if _, _, err := b.ParseMember(raw); err != nil {
		t.Fatalf("within the grace: %v", err)
	}
	i.now = end.Add(Grace)
	i.show("other", b, c) // the clock of b and c fits the network
	if _, _, err := b.ParseMember(raw); !errors.Is(err, cert.ErrExpired) {
		t.Fatalf("known, beyond the grace: %v", err)
	}
	if _, _, err := c.ParseMember(raw); !errors.Is(err, cert.ErrExpired) {
		t.Fatalf("new, beyond the grace: %v", err)
	}
}

func TestAddressRanks(t *testing.T) {
	i := newIssuer(t)
	k := i.book("a")
	at := func(n byte) netip.AddrPort { return netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, 0, 0, n}), 1) }
	h := k.intern(mustKeys(t).Session())
	k.learn(h, at(1), hearsay)
	k.learn(h, at(2), hearsay)
	if first, second := k.call(h), k.call(h); first != at(1) || second != at(2) {
		t.Fatalf("who spoke last is believed: called at %v, then %v", first, second)
	}
	k.learn(h, at(5), kept)
	k.learn(h, at(2), hearsay)
	if got := k.at(h).addr; got != at(5) {
		t.Fatalf("hearsay overrode what was good once: %v", got)
	}
	k.learn(h, at(3), proven)
	k.heard(h, at(3), proven)
	k.learn(h, at(4), hearsay)
	if got := k.at(h).addr; got != at(3) {
		t.Fatalf("hearsay overrode a proven address: %v", got)
	}
	// While it does not answer, what was heard is tried in turn.
	if first, second := k.call(h), k.call(h); first != at(3) || second != at(4) {
		t.Fatalf("called at %v, then %v", first, second)
	}
}

// A signed address replaces a proven one, unless a session shows where the peer is.
func TestMovedMember(t *testing.T) {
	i := newIssuer(t)
	a, b := i.book("a"), i.book("b")
	at := func(n byte) netip.AddrPort { return netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, 0, 0, n}), 1) }
	h := b.intern(a.keys.Session())
	b.learn(h, at(1), proven)
	live := true
	b.live = func(ident.Key) bool { return live }
	tell := func(where netip.AddrPort) netip.AddrPort {
		a.address = where
		if _, _, err := b.ParseMember(a.AppendMember(nil, a.self, 1)); err != nil {
			t.Fatal(err)
		}
		return b.at(h).addr
	}
	if got := tell(at(2)); got != at(1) || b.at(h).other != at(2) {
		t.Fatalf("with a session from %v it is believed to be at %v", at(1), got)
	}
	live = false
	if got := tell(netip.AddrPort{}); got != at(1) || b.at(h).rank != proven {
		t.Fatalf("it does not say where it is, and is believed to be at %v", got)
	}
	if got := tell(at(3)); got != at(3) {
		t.Fatalf("it has moved to %v, and is believed to be at %v", at(3), got)
	}
}

func TestApplicationAndCertificate(t *testing.T) {
	i := newIssuer(t)
	node := newBook(i.keys.Identity(), mustKeys(t), "bob", 0)
	node.time.clock = func() time.Time { return i.now }
	server := newBook(i.keys.Identity(), i.keys, "", 0)
	h := server.intern(node.keys.Session())
	server.from = h
	if _, err := server.ParseApplication(node.AppendApplication(nil)); err != nil {
		t.Fatal(err)
	}
	store, err := login.OpenEmbedded(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	r := server.at(h).request
	if r.Name != "bob" || r.Session != node.keys.Session() {
		t.Fatalf("request %+v", r)
	}
	for what, c := range map[string]cert.Certificate{
		"another name":    i.certify(node.keys, "eve", 1),
		"another node":    i.certify(mustKeys(t), "bob", 1),
		"another network": newIssuer(t).certify(node.keys, "bob", 1),
	} {
		if _, err := node.ParseCertificate(c.Append(nil)); err == nil {
			t.Errorf("a certificate for %s was taken", what)
		}
	}
	c := i.certify(node.keys, "bob", 1)
	server.at(h).issued = c.Append(nil)
	rest, err := node.ParseCertificate(append(server.AppendCertificate(nil, h), 5))
	if err != nil || len(rest) != 1 || node.own != c {
		t.Fatalf("rest %x: %v", rest, err)
	}
}

func TestSweep(t *testing.T) {
	i := newIssuer(t)
	k := i.book("a")
	var kept []ident.Handle
	for n := range 100 {
		var key ident.Key
		copy(key[:], fmt.Sprintf("kept %d", n))
		kept = append(kept, k.intern(key))
	}
	refer := func(mark func(ident.Handle)) {
		for _, h := range kept {
			mark(h)
		}
	}
	most := 0
	for n := range 20_000 { // a flood of strangers
		var key ident.Key
		copy(key[:], fmt.Sprintf("stranger %d", n))
		k.intern(key)
		k.internID(ident.ID(n + 1))
		most = max(most, len(k.entries))
		if k.crowded() {
			k.sweep(refer)
		}
	}
	if limit := 2*(len(kept)+1) + sweepSlack + 8; most > limit {
		t.Errorf("%d entries, at most %d may be there", most, limit)
	}
	for n, h := range kept {
		if want := fmt.Sprintf("kept %d", n); string(bytes.TrimRight(k.at(h).key[:], "\x00")) != want {
			t.Fatalf("handle %d is %q, not %q", h, k.at(h).key, want)
		}
		if k.find(k.at(h).key) != h {
			t.Fatalf("%d is not found by its key", h)
		}
	}
	if len(k.byKey) > len(k.entries) || len(k.byID) > len(k.entries) {
		t.Errorf("maps of %d and %d for %d entries", len(k.byKey), len(k.byID), len(k.entries))
	}
}

func FuzzBook(f *testing.F) {
	i := newIssuer(f)
	a := i.book("a")
	a.address = netip.MustParseAddrPort("11.1.2.3:4040")
	f.Add(a.AppendPeer(nil, a.self))
	f.Add(a.AppendID(nil, a.self))
	f.Add(a.AppendMember(nil, a.self, 1))
	f.Add(a.AppendRecord(nil, wire.Record{Owner: a.self, Seq: 1, At: [2]ident.Handle{a.self}}))
	f.Add(a.AppendApplication(nil))
	f.Add(a.encoded)
	b := i.book("b")
	b.from = b.self
	f.Fuzz(func(t *testing.T, raw []byte) {
		check := func(rest []byte, err error) {
			if err == nil && !bytes.HasSuffix(raw, rest) {
				t.Fatalf("the rest %x is no end of %x", rest, raw)
			}
		}
		_, rest, err := b.ParsePeer(raw)
		check(rest, err)
		_, rest, err = b.ParseID(raw)
		check(rest, err)
		_, rest, err = b.ParseMember(raw)
		check(rest, err)
		_, rest, err = b.ParseRecord(raw)
		check(rest, err)
		check(b.ParseApplication(raw))
		check(b.ParseCertificate(raw))
	})
}
