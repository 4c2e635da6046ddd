package session

import (
	"bytes"
	"testing"
)

// stranger is an address that nobody has.
var stranger = address(5000)

// fuzzWorld is a table with a live session, a call under way and a received Init not
// confirmed, and one genuine packet of each type addressed to it.
func fuzzWorld(t testing.TB) (b *node, genuine []packet) {
	w := newWorld(t, 60)
	b = w.add(nil)
	a, c, d, e := w.add(nil), w.add(nil), w.add(nil), w.add(nil)
	w.join(a, b)
	a.say(b, "transport", false)
	genuine = append(genuine, w.take(0))
	genuine = append(genuine, roamPackets(w, a, b)...)

	b.say(c, "called", false)
	b.say(c, "waits", false)
	w.arrive(w.take(0))
	genuine = append(genuine, w.take(0)) // C's Response

	d.say(b, "init", false)
	genuine = append(genuine, w.take(0))
	e.say(b, "unconfirmed", false)
	w.arrive(w.take(0))
	w.arrive(w.take(0))
	genuine = append(genuine, w.take(0)) // E's confirmation

	d.handshakeLoad = 0
	b.say(d, "refused", false)
	w.arrive(w.take(0))
	genuine = append(genuine, w.take(0)) // D's cookie

	b.say(a, "lost", false)
	a.Forget(b.Key())
	w.arrive(w.take(0))
	genuine = append(genuine, w.take(0)) // A's Reset
	return b, genuine
}

// roamPackets returns a Challenge from a to b, and a's Echo of b's of the stranger.
func roamPackets(w *world, a, b *node) (genuine []packet) {
	b.say(a, "moved", false)
	moved := w.take(0)
	moved.from = address(201)
	w.arrive(moved)
	genuine = append(genuine, w.take(0))

	a.say(b, "moved", false)
	moved = w.take(0)
	moved.from = stranger
	w.arrive(moved)
	challenge := w.take(0)
	challenge.to = a.addr
	w.arrive(challenge)
	genuine = append(genuine, w.take(0))
	w.now = w.now.Add(challengeEvery) // so that inputs can cause Challenges
	return genuine
}

// FuzzReceive bends genuine packets, or makes up new ones, and gives mac1 to those that
// want it, since no stranger's Init gets past it. Nothing panics, the table stays sound,
// and an address that proved nothing gets no more bytes than came from it, however much
// the core answers.
func FuzzReceive(f *testing.F) {
	b, genuine := fuzzWorld(f)
	for i := range len(genuine) + 1 {
		f.Add(uint8(i), uint16(0), []byte{}, uint16(0), false)
		f.Add(uint8(i), uint16(30), []byte{1, 2, 3}, uint16(5), true)
	}
	f.Add(uint8(len(genuine)), uint16(0), append([]byte{head(typeInit)}, make([]byte, MinInit)...), uint16(0), true)
	f.Fuzz(func(t *testing.T, which uint8, at uint16, bits []byte, cut uint16, mac bool) {
		var data []byte
		if i := int(which) % (len(genuine) + 1); i < len(genuine) {
			data = bytes.Clone(genuine[i].data)
			for n := range bits {
				data[(int(at)+n)%len(data)] ^= bits[n]
			}
			data = data[:len(data)-int(cut)%len(data)]
		} else {
			data = bytes.Clone(bits)
		}
		if mac && len(data) > 2*macSize {
			copy(mac1(data), appendMac(nil, b.mac1, before1(data)))
		}
		if receiveAsStranger(t, b, data) {
			b, genuine = fuzzWorld(t) // what an input changed must not reach the next
		}
	})
}

// receiveAsStranger hands data to b from an address that nobody has, answers it as
// wordily as the core could, and counts what goes back. It reports whether anything but
// counters changed.
func receiveAsStranger(t *testing.T, b *node, data []byte) (changed bool) {
	w, from := b.w, stranger
	w.t, w.flight, b.resets = t, nil, newBucket(resetRate, resetBurst)
	was := b.Counters()
	before := bytes.Clone(data)
	r := b.Receive(from, data, w.now)
	if !bytes.Equal(data, before) {
		t.Fatal("Receive changed the packet")
	}
	if r.Fresh {
		for _, n := range []int{700, 600, 10, 1, 1200, 30, 5} {
			if err := b.Send(r.Peer, from, make([]byte, n), false, w.now); err != nil {
				t.Fatal(err)
			}
		}
		b.Flush(r.Peer)
	}
	audit(t, b.Table)
	back := 0
	for _, p := range w.flight {
		if p.to == from {
			back += len(p.data)
		}
	}
	if back > len(data) {
		t.Fatalf("%d B went back for %d B", back, len(data))
	}
	is := b.Counters()
	return r.Kind != KindNone || is.Handshakes != was.Handshakes || is.BadResponse != was.BadResponse || is.Resets != was.Resets ||
		is.SessionsFull+is.PendingFull != was.SessionsFull+was.PendingFull || back > resetSize
}
