package wire

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ada420b6/overlay/internal/vtime"
)

var lists = cmp.AllowUnexported(Peers{}, Members{}, Notices{}, Names{}, Words{})

// eachKind runs check for every kind, and finds a kind that the table lacks.
func eachKind(t *testing.T, check func(t *testing.T, k Kind)) {
	for k := KindNone + 1; k < kinds; k++ {
		if messages[k] == nil {
			t.Fatalf("the table of messages lacks %v", k)
		}
		t.Run(k.String(), func(t *testing.T) { check(t, k) })
	}
}

func TestRoundTrip(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		rapid.Check(t, func(t *rapid.T) {
			want := messages[k](drawn{t})
			prefix := []byte("before")
			for _, book := range []*testBook{fullBook, compactBook} {
				b := want.Append(bytes.Clone(prefix), book)
				if !bytes.HasPrefix(b, prefix) {
					t.Fatalf("Append overwrote what was there: %x", b)
				}
				b = b[len(prefix):]
				if KindOf(b) != k {
					t.Fatalf("KindOf = %v", KindOf(b))
				}
				// A target that was used before must not keep anything.
				for _, got := range []message{empty(k), messages[k](&largest{})} {
					if err := got.Parse(b, book); err != nil {
						t.Fatalf("Parse: %v", err)
					}
					if d := cmp.Diff(want, got, lists); d != "" {
						t.Fatalf("changed on the way (-sent +received):\n%s", d)
					}
				}
			}
		})
	})
}

// Every message cut at any byte, and every message with something behind it, is an
// error.
func TestCutAndTrailing(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		for code := range uint8(5) {
			b := messages[k](&coded{value: code}).Append(nil, compactBook)
			for n := range b {
				if err := empty(k).Parse(b[:n], compactBook); err == nil {
					t.Fatalf("code %d: %d of %d bytes were taken for a message", code, n, len(b))
				}
			}
			if err := empty(k).Parse(append(b, 0), compactBook); !errors.Is(err, ErrLong) {
				t.Fatalf("code %d: a byte more: %v, want ErrLong", code, err)
			}
		}
		b := messages[k](&largest{}).Append(nil, fullBook)
		for n := range b {
			if err := empty(k).Parse(b[:n], fullBook); !errors.Is(err, ErrShort) && !errors.Is(err, errItem) {
				t.Fatalf("%d of %d bytes: %v, want ErrShort", n, len(b), err)
			}
		}
	})
}

// coded makes fixed messages with other enumerated values than the first.
type coded struct {
	fixed
	value uint8
}

func (c *coded) code(most uint8) uint8 { return min(c.value, most) }

func TestWrongHeader(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		b := messages[k](&fixed{}).Append(nil, compactBook)
		for v := range 256 {
			b[0] = byte(v)
			if err := empty(k).Parse(b, compactBook); v != Version && !errors.Is(err, ErrVersion) {
				t.Fatalf("version %d: %v, want ErrVersion", v, err)
			}
			if v != Version && KindOf(b) != KindNone {
				t.Fatalf("version %d: KindOf = %v", v, KindOf(b))
			}
		}
		b[0] = Version
		for v := range 256 {
			b[1] = byte(v)
			if err := empty(k).Parse(b, compactBook); Kind(v) != k && !errors.Is(err, ErrKind) {
				t.Fatalf("kind %d: %v, want ErrKind", v, err)
			}
		}
		long := append(messages[k](&fixed{}).Append(nil, compactBook), make([]byte, MaxMessage)...)
		if err := empty(k).Parse(long, compactBook); !errors.Is(err, ErrLimit) {
			t.Fatalf("%d bytes: %v, want ErrLimit", len(long), err)
		}
	})
}

// A message with every list at its limit fits, and an Offer never exceeds its Probe.
func TestLargestFits(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		b := messages[k](&largest{}).Append(nil, fullBook)
		if len(b) > MaxMessage {
			t.Fatalf("%d bytes, at most %d are allowed", len(b), MaxMessage)
		}
		if err := empty(k).Parse(b, fullBook); err != nil {
			t.Fatal(err)
		}
	})
	size := func(m message, book Book) int { return len(m.Append(nil, book)) }
	if n := size(messages[KindOffer](&largest{}), fullBook); n != ProbeSize {
		t.Errorf("the largest Offer has %d bytes, a Probe %d: an answer would amplify, or a Probe waste", n, ProbeSize)
	}
	if n := size(messages[KindOffer](&largest{}), ipv4Book); n > 300 {
		t.Errorf("the largest Offer has %d bytes with IPv4, section 5 allows 300", n)
	}
	if n := size(&Probe{}, fullBook); n != ProbeSize {
		t.Errorf("a Probe has %d bytes, want %d", n, ProbeSize)
	}
	news := &News{Members: members(&largest{}, MaxMembers), Notices: notices(&largest{}, MixedNotices)}
	if n := size(news, fullBook); n > MaxMessage {
		t.Errorf("the largest mixed News has %d bytes", n)
	}
}

// News of more notices than fit beside its records is a bug when sent and an error when
// received.
func TestMixedNews(t *testing.T) {
	m := &News{Members: members(&largest{}, MaxMembers), Notices: notices(&largest{}, MixedNotices+1)}
	b := header(nil, KindNews)
	b = m.Members.append(m.Notices.append(b, compactBook), compactBook)
	if err := new(News).Parse(b, compactBook); !errors.Is(err, ErrLimit) {
		t.Errorf("Parse: %v, want ErrLimit", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("Append wrote it")
		}
	}()
	m.Append(nil, compactBook)
}

func TestNoAllocations(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		m, got := messages[k](&largest{}), empty(k)
		b := make([]byte, 0, MaxMessage)
		if n := testing.AllocsPerRun(100, func() { b = m.Append(b[:0], fullBook) }); n != 0 {
			t.Errorf("Append allocates %v times", n)
		}
		if n := testing.AllocsPerRun(100, func() { _ = got.Parse(b, fullBook) }); n != 0 {
			t.Errorf("Parse allocates %v times", n)
		}
	})
}

func TestWait(t *testing.T) {
	const most = (1<<32 - 1) * vtime.Millisecond
	for _, c := range []struct{ in, want vtime.Duration }{
		{-vtime.Second, 0},
		{0, 0},
		{1, vtime.Millisecond}, // rounded up: nobody comes early
		{vtime.Millisecond, vtime.Millisecond},
		{most, most},
		{most + 1, most},
		{vtime.Duration(vtime.Never), most},
	} {
		r := reader{b: wait(nil, c.in)}
		if got := r.wait(); got != c.want {
			t.Errorf("wait(%d) arrives as %d, want %d", c.in, got, c.want)
		}
	}
}

func TestKindNames(t *testing.T) {
	seen := make(map[string]bool)
	for k := range Kind(Kinds()) {
		if s := k.String(); s == "" || s == "unknown" || seen[s] {
			t.Errorf("kind %d is called %q", k, s)
		}
		seen[k.String()] = true
	}
	if kinds.String() != "unknown" || KindOf([]byte{Version, byte(kinds)}) != KindNone || KindOf([]byte{Version}) != KindNone {
		t.Error("a kind beyond the last one was recognised")
	}
	if !KindProbe.Plain() || !KindOffer.Plain() || !KindDialBack.Plain() || KindAttach.Plain() {
		t.Error("Plain")
	}
}
