package stream

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/seed"
)

// fabric is a network in memory: one packet port per key, with loss and delay. It runs
// in real time and inside a synctest bubble.
type fabric struct {
	mu    sync.Mutex
	ports map[ident.Key]*fabricPort
	loss  float64
	delay time.Duration
	rand  seed.Rand
	cut   bool // nothing arrives
	fail  bool // WriteTo returns an error
	sent  int
}

func newFabric() *fabric {
	return &fabric{ports: make(map[ident.Key]*fabricPort), rand: seed.New(1)}
}

// set changes the fabric while it carries packets.
func (f *fabric) set(change func(*fabric)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// fabricPort is the virtual net.PacketConn of one endpoint.
type fabricPort struct {
	fabric *fabric
	boxed  net.Addr
	key    ident.Key
	inbox  *inbox
}

// port plugs in the port of key. It replaces the one before, as a reboot does.
func (f *fabric) port(key ident.Key) *fabricPort {
	p := &fabricPort{fabric: f, boxed: Addr{Key: key}, key: key, inbox: newInbox(1024)}
	f.set(func(f *fabric) { f.ports[key] = p })
	return p
}

func (p *fabricPort) ReadFrom(b []byte) (int, net.Addr, error) {
	m, err := p.inbox.get()
	if err != nil {
		return 0, nil, err
	}
	return copy(b, m.payload), m.from, nil
}

func (p *fabricPort) WriteTo(b []byte, to net.Addr) (int, error) {
	f := p.fabric
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent++
	if f.fail {
		return 0, errors.New("no path")
	}
	if len(b) > MaxPacket {
		panic("BUG: packet larger than MaxPacket")
	}
	if f.cut || f.loss > 0 && f.rand.Float64() < f.loss {
		return len(b), nil
	}
	m := message{payload: bytes.Clone(b), from: p.boxed}
	port := f.ports[to.(Addr).Key]
	switch {
	case port == nil:
	case f.delay == 0:
		port.inbox.put(m)
	default:
		time.AfterFunc(f.delay, func() { port.inbox.put(m) })
	}
	return len(b), nil
}

func (p *fabricPort) Close() error                       { p.inbox.close(); return nil }
func (p *fabricPort) LocalAddr() net.Addr                { return p.boxed }
func (p *fabricPort) SetDeadline(t time.Time) error      { return p.SetReadDeadline(t) }
func (p *fabricPort) SetReadDeadline(t time.Time) error  { p.inbox.setDeadline(t); return nil }
func (p *fabricPort) SetWriteDeadline(t time.Time) error { return nil }
func (p *fabricPort) SetReadBuffer(int) error            { return nil }
func (p *fabricPort) SetWriteBuffer(int) error           { return nil }

// network signs certificates, as the login servers of one network do.
type network struct{ private ed25519.PrivateKey }

func newNetwork(name string) network { return network{keyOf("network " + name)} }

func keyOf(text string) ed25519.PrivateKey {
	sum := sha256.Sum256([]byte(text))
	return ed25519.NewKeyFromSeed(sum[:])
}

// certify returns a certificate for peer: its keys, its name, a signature.
func (n network) certify(peer Peer) []byte {
	body := append(append(bytes.Clone(peer.Identity), peer.Key[:]...), peer.Name...)
	return append(body, ed25519.Sign(n.private, body)...)
}

func (n network) verify(certificate []byte) (Peer, error) {
	if len(certificate) < 64+64 {
		return Peer{}, errors.New("certificate too short")
	}
	body, signature := certificate[:len(certificate)-64], certificate[len(certificate)-64:]
	if !ed25519.Verify(n.private.Public().(ed25519.PublicKey), body, signature) {
		return Peer{}, errors.New("certificate not signed by this network")
	}
	return Peer{Name: string(body[64:]), Identity: body[:32], Key: ident.Key(body[32:64])}, nil
}

// peer returns the peer whose keys are made from its name.
func peer(name string) Peer {
	return Peer{Name: name, Identity: keyOf(name).Public().(ed25519.PublicKey), Key: sha256.Sum256([]byte("key of " + name))}
}

// identity returns the identity of the peer called name.
func (n network) identity(name string) Identity {
	return Identity{Private: keyOf(name), Certificate: n.certify(peer(name)), Verify: n.verify}
}

// start runs the endpoint of name on f until the test ends.
func start(t testing.TB, f *fabric, name string) *Endpoint {
	t.Helper()
	return startAs(t, f, peer(name).Key, newNetwork("test").identity(name))
}

func startAs(t testing.TB, f *fabric, key ident.Key, id Identity) *Endpoint {
	t.Helper()
	e, err := New(f.port(key), Config{Identity: func() Identity { return id }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// listen returns a listener that is closed with its endpoint.
func listen(t testing.TB, e *Endpoint, service string) net.Listener {
	t.Helper()
	l, err := e.Listen(service)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// pair returns the two ends of one stream from alice to bob.
func pair(t testing.TB, alice *Endpoint, l net.Listener) (dialled, taken net.Conn) {
	t.Helper()
	dialled, err := alice.Dial(t.Context(), peer(l.Addr().(Addr).Name), l.Addr().(Addr).Service)
	if err != nil {
		t.Fatal(err)
	}
	if taken, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return dialled, taken
}
