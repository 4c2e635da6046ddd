package sim

import (
	"runtime"
	"testing"

	"github.com/ada420b6/overlay/internal/vtime"
)

// TestMemory compares the estimate with what a network of 21 000 takes after a minute in
// which a third of its machines reboot: it must not take more, and not be a third of it.
func TestMemory(t *testing.T) {
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	cfg := DefaultConfig(21_000)
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(cfg.Nodes); err != nil {
		t.Fatal(err)
	}
	s.StartGrown(0, vtime.Second)
	s.RebootShare(0.3, 30*vtime.Second, 20*vtime.Second)
	if err := s.Run(vtime.Minute); err != nil {
		t.Fatal(err)
	}
	took, said := heap()-before, cfg.Memory()
	t.Logf("%d MiB in use, %d MiB said", took>>20, said>>20)
	if took > said || took < said/3 {
		t.Errorf("%d MiB are in use, and %d MiB are said to be needed", took>>20, said>>20)
	}
	runtime.KeepAlive(s)
}
