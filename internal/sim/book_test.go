package sim

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/wire"
)

func testBook(full bool) *book {
	cfg := DefaultConfig(1000)
	cfg.Full = full
	return newBook(&cfg, 99)
}

// TestBookRoundTrip: what is appended is parsed, to its last byte, and its size is that
// of a real item in the full form.
func TestBookRoundTrip(t *testing.T) {
	for _, full := range []bool{false, true} {
		rapid.Check(t, func(t *rapid.T) {
			k := testBook(full)
			h := ident.Handle(rapid.Uint32Range(1, 1002).Draw(t, "h"))
			at := ident.Handle(rapid.Uint32Range(0, 1002).Draw(t, "at"))
			k.self = h
			r := wire.Record{Name: ident.NameID(rapid.Uint64().Draw(t, "name")), Owner: h, Seq: rapid.Uint64().Draw(t, "seq"), At: [2]ident.Handle{at}}
			inc := rapid.Uint32().Draw(t, "inc")
			b := k.AppendPeer(nil, h)
			peer := len(b)
			b = k.AppendID(b, h)
			id := len(b)
			b = k.AppendMember(b, h, inc)
			member := len(b)
			b = k.AppendRecord(b, r)
			record := len(b)
			b = k.AppendApplication(b)
			b = k.AppendCertificate(b, h)
			if full && (peer != 39 && peer != 51 || id-peer != 8 || member-id < 240 || member-id > 340 || record-member < 300 || record-member > 420) {
				t.Fatalf("sizes: peer %d, id %d, member %d, record %d", peer, id-peer, member-id, record-member)
			}
			h1, b, err1 := k.ParsePeer(b)
			h2, b, err2 := k.ParseID(b)
			m, b, err3 := k.ParseMember(b)
			got, b, err4 := k.ParseRecord(b)
			b, err5 := k.ParseApplication(b)
			b, err6 := k.ParseCertificate(b)
			for _, err := range []error{err1, err2, err3, err4, err5, err6} {
				if err != nil {
					t.Fatal(err)
				}
			}
			if h1 != h || h2 != h || m != (wire.Member{Peer: h, Inc: inc}) || got != r || len(b) != 0 || k.certified != h {
				t.Fatalf("got %v %v %+v %+v and %d bytes", h1, h2, m, got, len(b))
			}
		})
	}
}

// TestBookForgery flips every bit of what is sealed: nothing but the original is read.
func TestBookForgery(t *testing.T) {
	for _, full := range []bool{false, true} {
		k := testBook(full)
		k.self = 5
		record := k.AppendRecord(nil, wire.Record{Owner: 5, Name: 6, Seq: 7, At: [2]ident.Handle{8, 9}})
		member := k.AppendMember(nil, 5, 3)
		cert := k.AppendCertificate(nil, 5)
		for name, item := range map[string][]byte{"record": record, "member": member, "certificate": cert} {
			for bit := range 8 * len(item) {
				item[bit/8] ^= 1 << (bit % 8)
				var err error
				switch name {
				case "record":
					_, _, err = k.ParseRecord(item)
				case "member":
					_, _, err = k.ParseMember(item)
				default:
					_, err = k.ParseCertificate(item)
				}
				if err == nil {
					t.Fatalf("full %v: a %s with bit %d flipped was read", full, name, bit)
				}
				item[bit/8] ^= 1 << (bit % 8)
			}
		}
	}
}

// TestBookFault shows that a machine can't make up what others sign.
func TestBookFault(t *testing.T) {
	k := testBook(true)
	r := wire.Record{Owner: 5, Name: 6, Seq: 7}
	k.self = 5
	k.AppendRecord(nil, r)
	m := k.AppendMember(nil, 5, 3)
	k.self = 6
	k.AppendRecord(nil, r)
	if _, _, err := k.ParseMember(m); err != nil {
		t.Fatal(err)
	}
	k.AppendMember(nil, 5, 99)
	if k.fault != "" {
		t.Fatalf("fault %q by a machine that only passed on what it got", k.fault)
	}
	k.AppendMember(nil, 7, 1)
	if k.fault == "" {
		t.Error("a member record out of nowhere was passed on")
	}
	k.fault, r.Seq = "", 8
	k.AppendRecord(nil, r)
	if k.fault == "" {
		t.Error("a record was signed for somebody else")
	}
	if b := testBook(false); true {
		b.self = 5
		b.AppendMember(nil, 5, 3)
		b.self = 6
		got, _, err := b.ParseMember(b.AppendMember(nil, 5, 99))
		if err != nil || got.Inc != 3 {
			t.Errorf("passed on incarnation %d (%v), which was never signed, want 3", got.Inc, err)
		}
	}
}

// FuzzBook: whatever arrives, it is read as what a machine could have written, or it is
// an error.
func FuzzBook(f *testing.F) {
	k := testBook(true)
	k.self = 5
	f.Add(k.AppendRecord(nil, wire.Record{Owner: 5, Seq: 1}), true)
	f.Add(k.AppendMember(nil, 5, 1), true)
	f.Add(k.AppendPeer(nil, 5), true)
	f.Add(testBook(false).AppendPeer(nil, 5), false)
	f.Fuzz(func(t *testing.T, b []byte, full bool) {
		k := testBook(full)
		k.self = 5
		if h, rest, err := k.ParsePeer(b); err == nil && string(k.AppendPeer(nil, h))+string(rest) != string(b) {
			t.Fatalf("peer %d is written differently", h)
		}
		if h, rest, err := k.ParseID(b); err == nil && string(k.AppendID(nil, h))+string(rest) != string(b) {
			t.Fatalf("id %d is written differently", h)
		}
		if r, rest, err := k.ParseRecord(b); err == nil && string(k.AppendRecord(nil, r))+string(rest) != string(b) {
			t.Fatalf("record %+v is written differently", r)
		}
		if m, rest, err := k.ParseMember(b); err == nil && len(k.AppendMember(nil, 5, m.Inc))+len(rest) > len(b)+memberMax {
			t.Fatalf("member %+v has an impossible size", m)
		}
		_, _ = k.ParseApplication(b)
		_, _ = k.ParseCertificate(b)
	})
}
