package stream

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

var (
	services = rapid.StringMatching(`[a-zA-Z0-9_.-]{1,63}`)
	ports    = rapid.Custom(func(t *rapid.T) port {
		if rapid.Bool().Draw(t, "isFlow") {
			return port{flow: rapid.Uint32Min(1).Draw(t, "flow")}
		}
		return port{service: services.Draw(t, "service")}
	})
)

func TestHeaderRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := services.Draw(t, "service")
		as := rapid.SampledFrom([]headerKind{forStream, forDatagrams}).Draw(t, "kind")
		b := appendHeader(nil, as, want)
		kind, got, err := parseHeader(b)
		if err != nil || got != want || kind != as || len(b) != headerSize {
			t.Fatalf("%q became %q in %d bytes, %v", want, got, len(b), err)
		}
		if _, _, err := parseHeader(b[:rapid.IntRange(0, headerSize-1).Draw(t, "cut")]); err == nil {
			t.Fatal("a cut header is parsed")
		}
	})
}

func TestDatagramRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := datagram{ports.Draw(t, "source"), ports.Draw(t, "destination"),
			rapid.SliceOfN(rapid.Byte(), 0, MaxDatagram).Draw(t, "payload")}
		b := appendDatagram(nil, want)
		got, err := parseDatagram(b)
		if err != nil || got.source != want.source || got.destination != want.destination || !bytes.Equal(got.payload, want.payload) {
			t.Fatalf("%v became %v, %v", want, got, err)
		}
		if len(b) > maxFrame || isKeepalive(b) {
			t.Fatalf("frame of %d bytes, keepalive %v", len(b), isKeepalive(b))
		}
		again, err := portOf(want.source.String())
		if err != nil || again != want.source {
			t.Fatalf("port %v became %v, %v", want.source, again, err)
		}
	})
}

// Every frame that is parsed has one encoding.
func FuzzDatagram(f *testing.F) {
	f.Add(appendDatagram(nil, datagram{port{flow: 1}, port{service: "80"}, []byte("x")}))
	f.Add(keepalive())
	f.Add([]byte{0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := parseDatagram(b)
		if err == nil && !bytes.Equal(appendDatagram(nil, d), b) {
			t.Errorf("%x is parsed as %v", b, d)
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add(appendHeader(nil, forStream, "80"))
	f.Add(appendHeader(nil, forDatagrams, "80"))
	f.Add(make([]byte, headerSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, service, err := parseHeader(b)
		if err == nil && !bytes.Equal(appendHeader(nil, kind, service), b) {
			t.Errorf("%x is parsed as %q", b, service)
		}
	})
}

func FuzzPort(f *testing.F) {
	f.Add("~1")
	f.Add("chat")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := portOf(s)
		if err != nil {
			return
		}
		if again, err := portOf(p.String()); err != nil || again != p {
			t.Errorf("%q: %v became %v, %v", s, p, again, err)
		}
	})
}
