//go:build unix

package overlay_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/ada420b6/overlay"
)

// What a relay costs, beside a UDP forwarder of ten lines that carries plain quic-go. Both
// run in processes of their own, so that their CPU can be told apart from that of the ends,
// which are in this one; they are used turn by turn, so that whatever else the machine does
// meets both.

// asProcess names what the test binary does instead of tests: "relay INVITE" or
// "forward ADDRESS".
const asProcess = "OVERLAY_BENCH_PROCESS"

// TestBenchProcess is the other process of the benchmarks. It answers each line with the
// CPU seconds that it has taken, and ends with its input.
func TestBenchProcess(t *testing.T) {
	what, arg, _ := strings.Cut(os.Getenv(asProcess), " ")
	ready := "ready"
	switch what {
	default:
		t.Skip("a benchmark runs this")
	case "relay":
		o, err := overlay.New(overlay.WithInvite(arg))
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		if _, err := o.Join(t.Context(), "relay", overlay.WithListenAddress("127.0.0.1:0"), overlay.WithRole(overlay.RoleSupernode)); err != nil {
			t.Fatal(err)
		}
	case "forward":
		pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer pc.Close()
		_ = pc.SetReadBuffer(4 << 20)
		go bareForward(pc, netip.MustParseAddrPort(arg)) // ends with pc
		ready += " " + pc.LocalAddr().String()
	}
	fmt.Println(ready)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Println(cpu(t))
	}
}

// bareForward carries datagrams between one client and a server.
func bareForward(pc *net.UDPConn, server netip.AddrPort) {
	var client netip.AddrPort
	b := make([]byte, 2048)
	for {
		n, from, err := pc.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		to := server
		if from == server {
			to = client
		} else {
			client = from
		}
		_, _ = pc.WriteToUDPAddrPort(b[:n], to)
	}
}

func cpu(t *testing.T) float64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return (time.Duration(r.Utime.Nano()) + time.Duration(r.Stime.Nano())).Seconds()
}

// process is TestBenchProcess, running.
type process struct {
	in  io.Writer
	out *bufio.Scanner
}

func startProcess(b *testing.B, what string) (p process, said string) {
	b.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestBenchProcess$")
	cmd.Env = append(os.Environ(), asProcess+"="+what)
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); _, _ = io.Copy(io.Discard, out); _ = cmd.Wait() })
	p = process{in, bufio.NewScanner(out)}
	said, ok := strings.CutPrefix(p.line(b), "ready")
	if !ok {
		b.Fatalf("%s said %q", what, said)
	}
	return p, strings.TrimSpace(said)
}

func (p process) line(b *testing.B) string {
	if !p.out.Scan() {
		b.Fatal("a process has ended: ", p.out.Err())
	}
	return p.out.Text()
}

