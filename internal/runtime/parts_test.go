package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/path"
	"github.com/ada420b6/overlay/internal/runtime/memnet"
	"github.com/ada420b6/overlay/internal/udp"
	"github.com/ada420b6/overlay/internal/vtime"
)

func TestObserver(t *testing.T) {
	truth, lie := netip.MustParseAddrPort("11.1.1.1:1"), netip.MustParseAddrPort("11.6.6.6:6")
	by := func(n byte) netip.Addr { return netip.AddrFrom4([4]byte{11, n, 0, 1}) }
	var o observer
	if _, ok := o.add(by(1), truth); ok {
		t.Fatal("one witness is believed")
	}
	if at, ok := o.add(by(2), truth); !ok || at != truth {
		t.Fatalf("two witnesses: %v, %v", at, ok)
	}
	for n := range 50 { // one group with many machines is one witness
		at, ok := o.add(netip.AddrFrom4([4]byte{11, 9, 0, byte(n)}), lie)
		if !ok || at != truth {
			t.Fatalf("a liar is believed: %v, %v", at, ok)
		}
	}
	for n := range byte(witnesses) { // the node has moved
		o.add(by(n+20), lie)
	}
	if at, ok := o.agreed(); !ok || at != lie {
		t.Fatalf("after a move: %v, %v", at, ok)
	}
}

func TestGroups(t *testing.T) {
	group := func(s string) ident.Group { return groupOf(netip.MustParseAddrPort(s)) }
	for _, s := range []string{"127.0.0.1:1", "10.0.0.1:1", "192.168.1.1:1", "[::1]:1", "[fe80::1]:1", "0.0.0.0:1"} {
		if group(s) != 0 {
			t.Errorf("%s has a group", s)
		}
	}
	if a := group("11.1.2.3:1"); a == 0 || a != group("11.1.9.9:2") || a == group("11.2.2.3:1") || a != group("[::ffff:11.1.2.3]:1") {
		t.Error("the groups of IPv4 addresses are not their /16")
	}
	if a := group("[2001:db8:1::1]:1"); a == 0 || a != group("[2001:db8:1:9::1]:1") || a == group("[2001:db8:2::1]:1") {
		t.Error("the groups of IPv6 addresses are not their /48")
	}
	if originOf(1, 2, netip.MustParseAddrPort("11.1.2.3:1")) == originOf(1, 3, netip.MustParseAddrPort("11.1.2.3:1")) {
		t.Error("origins do not depend on the key")
	}
}

func TestFloors(t *testing.T) {
	var f floors
	f.put(1, 7)
	f.put(1, 5)
	if f.get(1) != 7 {
		t.Fatalf("floor %d after 7 and 5", f.get(1))
	}
	for n := range 2 * maxFloors {
		f.put(ident.NameID(n+2), 1)
		f.get(1) // stays in use
	}
	if f.order.Len() != maxFloors || len(f.by) != maxFloors || f.get(1) != 7 || f.get(2) != 0 {
		t.Fatalf("%d names, floor %d of the one in use, %d of the oldest", f.order.Len(), f.get(1), f.get(2))
	}
}

