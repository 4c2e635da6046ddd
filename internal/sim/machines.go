package sim

import (
	"unsafe"

	"github.com/ada420b6/overlay/internal/core"
	"github.com/ada420b6/overlay/internal/ident"
	"github.com/ada420b6/overlay/internal/vtime"
)

// machines is everything that the driver steps, by host index. There are two: the
// protocol itself, and in tests of the driver something simpler.
type machines interface {
	// step hands in to the machine of host i.
	step(i uint32, env *core.Env, now vtime.Time, in *core.Input, out *core.Effects)
	// next returns the machine's one deadline.
	next(i uint32, env *core.Env) vtime.Time
	// view returns what the driver and the oracle may know of it; super is the
	// supernode state that hangs apart, or nil.
	view(i uint32, super *core.Supernode) view
	// remember appends what a supernode keeps of the roster on disk.
	remember(dst []core.Known, super *core.Supernode) []core.Known
	// tickets returns what a node keeps on disk of the tickets it was given.
	tickets(i uint32) core.Tickets
	// touch reads all of the machine of host i, so that it is near when it is stepped.
	touch(i uint32) uint64
	// bytes returns how much memory the machines take, per host.
	bytes() int
}

// view is a machine from outside.
type view struct {
	at       [2]ident.Handle // its attachments
	attached bool            // it can be found: an attachment stands, or it serves
	serving  bool
	seq      uint64 // last sequence number of its record
	inc      uint32 // last incarnation as a supernode
	waiting  int    // applications that wait at a login server
}

// protocol is the machines of the core: one flat array without pointers.
type protocol struct {
	nodes  []core.Node
	logins []core.LoginServer // host indices from len(nodes)
	env    core.Env           // to look at a machine with
}

func newProtocol(c *Config) *protocol {
	return &protocol{nodes: large[core.Node](c.Nodes), logins: make([]core.LoginServer, c.Logins)}
}

func (p *protocol) step(i uint32, env *core.Env, now vtime.Time, in *core.Input, out *core.Effects) {
	if int(i) < len(p.nodes) {
		p.nodes[i].Step(env, now, in, out)
		return
	}
	p.logins[int(i)-len(p.nodes)].Step(env, now, in, out)
}

func (p *protocol) next(i uint32, env *core.Env) vtime.Time {
	if int(i) < len(p.nodes) {
		return p.nodes[i].Next(env)
	}
	return p.logins[int(i)-len(p.nodes)].Next(env)
}

func (p *protocol) view(i uint32, super *core.Supernode) view {
	if int(i) >= len(p.nodes) {
		return view{waiting: p.logins[int(i)-len(p.nodes)].Waiting()}
	}
	n, env := &p.nodes[i], &p.env
	env.Super = super
	return view{at: n.Attachments(env), attached: n.Attached(env), serving: super != nil, seq: n.Seq(), inc: n.Inc()}
}

func (p *protocol) tickets(i uint32) (t core.Tickets) {
	if int(i) < len(p.nodes) {
		t = p.nodes[i].Tickets()
	}
	return t
}

func (p *protocol) remember(dst []core.Known, super *core.Supernode) []core.Known {
	return super.Roster(dst)
}

// lineBytes is how much of memory the processor fetches at once.
const lineBytes = 64

func (p *protocol) touch(i uint32) (sum uint64) {
	if int(i) < len(p.nodes) {
		at := unsafe.Pointer(&p.nodes[i])
		for off := uintptr(0); off < unsafe.Sizeof(core.Node{}); off += lineBytes {
			sum += uint64(*(*byte)(unsafe.Add(at, off)))
		}
	}
	return sum
}

func (p *protocol) bytes() int { return int(unsafe.Sizeof(core.Node{})) }