// cpu returns the seconds that the process has computed so far.
func (p process) cpu(b *testing.B) float64 {
	if _, err := io.WriteString(p.in, "\n"); err != nil {
		b.Fatal(err)
	}
	s, err := strconv.ParseFloat(p.line(b), 64)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// relayed starts a relay in a process of its own, and two nodes here.
func relayed(b *testing.B) (relay process, from, to *overlay.Node) {
	b.Helper()
	login, err := overlay.ListenLogin("127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { login.Close() })
	relay, _ = startProcess(b, "relay "+login.Invite())
	o, err := overlay.New(overlay.WithInvite(login.Invite()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { o.Close() })
	var ends [2]*overlay.Node
	for i, name := range []string{"a", "b"} {
		ends[i], err = o.Join(b.Context(), name, overlay.WithListenAddress("127.0.0.1:0"), overlay.WithRole(overlay.RoleNode), overlay.WithRelayedOnly())
		if err != nil {
			b.Fatal(err)
		}
	}
	return relay, ends[0], ends[1]
}

// forwarded starts a bare forwarder in a process of its own, and plain quic-go here that
// goes through it.
func forwarded(b *testing.B) (forwarder process, client, server *quic.Conn) {
	b.Helper()
	client, server = plainVia(b, func(at net.Addr) string {
		var say string
		forwarder, say = startProcess(b, "forward "+at.String())
		return say
	})
	return forwarder, client, server
}

// opened returns the two ends of a stream of plain quic-go.
func opened(b *testing.B, client, server *quic.Conn) (w, r *quic.Stream) {
	b.Helper()
	w, err := client.OpenStreamSync(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if _, err := w.Write([]byte{0}); err != nil {
		b.Fatal(err)
	}
	if r, err = server.AcceptStream(b.Context()); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 1)); err != nil {
		b.Fatal(err)
	}
	return w, r
}

// conversation returns the two ends of a stream between nodes.
func conversation(b *testing.B, from, to *overlay.Node) (w, r net.Conn) {
	b.Helper()
	l, err := to.Listen("tcp", ":bench")
	if err != nil {
		b.Fatal(err)
	}
	if w, err = from.DialContext(b.Context(), "tcp", to.Name()+":bench"); err != nil {
		b.Fatal(err)
	}
	if r, err = l.Accept(); err != nil {
		b.Fatal(err)
	}
	return w, r
}

// BenchmarkRelay moves 8 MiB through a relay, and over plain quic-go through the bare
// forwarder: the ratio of the rates, and what relay and forwarder compute for each GB.
func BenchmarkRelay(b *testing.B) {
	const chunk = 8 << 20
	relay, from, to := relayed(b)
	w, r := conversation(b, from, to)
	forwarder, client, server := forwarded(b)
	pw, pr := opened(b, client, server)
	for range 3 { // both past their slow start
		move(b, w, r, chunk)
		move(b, pw, pr, chunk)
	}
	relayCPU, bareCPU := relay.cpu(b), forwarder.cpu(b)
	var ours, bare time.Duration
	for b.Loop() {
		ours += move(b, w, r, chunk)
		bare += move(b, pw, pr, chunk)
	}
	relayCPU, bareCPU = relay.cpu(b)-relayCPU, forwarder.cpu(b)-bareCPU
	gb := float64(b.N) * chunk / 1e9
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(gb*1e3/ours.Seconds(), "MB/s")
	b.ReportMetric(gb*1e3/bare.Seconds(), "bare-MB/s")
	b.ReportMetric(bare.Seconds()/ours.Seconds(), "ratio")
	b.ReportMetric(relayCPU/gb, "cpu-s/GB")
	b.ReportMetric(bareCPU/gb, "bare-cpu-s/GB")
	b.ReportMetric(relayCPU/bareCPU, "cpu-ratio")
}

// BenchmarkRelayRequest sends 64 bytes on a stream and waits for 64 bytes, through a
// relay and through the bare forwarder.
func BenchmarkRelayRequest(b *testing.B) {
	_, from, to := relayed(b)
	w, r := conversation(b, from, to)
	_, client, server := forwarded(b)
	pw, pr := opened(b, client, server)
	go func() { _, _ = io.Copy(r, r) }()   // ends with the node
	go func() { _, _ = io.Copy(pr, pr) }() // ends with the connection
	ask := func(rw io.ReadWriter) func() error {
		p := make([]byte, 64)
		return func() error {
			if _, err := rw.Write(p); err != nil {
				return err
			}
			_, err := io.ReadFull(rw, p)
			return err
		}
	}
	turns(b, ask(w), ask(pw), "bare")
}

// turns runs both by turns, 50 times each in a row, and reports how long one takes, what
// the slowest hundredth takes and by how much more that is, and the ratio.
func turns(b *testing.B, ours, theirs func() error, name string) {
	b.Helper()
	const row = 50
	var a, p []time.Duration
	for range row { // both warm
		took(b, ours)
		took(b, theirs)
	}
	for b.Loop() {
		for range row {
			a = append(a, took(b, ours))
		}
		for range row {
			p = append(p, took(b, theirs))
		}
	}
	report := func(all []time.Duration, prefix string) float64 {
		slices.Sort(all)
		half := all[len(all)/2].Seconds() * 1e6
		b.ReportMetric(half, prefix+"us")
		p99 := all[len(all)*99/100].Seconds() * 1e6
		b.ReportMetric(p99, prefix+"p99-us")
		b.ReportMetric(p99-half, prefix+"jitter-us")
		return half
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(report(a, "")/report(p, name+"-"), "ratio")
}

// BenchmarkDirect moves 8 MiB from a node to its supernode, which needs no relay, and
// over plain quic-go on the same loopback.
func BenchmarkDirect(b *testing.B) {
	const chunk = 8 << 20
	login, err := overlay.ListenLogin("127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { login.Close() })
	o, err := overlay.New(overlay.WithInvite(login.Invite()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { o.Close() })
	join := func(name string, role overlay.Role) *overlay.Node {
		n, err := o.Join(b.Context(), name, overlay.WithListenAddress("127.0.0.1:0"), overlay.WithRole(role))
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	to := join("to", overlay.RoleSupernode)
	w, r := conversation(b, join("from", overlay.RoleNode), to)
	client, server := plain(b)
	pw, pr := opened(b, client, server)
	for range 3 { // both past their slow start
		move(b, w, r, chunk)
		move(b, pw, pr, chunk)
	}
	var ours, theirs time.Duration
	for b.Loop() {
		ours += move(b, w, r, chunk)
		theirs += move(b, pw, pr, chunk)
	}
	mb := float64(b.N) * chunk / 1e6
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(mb/ours.Seconds(), "MB/s")
	b.ReportMetric(mb/theirs.Seconds(), "plain-MB/s")
	b.ReportMetric(theirs.Seconds()/ours.Seconds(), "ratio")
}

// BenchmarkRelayDatagram sends a datagram of 1000 bytes through the relay and back, and
// one over plain quic-go through the bare forwarder.
func BenchmarkRelayDatagram(b *testing.B) {
	_, from, to := relayed(b)
	pc, err := to.ListenPacket("udp", ":bench")
	if err != nil {
		b.Fatal(err)
	}
	go bounce(pc) // ends with the node
	conn, err := from.DialContext(b.Context(), "udp", to.Name()+":bench")
	if err != nil {
		b.Fatal(err)
	}
	_, client, server := forwarded(b)
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
	turns(b, ours, theirs, "bare")
}