func TestEventsAreBounded(t *testing.T) {
	var e events
	s := e.subscribe()
	for n := range eventQueue + 10 {
		e.emit(Event{Kind: EventStorm, Count: n})
	}
	if s.Dropped() != 10 {
		t.Fatalf("%d events dropped", s.Dropped())
	}
	if ev, err := s.Next(t.Context()); err != nil || ev.Count != 10 {
		t.Fatalf("the oldest that is left is %d: %v", ev.Count, err)
	}
	e.close()
	for range eventQueue - 1 {
		if _, err := s.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Next(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("after the end: %v", err)
	}
	if _, err := e.subscribe().Next(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("subscribed after the end: %v", err)
	}
}

func TestPlainDatagram(t *testing.T) {
	network := [8]byte{1, 2}
	to := netip.MustParseAddrPort("11.1.2.3:4")
	b := appendPlain(nil, network, to, []byte("probe"))
	if seen, m, ok := parsePlain(b, network); !ok || seen != to || string(m) != "probe" {
		t.Fatalf("%v %q %v", seen, m, ok)
	}
	if _, _, ok := parsePlain(b, [8]byte{1, 3}); ok {
		t.Fatal("a message of another network")
	}
	for cut := range len(b) - len("probe") + 1 {
		if _, _, ok := parsePlain(b[:cut], network); ok {
			t.Fatalf("cut at %d", cut)
		}
	}
}

func FuzzPlain(f *testing.F) {
	f.Add(appendPlain(nil, [8]byte{}, netip.MustParseAddrPort("11.1.2.3:4"), []byte("x")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if seen, m, ok := parsePlain(b, [8]byte{}); ok {
			if again := appendPlain(nil, [8]byte{}, seen, m); string(again) != string(b) {
				t.Fatalf("%x has two encodings: %x", b, again)
			}
		}
		laneOf(b)
	})
}

func TestRelay(t *testing.T) {
	var sent []udp.Run
	r := newRelay(func(runs []udp.Run) { sent = runs })
	a, b := netip.MustParseAddrPort("11.1.0.1:1"), netip.MustParseAddrPort("11.2.0.1:1")
	r.open(7, [2]ident.Key{{1}, {2}}, [2]netip.AddrPort{a, b})
	packet := append([]byte{path.Head, 0, 0, 0, 0, 0, 0, 0, 7}, "payload"...)
	run := udp.Run{Data: append(bytes.Clone(packet), packet...), Size: len(packet), ECN: 2}
	carry := func(from netip.AddrPort) (to netip.AddrPort, ours bool) {
		sent = nil
		run := run
		run.Addr = from
		ours = r.carry(7, run)
		if r.flush(); len(sent) == 0 {
			return to, ours
		}
		to, sent[0].Addr = sent[0].Addr, from
		if len(sent) != 1 || !reflect.DeepEqual(sent[0], run) {
			t.Fatalf("%+v was forwarded as %+v", run, sent)
		}
		return to, ours
	}
	if to, ours := carry(a); !ours || to != b {
		t.Fatalf("forwarded to %v", to)
	}
	if to, ours := carry(b); !ours || to != a {
		t.Fatalf("forwarded to %v", to)
	}
	moved := netip.MustParseAddrPort("11.3.0.1:1")
	r.moved(ident.Key{1}, moved)
	if to, ours := carry(b); !ours || to != moved {
		t.Fatalf("forwarded to %v after the move", to)
	}
	if to, ours := carry(a); !ours || to.IsValid() || r.source.Load() != 2 {
		t.Fatalf("from neither end, forwarded to %v", to)
	}
	run.Addr = b
	if n := testing.AllocsPerRun(100, func() { r.carry(7, run); r.flush() }); n != 0 {
		t.Errorf("a packet costs %v allocations", n)
	}
	for range 3 * relayRuns { // as many runs as there may be before a flush
		r.carry(7, run)
	}
	r.close(7)
	if _, ours := carry(b); ours {
		t.Fatal("forwarded on a channel that is closed")
	}
}

// A run is cut where its channel changes, and what is on no channel goes its own way.
func TestTogether(t *testing.T) {
	var data []byte
	for _, channel := range []byte{7, 7, 7, 8, 7} {
		data = append(data, path.Head, 0, 0, 0, 0, 0, 0, 0, channel, 'x', 'y')
	}
	data = append(data, 0x13, 0, 0, 0, 0, 0, 0, 0, 7, 'x', 'y')
	data = append(data, path.Head, 0, 0, 0) // too short
	r := udp.Run{Data: data, Size: 11}
	var got [][2]uint64
	for len(r.Data) > 0 {
		number, n := path.Together(&r)
		r.Cut(n)
		got = append(got, [2]uint64{number, uint64(n)})
	}
	if want := [][2]uint64{{7, 3}, {8, 1}, {7, 1}, {0, 1}, {0, 1}}; !slices.Equal(got, want) {
		t.Errorf("channels and datagrams %v, want %v", got, want)
	}
	for _, size := range []int{1, 3, path.HeaderSize - 1} {
		if number, n := path.Together(&udp.Run{Data: data, Size: size}); number != 0 || n != 1 {
			t.Errorf("datagrams of %d bytes: channel %d, %d together", size, number, n)
		}
	}
}

func TestBucket(t *testing.T) {
	var b bucket
	now, taken := vtime.Time(1), 0
	for range 10_000 { // ten seconds
		if b.take(now, afarBurst, afarEvery) {
			taken++
		}
		now = now.Add(vtime.Millisecond)
	}
	if want := afarBurst + int(10*vtime.Second/afarEvery); taken < want-1 || taken > want+1 {
		t.Fatalf("%d taken, want %d", taken, want)
	}
}

func TestConfig(t *testing.T) {
	i := newIssuer(t)
	invite, err := inviteOf(i)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]Config{
		"no invite":           {Name: "a"},
		"no name":             {Invite: invite},
		"a name, contributes": {Invite: invite, Name: "a", Contribute: true},
		"a bad name":          {Invite: invite, Name: "A b"},
		"a bad role":          {Invite: invite, Name: "a", Role: 9},
		"too many slots":      {Invite: invite, Name: "a", Slots: maxSlots + 1},
		"too small a budget":  {Invite: invite, Name: "a", RelayBudget: MinRelayBudget - 1},
	} {
		if n, err := Start(t.Context(), c); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v, %v", what, n, err)
		}
	}
	for role, want := range map[core.Role]int64{core.RoleAuto: UserRelayBudget, core.RoleNode: UserRelayBudget, core.RoleSupernode: 0} {
		if c, err := (Config{Invite: invite, Name: "a", Role: role}).withDefaults(); err != nil || c.RelayBudget != want {
			t.Errorf("role %d has a relay budget of %d, want %d: %v", role, c.RelayBudget, want, err)
		}
	}
}

// A start that fails leaves nothing behind: neither a lock nor a goroutine.
func TestFailedStart(t *testing.T) {
	i := newIssuer(t)
	invite, err := inviteOf(i)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	broken := errors.New("no network")
	c := Config{Invite: invite, Name: "a", StateDir: dir}
	c.ListenPacket = func(context.Context, string) (net.PacketConn, error) { return nil, broken }
	for range 2 {
		if _, err := Start(t.Context(), c); !errors.Is(err, broken) {
			t.Fatal(err)
		}
	}
}

