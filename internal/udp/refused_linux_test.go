package udp

import (
	"bytes"
	"testing"
	"time"
)

// TestRefusedRun: what the system does not take in one piece goes one by one. A run of more
// bytes than an IP packet holds is such a one.
func TestRefusedRun(t *testing.T) {
	from, _ := open(t, "127.0.0.1:0", sockets[0].wrap)
	to, there := open(t, "127.0.0.1:0", sockets[0].wrap)
	r := Run{Addr: there, Data: fill(80*1000 + 7), Size: 1000}
	want := datagrams([]Run{r})
	m := from.many.writer()
	m.add(&r, from.many.mixed)
	after := Run{Addr: there, Data: []byte("after"), Size: 5}
	m.add(&after, from.many.mixed)
	if unsent := from.many.flush(m); unsent != 0 {
		t.Fatalf("%d datagrams were not sent", unsent)
	}
	want = append(want, after.Data)
	_ = to.SetReadDeadline(time.Now().Add(10 * time.Second))
	var got [][]byte
	for len(got) < len(want) {
		runs, err := to.Read()
		if err != nil {
			t.Fatalf("%d datagrams of %d: %v", len(got), len(want), err)
		}
		got = append(got, datagrams(runs)...)
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("datagram %d has %d bytes of %d, or changed", i, len(got[i]), len(want[i]))
		}
	}
}
