package sim

import (
	"slices"
	"unsafe"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/vtime"
)

// host is the machine under the machine: power, timer, socket, disk. Flat and without
// pointers, one for each node and login server.
type host struct {
	due   vtime.Time // the machine's deadline, vtime.Never when none
	armed vtime.Time // the queued timer's, vtime.Never when none is queued
	busy  vtime.Time // when the messages that wait have been handled

	// On disk: what a reboot keeps besides the host cache and the roster.
	seq       uint64 // first sequence number that was never used
	inc       uint32 // first incarnation that was never used
	certified uint32 // second in which the certificate came, plus one; 0 without one

	orphan vtime.Time // since when the running node has no attachment, or the host is down

	gen   uint32 // of the timer: a queued one of another generation is void
	boots uint32 // how often it has come up
	super uint32 // place in Sim.supers, 0 when none
	calls uint32 // place in Sim.callers, 0 when none
	watch uint32 // place in Sim.lookout, 0 when none
	tries uint16 // attempts to get one since orphan
	round uint16 // of the nonce of the latest
	state hostState
	role  core.Role
	side  uint8 // of the partition
	naps  uint8 // bit k: attachment k's keepalives are foretold
}

// hostState is a set of facts about a host.
type hostState uint8

const (
	hostUp        hostState = 1 << iota // the process runs
	hostAttached                        // as the machine last said
	hostServing                         // likewise
	hostReachable                       // strangers' packets arrive
	hostWasSuper                        // it served when it last went down
	hostWaits                           // a start is queued
	hostSecond                          // it has two attachments
	hostDenied                          // a login server has refused its name for good
)

func (h *host) is(s hostState) bool { return h.state&s != 0 }

func (h *host) set(s hostState, on bool) {
	if on {
		h.state |= s
	} else {
		h.state &^= s
	}
}

// hung is a table of what only some hosts have, supernode state or calls: places are
// reused, place 0 is nobody's. Its bound is the number of hosts.
type hung[T any] struct {
	list []*T
	free []uint32

	advised []uintptr // where parts of memory begin that large pages were asked for
}

// advise asks for large pages for the memory in which the values lie, and what they hold.
func (t *hung[T]) advise() {
	for _, v := range t.list {
		at := uintptr(unsafe.Pointer(v))
		near := func(begin uintptr) bool { return begin <= at && at-begin < arenaBytes }
		if v != nil && !slices.ContainsFunc(t.advised, near) {
			t.advised = append(t.advised, adviseAround(unsafe.Pointer(v)))
		}
	}
}

func (t *hung[T]) get(place uint32) *T {
	if place == 0 {
		return nil
	}
	return t.list[place]
}

// put stores v for whoever had place and returns the place it has now.
func (t *hung[T]) put(place uint32, v *T) uint32 {
	switch {
	case v == nil && place == 0:
		return 0
	case v == nil:
		t.list[place] = nil
		t.free = append(t.free, place)
		return 0
	case place != 0:
		t.list[place] = v
		return place
	case len(t.free) > 0:
		place = t.free[len(t.free)-1]
		t.free = t.free[:len(t.free)-1]
		t.list[place] = v
		return place
	}
	if len(t.list) == 0 {
		t.list = append(t.list, nil)
	}
	t.list = append(t.list, v)
	return uint32(len(t.list) - 1)
}

// cost is the time that a message takes a host.
func (s *Service) cost(fresh bool) vtime.Duration {
	if fresh {
		return vtime.Second / vtime.Duration(s.Handshake)
	}
	return vtime.Second / vtime.Duration(s.Rate)
}

// room is how much work may wait.
func (s *Service) room() vtime.Duration {
	return vtime.Second / vtime.Duration(s.Rate) * vtime.Duration(s.Queue)
}
