package runtime

import (
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/ada420b6/overlay/internal/vtime"
)

// saveDelay is how long a change of the host cache or the roster waits for the next
// one: a healing network changes them several times a second, and each save costs two
// syncs of the disk.
const saveDelay = 5 * vtime.Second

// keeper writes files in a goroutine of its own, so that a disk that hangs delays
// nothing else. Of a file that is written faster than the disk takes it, only the
// newest content is kept: one per file, six at most.
type keeper struct {
	state *state
	log   *slog.Logger
	fail  func(error) // told when writing begins to fail

	mu      sync.Mutex
	pending map[string]content
	wake    chan struct{}
	ended   chan struct{}
	wg      sync.WaitGroup
	failing atomic.Bool
}

// content is what shall be in a file.
type content struct {
	kind  fileKind
	bytes []byte
}

// newKeeper starts the goroutine; close ends it.
func newKeeper(s *state, log *slog.Logger, fail func(error)) *keeper {
	k := &keeper{
		state: s, log: log, fail: fail,
		pending: make(map[string]content),
		wake:    make(chan struct{}, 1),
		ended:   make(chan struct{}),
	}
	k.wg.Go(k.run)
	return k
}

// put has a file written. It never waits for the disk.
func (k *keeper) put(name string, kind fileKind, b []byte) {
	k.mu.Lock()
	k.pending[name] = content{kind, b}
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

func (k *keeper) run() {
	for {
		select {
		case <-k.wake:
			k.flush()
		case <-k.ended:
			k.flush()
			return
		}
	}
}

// flush writes what is pending. A failure is reported once, not per file: the disk is
// full or gone, the node goes on, and what it would have kept is kept next time.
func (k *keeper) flush() {
	k.mu.Lock()
	pending := k.pending
	k.pending = make(map[string]content)
	k.mu.Unlock()
	for name, c := range pending {
		err := k.state.write(name, c.kind, c.bytes)
		switch was := k.failing.Swap(err != nil); {
		case err != nil && !was:
			k.log.Warn("state can't be kept; the node goes on without", "error", err)
			k.fail(err)
		case err == nil && was:
			k.log.Info("state is kept again")
		}
	}
}

// close writes what is pending and lets go of the directory.
func (k *keeper) close() error {
	close(k.ended)
	k.wg.Wait()
	return k.state.close()
}
