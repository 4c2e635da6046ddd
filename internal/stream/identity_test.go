package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// TestImpersonation: whoever sits at bob's address must be bob.
func TestImpersonation(t *testing.T) {
	n := newNetwork("test")
	stolen := n.identity("bob")
	stolen.Private = keyOf("mallory")
	cases := map[string]Identity{
		"certificate of another name": n.identity("mallory"),
		"another network": {
			Private: keyOf("bob"), Certificate: newNetwork("other").certify(peer("bob")), Verify: newNetwork("other").verify,
		},
		"bob's certificate, another key": stolen,
	}
	for what, id := range cases {
		t.Run(what, func(t *testing.T) {
			f := newFabric()
			alice := start(t, f, "alice")
			impostor := startUnchecked(t, f, id)
			_, err := alice.Dial(t.Context(), peer("bob"), "80")
			if !errors.Is(err, ErrIdentity) || errors.Is(err, net.ErrClosed) {
				t.Errorf("Dial: %v, want ErrIdentity", err)
			}
			if impostor.Stats().Inbound > 1 {
				t.Errorf("links: %d", impostor.Stats().Inbound)
			}
		})
	}
}

// startUnchecked starts an endpoint at bob's address with an identity that New would
// not let pass.
func startUnchecked(t *testing.T, f *fabric, id Identity) *Endpoint {
	t.Helper()
	var ready atomic.Bool
	whole := newNetwork("test").identity("bob")
	e, err := New(f.port(peer("bob").Key), Config{Identity: func() Identity {
		if ready.Load() {
			return id
		}
		return whole
	}})
	if err != nil {
		t.Fatal(err)
	}
	ready.Store(true)
	t.Cleanup(func() { e.Close() })
	return e
}

// TestCallerMustProveIdentity: the same, for those who dial.
func TestCallerMustProveIdentity(t *testing.T) {
	other := newNetwork("other")
	f := newFabric()
	bob := start(t, f, "bob")
	listen(t, bob, "80")
	// mallory believes everybody, and has a certificate of another network.
	trusting := other.identity("mallory")
	trusting.Verify = func(b []byte) (Peer, error) {
		if p, err := other.verify(b); err == nil {
			return p, nil
		}
		return newNetwork("test").verify(b)
	}
	mallory := startAs(t, f, peer("mallory").Key, trusting)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := mallory.Dial(ctx, peer("bob"), "80"); !errors.Is(err, ErrIdentity) {
		t.Errorf("Dial: %v, want ErrIdentity", err)
	}
	if got := bob.Stats().IdentityRejected; got != 1 {
		t.Errorf("%d callers rejected, want 1", got)
	}
}

// TestNoCertificate: a QUIC client that shows none at all.
func TestNoCertificate(t *testing.T) {
	f := newFabric()
	bob := start(t, f, "bob")
	tr := &quic.Transport{Conn: f.port(peer("stranger").Key)}
	defer tr.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	c, err := tr.Dial(ctx, peer("bob").addr(""), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocolName}},
		&quic.Config{InitialPacketSize: MaxPacket, EnableDatagrams: true})
	if err == nil {
		<-c.Context().Done()
		err = context.Cause(c.Context())
	}
	var alert *quic.TransportError
	if !errors.As(err, &alert) || !alert.ErrorCode.IsCryptoError() {
		t.Errorf("the handshake ended with %v, want a TLS alert", err)
	}
	bob.mu.Lock()
	defer bob.mu.Unlock()
	if len(bob.in) != 0 {
		t.Error("a stranger has a link")
	}
}

func TestOwnIdentityIsChecked(t *testing.T) {
	n := newNetwork("test")
	stolen := n.identity("bob")
	stolen.Private = keyOf("alice")
	for what, id := range map[string]Identity{
		"empty":            {},
		"of another key":   stolen,
		"of no network":    {Private: keyOf("bob"), Certificate: []byte("x"), Verify: n.verify},
		"without a Verify": {Private: keyOf("bob"), Certificate: n.certify(peer("bob"))},
	} {
		if _, err := New(newFabric().port(peer("bob").Key), Config{Identity: func() Identity { return id }}); err == nil {
			t.Errorf("New with an identity %s succeeds", what)
		}
	}
}

// TestRenewal: a certificate that is renewed while the endpoint runs is what the next
// handshake shows.
func TestRenewal(t *testing.T) {
	f := newFabric()
	var shown atomic.Value
	shown.Store("")
	n := newNetwork("test")
	id := n.identity("alice")
	id.Verify = func(b []byte) (Peer, error) {
		serial := ""
		if i := strings.Index(string(b), "serial "); i > 0 {
			serial, b = string(b[i:]), b[:i]
		}
		p, err := n.verify(b)
		if p.Name == "bob" {
			shown.Store(serial)
		}
		return p, err
	}
	alice := startAs(t, f, peer("alice").Key, id)
	for _, serial := range []string{"serial 1", "serial 2"} {
		bobs := n.identity("bob")
		bobs.Certificate = append(bobs.Certificate, serial...)
		bobs.Verify = id.Verify
		var current atomic.Pointer[Identity]
		current.Store(&bobs)
		bob, err := New(f.port(peer("bob").Key), Config{Identity: func() Identity { return *current.Load() }})
		if err != nil {
			t.Fatal(err)
		}
		pair(t, alice, listen(t, bob, "80"))
		if got := shown.Load(); got != serial {
			t.Errorf("bob showed %q, want %q", got, serial)
		}
		renewed := bobs
		renewed.Certificate = append(n.certify(peer("bob")), serial+", renewed"...)
		current.Store(&renewed)
		alice.live(target{peer("bob").Key, "bob"}).close(codeReplaced)
		c, err := alice.Dial(t.Context(), peer("bob"), "80")
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if got := shown.Load(); got != serial+", renewed" {
			t.Errorf("bob showed %q after the renewal", got)
		}
		bob.Close()
	}
}
