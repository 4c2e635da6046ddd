package overlay_test

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/ada420b6/overlay"
)

// ordinary returns two nodes that are no supernodes, so that what they say is relayed.
func ordinary(b *testing.B, nodes []*overlay.Node) (from, to *overlay.Node) {
	b.Helper()
	for _, n := range nodes {
		switch {
		case n.Status().Supernode:
		case from == nil:
			from = n
		default:
			return from, n
		}
	}
	b.Fatal("there are no two ordinary nodes")
	return nil, nil
}

// plain returns the two ends of a connection of plain quic-go over UDP on loopback.
func plain(b *testing.B) (client, server *quic.Conn) {
	b.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		b.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		b.Fatal(err)
	}
	own := []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	config := &quic.Config{EnableDatagrams: true}
	l, err := quic.ListenAddr("127.0.0.1:0", &tls.Config{Certificates: own, NextProtos: []string{"x"}}, config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	client, err = quic.DialAddr(b.Context(), l.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"x"}}, config)
	if err != nil {
		b.Fatal(err)
	}
	server, err = l.Accept(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return client, server
}

// BenchmarkRelayedStream moves 8 MiB between two nodes through their relay, and over
// plain quic-go on the same loopback, turn by turn, and reports the ratio.
func BenchmarkRelayedStream(b *testing.B) {
	_, nodes := network(b, 8, overlay.WithRelayedOnly())
	from, to := ordinary(b, nodes)
	benchStream(b, from, to, func() {})
}

// BenchmarkDirectStream does the same when they have left the relay.
func BenchmarkDirectStream(b *testing.B) {
	_, nodes := network(b, 8)
	from, to := ordinary(b, nodes)
	benchStream(b, from, to, func() { direct(b, from, to) })
}

// direct waits until two nodes reach each other without a relay.
func direct(tb testing.TB, from, to *overlay.Node) {
	tb.Helper()
	for begun := time.Now(); from.Status().Direct == 0 || to.Status().Direct == 0; <-time.After(10 * time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			tb.Fatal("not direct")
		}
	}
}

func benchStream(b *testing.B, from, to *overlay.Node, ready func()) {
	const chunk = 8 << 20
	l, err := to.Listen("tcp", ":bench")
	if err != nil {
		b.Fatal(err)
	}
	conn, err := from.DialContext(b.Context(), "tcp", to.Name()+":bench")
	if err != nil {
		b.Fatal(err)
	}
	taken, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	client, server := plain(b)
	ps, err := client.OpenStreamSync(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if _, err := ps.Write([]byte{0}); err != nil {
		b.Fatal(err)
	}
	pr, err := server.AcceptStream(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(pr, make([]byte, 1)); err != nil {
		b.Fatal(err)
	}
	move(b, conn, taken, chunk) // both past their slow start
	ready()
	move(b, ps, pr, chunk)
	var ours, theirs time.Duration
	for b.Loop() {
		ours += move(b, conn, taken, chunk)
		theirs += move(b, ps, pr, chunk)
	}
	b.ReportMetric(float64(b.N)*chunk/1e6/ours.Seconds(), "MB/s")
	b.ReportMetric(float64(b.N)*chunk/1e6/theirs.Seconds(), "plain-MB/s")
	b.ReportMetric(theirs.Seconds()/ours.Seconds(), "ratio")
}

// move sends n bytes from w to r and returns how long that took.
func move(b *testing.B, w io.Writer, r io.Reader, n int64) time.Duration {
	begin := time.Now()
	sent := make(chan error, 1)
	go func() { // ends with the write
		_, err := io.CopyN(w, zeros{}, n)
		sent <- err
	}()
	if _, err := io.CopyN(io.Discard, r, n); err != nil {
		b.Fatal(err)
	}
	if err := <-sent; err != nil {
		b.Fatal(err)
	}
	return time.Since(begin)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// BenchmarkRelayedDatagram sends a datagram of 1000 bytes through the relay and back,
// and one over plain quic-go on the same loopback, turn by turn, and reports the ratio of
// the round trips.
func BenchmarkRelayedDatagram(b *testing.B) {
	_, nodes := network(b, 8, overlay.WithRelayedOnly())
	from, to := ordinary(b, nodes)
	pc, err := to.ListenPacket("udp", ":bench")
	if err != nil {
		b.Fatal(err)
	}
	go bounce(pc) // ends with the node
	conn, err := from.DialContext(b.Context(), "udp", to.Name()+":bench")
	if err != nil {
		b.Fatal(err)
	}
	client, server := plain(b)
	go func() { // ends with the connection
		for {
			p, err := server.ReceiveDatagram(context.Background())
			if err != nil || server.SendDatagram(p) != nil {
				return
			}
		}
	}()
	payload, buf := make([]byte, 1000), make([]byte, 1500)
	ours := func() error {
		if _, err := conn.Write(payload); err != nil {
			return err
		}
		_, err := conn.Read(buf)
		return err
	}
	theirs := func() error {
		if err := client.SendDatagram(payload); err != nil {
			return err
		}
		_, err := client.ReceiveDatagram(b.Context())
		return err
	}
	var a, p time.Duration
	for b.Loop() {
		a += took(b, ours)
		p += took(b, theirs)
	}
	b.ReportMetric(float64(a.Microseconds())/float64(b.N), "us")
	b.ReportMetric(float64(p.Microseconds())/float64(b.N), "plain-us")
	b.ReportMetric(a.Seconds()/p.Seconds(), "ratio")
}

// bounce sends every datagram back.
func bounce(pc net.PacketConn) {
	p := make([]byte, 1500)
	for {
		n, from, err := pc.ReadFrom(p)
		if err != nil {
			return
		}
		if _, err := pc.WriteTo(p[:n], from); err != nil {
			return
		}
	}
}

func took(b *testing.B, f func() error) time.Duration {
	begin := time.Now()
	if err := f(); err != nil {
		b.Fatal(err)
	}
	return time.Since(begin)
}

// BenchmarkSimulation runs a network of 1000 nodes at rest for a simulated minute.
func BenchmarkSimulation(b *testing.B) {
	s, err := overlay.NewSimulation(1)
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Add(1000); err != nil {
		b.Fatal(err)
	}
	if _, err := s.RunUntilAttached(5 * time.Minute); err != nil {
		b.Fatal(err)
	}
	before := s.Census().Events
	for b.Loop() {
		if err := s.Run(time.Minute); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(s.Census().Events-before)/b.Elapsed().Seconds(), "events/s")
}