func TestKeeperReportsOnce(t *testing.T) {
	dir := t.TempDir()
	st, err := openState(dir)
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 8)
	k := newKeeper(&state{dir: dir + "/gone", lock: st.lock}, slog.New(slog.DiscardHandler), func(err error) { failed <- err })
	for n := range 3 {
		k.put(fmt.Sprint(n), fileRole, nil)
	}
	select {
	case err := <-failed:
		t.Log(err)
	case <-time.After(5 * time.Second):
		t.Fatal("a directory that is gone was not reported")
	}
	if err := k.close(); err != nil {
		t.Fatal(err)
	}
	if n := len(failed); n != 0 {
		t.Errorf("reported %d times more", n)
	}
}

// The comments name what an entry of the book and a buffered event cost.
func TestSizes(t *testing.T) {
	if n := unsafe.Sizeof(entry{}); n > 800 {
		t.Errorf("an entry has %d bytes", n)
	}
	t.Logf("entry %d, event %d bytes", unsafe.Sizeof(entry{}), unsafe.Sizeof(Event{}))
}

// Strangers fill their own queue only; what a session sends, and the answer to a probe of
// this node's own, have another.
func TestLanes(t *testing.T) {
	pc, err := memnet.New(memnet.Config{}).Listen("11.1.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	s := newSocket(pc)
	put := func(head byte, from string) bool {
		b := path.NewBuffer()
		b.Space()[0] = head
		b.SetLen(100)
		return s.sort(b, netip.MustParseAddrPort(from))
	}
	for range 2 * strangerQueue {
		put(typeInit, "11.2.0.1:1")
		put(headPlain, "11.2.0.1:1")
	}
	if full := s.n.strangersFull.Load(); full != 3*strangerQueue || len(s.others) != strangerQueue || len(s.live) != 0 {
		t.Fatalf("%d dropped, %d and %d queued", full, len(s.others), len(s.live))
	}
	s.asked.note(5, netip.MustParseAddrPort("11.3.0.1:1"))
	if !put(0x13, "11.2.0.1:1") || !put(headPlain, "11.3.0.1:1") || len(s.live) != 2 {
		t.Fatalf("%d of sessions queued", len(s.live))
	}
	if put(0x17, "11.2.0.1:1") || put(0x21, "11.2.0.1:1") || s.n.notOurs.Load() != 2 {
		t.Fatalf("%d counted as not ours", s.n.notOurs.Load())
	}
}

// One address that floods with packets of sessions waits with the strangers for what is
// more than its share, whatever ports it sends from; others' keepalives pass.
func TestShareOfTheLiveQueue(t *testing.T) {
	pc, err := memnet.New(memnet.Config{}).Listen("11.1.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	s := newSocket(pc)
	s.rates.key = [2]uint64{1, 2} // two addresses might share a rate
	s.begun = time.Now().Add(-time.Hour)
	b := path.NewBuffer()
	b.Space()[0] = 0x13
	b.SetLen(100)
	begun := time.Now()
	for port := range 4 * liveQueue {
		s.sort(b, netip.AddrPortFrom(netip.MustParseAddr("11.2.0.1"), uint16(port+1)))
	}
	most := sourceBurst + int(time.Since(begun)/time.Duration(sourceEvery)) + 1
	if n := len(s.live); n < sourceBurst || n > most || s.n.strangersFull.Load() == 0 || len(s.others) != strangerQueue {
		t.Fatalf("%d of one source queued, at most %d are its share; %d with the strangers", n, most, len(s.others))
	}
	had := len(s.live)
	if !s.sort(b, netip.MustParseAddrPort("11.3.0.1:1")) || len(s.live) != had+1 {
		t.Fatal("another source's packet waits behind the flood")
	}
}

func TestSources(t *testing.T) {
	s := sources{key: [2]uint64{1, 2}}
	now := vtime.Time(1)
	took := func(from string) (n int) {
		for at := netip.MustParseAddr(from); s.take(at, now); n++ {
		}
		return n
	}
	if n := took("2001:db8::1"); n != sourceBurst {
		t.Fatalf("%d at once", n)
	}
	if same, other := took("2001:db8::2"), took("2001:db8:0:1::1"); same != 0 || other != sourceBurst {
		t.Fatalf("%d more from the same /64, %d from another", same, other)
	}
	if v4, mapped := took("11.2.0.1"), took("::ffff:11.2.0.1"); v4 != sourceBurst || mapped != 0 {
		t.Fatalf("%d from an IPv4 address, %d from its mapped form", v4, mapped)
	}
	if now = now.Add(10 * sourceEvery); took("11.2.0.1") != 10 {
		t.Fatal("a rate does not come back")
	}
	at := netip.MustParseAddr("11.2.0.1")
	if n := testing.AllocsPerRun(100, func() { s.take(at, now) }); n != 0 {
		t.Errorf("a packet costs %v allocations", n)
	}
}
