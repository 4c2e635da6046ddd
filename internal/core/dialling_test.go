package core

import (
	"testing"

	"github.com/ada420b6/overlay/internal/attach"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// callLab is a lab in which caller has dialled peer, an ordinary node as well. Both are
// attached to attachments supernodes.
func callLab(t *testing.T, attachments int) (l *lab, caller, peer ident.Handle) {
	l = newLab(t, 40)
	l.policy.Attachments = attachments
	for h := ident.Handle(1); h <= 40; h++ {
		l.start(h, vtime.Duration(h)*100*vtime.Millisecond)
	}
	l.run(10 * vtime.Minute)
	for _, h := range l.upAll() {
		if x := l.host(h); x.env.Super == nil && h != l.login && x.node.lasting() == attachments {
			caller, peer = peer, h
		}
	}
	if caller == ident.None {
		t.Fatal("there are no two ordinary nodes")
	}
	l.dial(caller, peer)
	l.run(2 * vtime.Second)
	return l, caller, peer
}

func (l *lab) dial(caller, peer ident.Handle) {
	x := l.host(peer)
	r := (&step{n: &x.node, env: &x.env}).recordWith(ident.None)
	l.host(caller).events, x.events = nil, nil
	l.step(caller, Input{Kind: InputDial, From: peer, At: r.At, Name: r.Name, Floor: r.Seq})
}

// effects returns the effects of a kind that a host has carried out.
func (l *lab) effects(h ident.Handle, kind EffectKind) (all []Effect) {
	for _, f := range l.host(h).events {
		if f.Kind == kind {
			all = append(all, f)
		}
	}
	return all
}

// count counts the messages of a kind that h sends from now on.
func (l *lab) count(h ident.Handle, kind wire.Kind) *int {
	n := new(int)
	l.lose = func(from, _ ident.Handle, b []byte) bool {
		if from == h && wire.KindOf(b) == kind {
			*n++
		}
		return false
	}
	return n
}

// silence tells both ends of a channel that nothing comes on it.
func (l *lab) silence(f Effect, caller, peer ident.Handle) {
	l.step(caller, Input{Kind: InputSilent, From: peer, At: [2]ident.Handle{f.Relay}, Channel: f.Channel})
	l.step(peer, Input{Kind: InputSilent, From: caller, At: [2]ident.Handle{f.Relay}, Channel: f.Channel})
}

// A call has two channels through different relays as soon as it stands, both ends know
// both, and keeping them costs two messages in 25 s.
func TestTwoChannels(t *testing.T) {
	l, caller, peer := callLab(t, 2)
	for _, h := range []ident.Handle{caller, peer} {
		c := l.effects(h, EffectChannel)
		if len(c) != 2 || c[0].Relay == c[1].Relay || c[0].Channel == c[1].Channel {
			t.Fatalf("node %d has channels %+v", h, c)
		}
	}
	opens := l.count(caller, wire.KindRelayOpen)
	l.run(250 * vtime.Second)
	if *opens != 20 {
		t.Errorf("%d messages keep two channels for 250 s", *opens)
	}
	if n := len(l.effects(caller, EffectChannel)); n != 2 {
		t.Errorf("%d channels", n)
	}
	l.step(caller, Input{Kind: InputHangup, From: peer})
	l.run(vtime.Second)
	for _, h := range l.upAll() {
		if sn := l.host(h).env.Super; sn != nil && sn.Channels() > 0 {
			t.Errorf("relay %d keeps a channel after the end", h)
		}
	}
	if l.host(caller).env.Calls != nil {
		t.Error("the call is remembered after its end")
	}
}

// When relays die one after the other, with 20 s in between, there are two channels again
// each time, and few look-ups are spent on it.
func TestAnotherChannelIsSought(t *testing.T) {
	l, caller, peer := callLab(t, 2)
	live := map[uint64]Effect{}
	for _, f := range l.effects(caller, EffectChannel) {
		live[f.Channel] = f
	}
	for death := range 3 {
		var dead Effect
		for _, f := range l.effects(caller, EffectChannel) {
			if x, ok := live[f.Channel]; ok {
				dead = x
				break
			}
		}
		lookups := l.count(caller, wire.KindLookup)
		l.host(caller).events = nil
		l.crash(dead.Relay)
		l.silence(dead, caller, peer)
		delete(live, dead.Channel)
		l.run(20 * vtime.Second)
		for _, f := range l.effects(caller, EffectChannel) {
			live[f.Channel] = f
		}
		if n := l.effects(caller, EffectNoChannel); len(n) > 0 {
			t.Fatalf("death %d: the call was given up", death)
		}
		for _, f := range live { // the effects begin anew with those that stand
			l.host(caller).events = append(l.host(caller).events, f)
		}
		open, _ := l.host(caller).env.Calls.dialling(peer).stands()
		if open != 2 || *lookups > 12 {
			t.Fatalf("death %d: %d channels after 20 s, %d look-ups", death, open, *lookups)
		}
	}
}

// A peer that stays with one supernode is asked for ever more rarely.
func TestSeekingIsRare(t *testing.T) {
	l, caller, peer := callLab(t, 1)
	lookups := l.count(caller, wire.KindLookup)
	l.run(vtime.Hour)
	if open, _ := l.host(caller).env.Calls.dialling(peer).stands(); open != 1 || *lookups < 50 || *lookups > 130 {
		t.Errorf("%d channels, %d look-ups in an hour", open, *lookups)
	}
}

// A relay that leaves tells both ends while it forwards, and forwards until they have
// another way, also when it was the only one.
func TestLeavingRelayTellsBothEnds(t *testing.T) {
	for attachments := 1; attachments <= 2; attachments++ {
		l, caller, peer := callLab(t, attachments)
		c := l.effects(caller, EffectChannel)[0]
		relay := c.Relay
		l.host(relay).events = nil
		l.step(relay, Input{Kind: InputLeave})
		l.run(labLatency)
		for _, h := range []ident.Handle{caller, peer} {
			if over := l.effects(h, EffectChannelOver); len(over) != 1 || over[0].Channel != c.Channel || over[0].Relay != relay {
				t.Errorf("%d attachments: node %d hears of %+v", attachments, h, over)
			}
		}
		for range 600 {
			open, _ := l.host(caller).env.Calls.dialling(peer).stands()
			if stops := l.effects(relay, EffectUnforward); len(stops) > 0 {
				if news := l.effects(caller, EffectChannel); attachments == 1 && len(news) < 2 || open < 1 {
					t.Errorf("%d attachments: the relay stops before there is another", attachments)
				}
				break
			}
			l.run(100 * vtime.Millisecond)
		}
		if len(l.effects(relay, EffectUnforward)) == 0 || len(l.effects(relay, EffectLeft)) == 0 {
			t.Errorf("%d attachments: the relay forwards for a minute and more", attachments)
		}
	}
}

// What is on its way to a node that has let its relay go still arrives.
func TestChannelOutlivesItsTarget(t *testing.T) {
	l, caller, peer := callLab(t, 2)
	relay := l.effects(caller, EffectChannel)[0].Relay
	x := l.host(peer)
	m := wire.Goodbye{Token: x.node.at[x.node.holds(relay)].token, Reason: wire.FarewellReplaced}
	l.host(relay).events = nil
	l.step(relay, Input{Kind: InputMessage, From: peer, Bytes: m.Append(nil, labBook{})})
	l.run(relayGrace - 1)
	if n := len(l.effects(relay, EffectUnforward)); n != 0 {
		t.Error("the relay has stopped at once")
	}
	l.run(vtime.Second)
	if n := len(l.effects(relay, EffectUnforward)); n != 1 {
		t.Errorf("the relay has stopped %d times", n)
	}
}

// An attachment that is lost while another attach is under way makes a record that does not
// list the new one: whoever has it must get another, under another number.
func TestRecordOfRacingAttach(t *testing.T) {
	l, h, super := settledLab(t, 20)
	x := l.host(h)
	for x.node.count() < 2 {
		l.run(vtime.Second)
	}
	said := func(m interface {
		Append([]byte, wire.Book) []byte
	}) {
		l.step(h, Input{Kind: InputMessage, From: super, Bytes: m.Append(nil, labBook{})})
	}
	token := x.node.at[x.node.holds(super)].token
	l.lose = func(from, _ ident.Handle, b []byte) bool { // or the node lets go before
		return from == h && wire.KindOf(b) == wire.KindKeepalive
	}
	said(&wire.Goodbye{Token: token, Reason: wire.FarewellLeaving})
	for n := 0; x.node.seek.Phase != attach.Joining; n++ {
		if n > 10_000 {
			t.Fatal("the node does not come to attach")
		}
		l.run(5 * vtime.Millisecond)
	}
	said(&wire.NotAttached{Token: token})
	l.lose = nil
	l.run(5 * vtime.Second)
	want := (&step{n: &x.node, env: &x.env}).recordWith(ident.None)
	for _, at := range want.At {
		if at == ident.None {
			t.Fatalf("the node has one attachment: %+v", want)
		}
		sn := l.host(at).env.Super
		if i, ok := sn.find(h); !ok || sn.held[i].record != want {
			t.Errorf("supernode %d has record %+v, the node's is %+v", at, sn.held[i].record, want)
		}
	}
}

// A relay that forwards too much refuses new calls until that is over, and goes on with
// those that stand; its own calls are none of its budget's business.
func TestCrowdedRelayRefusesNewCalls(t *testing.T) {
	l, caller, peer := callLab(t, 2)
	relays := [2]ident.Handle{}
	for i, f := range l.effects(caller, EffectChannel) {
		relays[i] = f.Relay
	}
	var other ident.Handle
	for _, h := range l.upAll() {
		if x := l.host(h); x.env.Super == nil && h != l.login && h != caller && h != peer && x.node.lasting() == 2 {
			other = h
		}
	}
	crowd := func() {
		for _, h := range relays {
			l.step(h, Input{Kind: InputCrowded})
		}
	}
	crowd()
	l.dial(other, peer)
	for range 60 { // longer than a channel lives unconfirmed
		l.run(2 * vtime.Second)
		crowd()
	}
	if n := len(l.effects(other, EffectChannel)); n != 0 {
		t.Errorf("%d channels were opened through crowded relays", n)
	}
	if len(l.effects(other, EffectNoChannel)) == 0 {
		t.Error("the caller was not told")
	}
	for _, h := range relays {
		if n := l.host(h).env.Super.Channels(); n != 1 {
			t.Errorf("crowded relay %d has %d channels, of the one that stood", h, n)
		}
		if n := len(l.effects(h, EffectUnforward)); n != 0 {
			t.Errorf("crowded relay %d has closed %d channels", h, n)
		}
	}
	l.dial(relays[0], peer)
	l.run(vtime.Second)
	if len(l.effects(relays[0], EffectChannel)) == 0 {
		t.Error("a crowded relay does not call its own node")
	}
	l.run(crowdedFor)
	l.dial(other, peer)
	l.run(2 * vtime.Second)
	if n := len(l.effects(other, EffectChannel)); n != 2 {
		t.Errorf("%d channels when it was over", n)
	}
}
