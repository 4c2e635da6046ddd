package overlay_test

import (
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

// plain returns the two ends of a connection of plain quic-go over UDP on loopback.
func plain(b *testing.B) (client, server *quic.Conn) {
	return plainVia(b, net.Addr.String)
}

// plainVia is plain with a client that dials what via makes of the server's address.
func plainVia(b *testing.B, via func(net.Addr) string) (client, server *quic.Conn) {
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
	client, err = quic.DialAddr(b.Context(), via(l.Addr()), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"x"}}, config)
	if err != nil {
		b.Fatal(err)
	}
	server, err = l.Accept(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return client, server
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
