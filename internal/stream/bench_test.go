package stream

import (
	"crypto/tls"
	"io"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// BenchmarkThroughput moves the same bytes over a stream of this package and over one
// of plain quic-go with its default configuration, on the same kind of PacketConn, turn
// by turn in the same run, and reports what the package costs as a ratio.
func BenchmarkThroughput(b *testing.B) {
	const chunk = 8 << 20
	f := newFabric()
	alice, bob := start(b, f, "alice"), start(b, f, "bob")
	ourSender, ourReceiver := pair(b, alice, listen(b, bob, "80"))
	plainSender, plainReceiver := plainPair(b)
	move(b, ourSender, ourReceiver, chunk) // both past their slow start
	move(b, plainSender, plainReceiver, chunk)
	var ours, plain time.Duration
	b.ResetTimer()
	for b.Loop() {
		ours += move(b, ourSender, ourReceiver, chunk)
		plain += move(b, plainSender, plainReceiver, chunk)
	}
	b.ReportMetric(float64(b.N)*chunk/1e6/ours.Seconds(), "MB/s")
	b.ReportMetric(float64(b.N)*chunk/1e6/plain.Seconds(), "plain-MB/s")
	b.ReportMetric(plain.Seconds()/ours.Seconds(), "ratio")
}

// move sends n bytes and returns how long they took to be read.
func move(b *testing.B, w io.Writer, r io.Reader, n int64) time.Duration {
	began := time.Now()
	go func() {
		buffer := make([]byte, 64<<10)
		for left := n; left > 0; left -= int64(len(buffer)) {
			if _, err := w.Write(buffer); err != nil {
				b.Error(err)
				return
			}
		}
	}()
	// Hides WriterTo and ReaderFrom, so that both sides are read alike.
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, io.LimitReader(r, n), make([]byte, 64<<10)); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

// plainPair returns the ends of a stream of quic-go, nothing set but what must be.
func plainPair(b *testing.B) (sender, receiver *quic.Stream) {
	b.Helper()
	f, n := newFabric(), newNetwork("test")
	envelope, err := newEnvelope(n.identity("bob"))
	if err != nil {
		b.Fatal(err)
	}
	client := &quic.Transport{Conn: f.port(peer("alice").Key)}
	server := &quic.Transport{Conn: f.port(peer("bob").Key)}
	b.Cleanup(func() { client.Close(); server.Close() })
	protocols := []string{"plain"}
	l, err := server.Listen(&tls.Config{Certificates: []tls.Certificate{*envelope}, NextProtos: protocols}, nil)
	if err != nil {
		b.Fatal(err)
	}
	dialled, err := client.Dial(b.Context(), peer("bob").addr(""), &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}, nil)
	if err != nil {
		b.Fatal(err)
	}
	taken, err := l.Accept(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if sender, err = dialled.OpenStreamSync(b.Context()); err != nil {
		b.Fatal(err)
	}
	sender.Write([]byte{0}) // shows the stream to the acceptor
	if receiver, err = taken.AcceptStream(b.Context()); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(receiver, make([]byte, 1)); err != nil {
		b.Fatal(err)
	}
	return sender, receiver
}

// BenchmarkDial opens and closes a stream on a link that is there: one round trip.
func BenchmarkDial(b *testing.B) {
	f := newFabric()
	alice, bob := start(b, f, "alice"), start(b, f, "bob")
	l := listen(b, bob, "80")
	for b.Loop() {
		c, s := pair(b, alice, l)
		c.Close()
		s.Close()
	}
}

// BenchmarkHandshake opens a link: certificates, TLS, and the first stream.
func BenchmarkHandshake(b *testing.B) {
	f := newFabric()
	alice, bob := start(b, f, "alice"), start(b, f, "bob")
	l := listen(b, bob, "80")
	for b.Loop() {
		c, s := pair(b, alice, l)
		c.(*conn).link.close(codeReplaced)
		c.Close()
		s.Close()
	}
}

// BenchmarkDatagram sends one and reads it.
func BenchmarkDatagram(b *testing.B) {
	f := newFabric()
	alice, bob := start(b, f, "alice"), start(b, f, "bob")
	server, c := listenPacket(b, bob, "voice"), dialPacket(b, alice, "bob", "voice")
	payload, buffer := make([]byte, 160), make([]byte, 160)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(payload); err != nil {
			b.Fatal(err)
		}
		server.SetReadDeadline(time.Now().Add(time.Second))
		if _, _, err := server.ReadFrom(buffer); err != nil {
			b.Fatal(err)
		}
	}
}
