package memnet

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func pair(t *testing.T, c Config) (*Network, *Socket, *Socket) {
	t.Helper()
	n := New(c)
	a, err := n.Listen("11.1.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	b, err := n.Listen("11.2.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return n, a, b
}

func TestCarriesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, Config{Latency: func(_, _ netip.AddrPort) time.Duration { return time.Second }})
		begun := time.Now()
		for i := range byte(100) {
			if _, err := a.WriteTo([]byte{i}, b.LocalAddr()); err != nil {
				t.Fatal(err)
			}
		}
		var p [10]byte
		for i := range byte(100) {
			n, from, err := b.ReadFrom(p[:])
			if err != nil || n != 1 || p[0] != i || from.String() != a.LocalAddr().String() {
				t.Fatalf("%x from %v: %v", p[:n], from, err)
			}
		}
		if d := time.Since(begun); d != time.Second {
			t.Errorf("took %v", d)
		}
	})
}

func TestLossAndCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, a, b := pair(t, Config{Seed: 1, Loss: 0.3})
		count := func() (n int) {
			for range 1000 {
				_, _ = a.WriteTo([]byte{1}, b.LocalAddr())
			}
			_ = b.SetReadDeadline(time.Now().Add(time.Second))
			var p [10]byte
			for {
				if _, _, err := b.ReadFrom(p[:]); err != nil {
					if !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Fatal(err)
					}
					return n
				}
				n++
			}
		}
		if n := count(); n < 600 || n > 800 {
			t.Errorf("%d of 1000 arrived with 30 %% loss", n)
		}
		net.Cut(netip.MustParseAddr("11.2.0.1"), true)
		if n := count(); n != 0 {
			t.Errorf("%d arrived at a machine that is cut off", n)
		}
		net.Cut(netip.MustParseAddr("11.2.0.1"), false)
		net.Split(netip.MustParseAddr("11.2.0.1"), netip.MustParseAddr("11.1.0.1"), true)
		if n := count(); n != 0 {
			t.Errorf("%d arrived at a machine that can't be reached from there", n)
		}
		net.Split(netip.MustParseAddr("11.2.0.1"), netip.MustParseAddr("11.1.0.1"), false)
		net.SetLoss(0)
		if n := count(); n != 1000 {
			t.Errorf("%d of 1000 arrived", n)
		}
	})
}

func TestAddresses(t *testing.T) {
	n, a, _ := pair(t, Config{})
	if _, err := n.Listen("11.1.0.1:1"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("an address in use: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed twice: %v", err)
	}
	if _, err := a.WriteTo(nil, a.LocalAddr()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("written after the end: %v", err)
	}
	if _, _, err := a.ReadFrom(nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after the end: %v", err)
	}
	if _, err := n.Listen("11.1.0.1:1"); err != nil {
		t.Errorf("an address that is free again: %v", err)
	}
	s, err := n.Host(netip.MustParseAddr("11.9.0.1"))(t.Context(), ":77")
	if err != nil || s.LocalAddr().String() != "11.9.0.1:77" {
		t.Errorf("%v: %v", s, err)
	}
}

func TestCloseWakesReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, _ := pair(t, Config{})
		go func() {
			time.Sleep(time.Second)
			a.Close()
		}()
		if _, _, err := a.ReadFrom(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}
