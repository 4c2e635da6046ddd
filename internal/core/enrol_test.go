package core

import (
	"testing"

	"github.com/ada420b6/overlay/internal/vtime"
	"github.com/ada420b6/overlay/internal/wire"
)

// TestRefusedRenewalIsAskedForAgain: the operator's hook fails once, in the very minute in
// which a certificate is to be renewed. That must not end renewal.
func TestRefusedRenewalIsAskedForAgain(t *testing.T) {
	l, h, _ := settledLab(t, 20)
	n := &l.host(h).node
	n.login.renew = l.now
	l.step(h, Input{Kind: InputTimer})
	if n.login.phase != applying {
		t.Fatalf("a certificate that is due is not renewed: phase %d", n.login.phase)
	}
	no := wire.LoginReply{Nonce: n.login.nonce, Status: wire.LoginRefused, Text: []byte("not now")}
	l.step(h, Input{Kind: InputMessage, From: l.login, Bytes: no.Append(nil, labBook{}, h)})
	next := n.login.deadline()
	if next <= l.now || next > l.now.Add(l.policy.RenewRetry) {
		t.Fatalf("after a refusal the next request is due at %v, it is %v", next, l.now)
	}
	if !n.Certified() {
		t.Fatal("a refused renewal took the certificate away")
	}
	l.run(l.policy.RenewRetry + vtime.Minute)
	if n.login.phase != enrolled || n.login.renew == vtime.Never {
		t.Errorf("the second request was granted, and the machine is in phase %d, renewal at %v", n.login.phase, n.login.renew)
	}
}
